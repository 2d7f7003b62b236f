//! How far a task has come: a fold over its events.

mod failures;
mod phase;
mod standing;

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

pub(crate) use failures::Failures;
pub use phase::Phase;
pub use standing::{Gap, Hold, Pause, Stop};

use crate::event::{Event, Fact, Sequence};
use crate::failure::{Failure, FailureCode};
use crate::model::{
    Actor, AfterBudget, BusinessName, DeploymentId, DeploymentRequest, Fence, HostName, HostResult,
    HostStatus, Outcome, PackageDigests, ProjectName, ReleaseTask, RolloutSpec, Target, TaskId,
    Timestamp,
};
use crate::release_step::Step;

/// What a task is about: a deployment on a control node, a release task on an agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// An accepted request.
    Deployment {
        /// The deployment's id.
        id: DeploymentId,
        /// The request.
        request: Box<DeploymentRequest>,
    },
    /// An accepted release task.
    Release {
        /// The task.
        task: Box<ReleaseTask>,
    },
}

impl Subject {
    /// The business.
    #[must_use]
    pub fn business(&self) -> &BusinessName {
        match self {
            Self::Deployment { request, .. } => &request.business,
            Self::Release { task } => &task.business,
        }
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &ProjectName {
        match self {
            Self::Deployment { request, .. } => &request.project,
            Self::Release { task } => &task.project,
        }
    }

    /// The deployment.
    #[must_use]
    pub fn deployment(&self) -> &DeploymentId {
        match self {
            Self::Deployment { id, .. } => id,
            Self::Release { task } => &task.deployment,
        }
    }
}

/// How far a host has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HostState {
    /// The host, and how it is reached.
    pub target: Target,
    /// The step it is at, while it is being done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// How it ended, when it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<HostResult>,
    /// The part of the task that it was handed to an executor with: an index of `dispatches`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<usize>,
}

/// A part of the task that was handed to an executor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Dispatch {
    /// The id of the part.
    pub task: TaskId,
    /// Its hosts.
    pub hosts: Vec<HostName>,
    /// Its fencing number.
    pub fence: Fence,
    /// Whether it was taken back.
    pub recalled: bool,
    /// How hosts of it had ended that were handed out again since, as another part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<HostResult>,
}

/// The state of a task: a fold over its events, the same on a control node and on an agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskState {
    /// The task.
    pub task: TaskId,
    /// What it is about.
    pub subject: Subject,
    /// How far it has come.
    pub phase: Phase,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When its last event was recorded.
    pub updated_at: Timestamp,
    /// The digests of the package, once it is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageDigests>,
    /// What it waits for, while it waits or is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Why it starts nothing new until a person resumes it, while that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// Why it starts nothing new any more, once that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
    /// The stand before a batch, while it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// Whether the rollout has begun.
    pub began: bool,
    /// When the rollout has to be over. While it stands this moves on, as soon as it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Its hosts in their order, once they are resolved.
    pub hosts: Vec<HostState>,
    /// The hosts of each batch, once the rollout has begun.
    pub batches: Vec<Vec<HostName>>,
    /// The batch that is being done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// How many batches are finished.
    pub batches_finished: u32,
    /// What was handed to executors.
    pub dispatches: Vec<Dispatch>,
    /// Why it is to be cancelled, once somebody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<String>,
    /// Its terminal state, once it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it is not a success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The number of its last event.
    pub last: Sequence,
    #[serde(skip)]
    lookup: Lookup,
}

/// What is asked of a state again and again, kept up to date so that no answer walks all hosts.
/// Hosts stand here by their index.
#[derive(Clone, Debug, Default, PartialEq)]
struct Lookup {
    by_name: HashMap<HostName, usize>,
    /// Hosts of the batch that is being done which were not handed to an executor.
    pending: BTreeSet<usize>,
    /// Hosts that were handed to an executor and have not ended.
    in_flight: BTreeSet<usize>,
    /// Hosts that ended otherwise than well.
    unsuccessful: BTreeSet<usize>,
    /// Hosts in flight that are known to have begun.
    begun: BTreeSet<usize>,
    /// Hosts that are done again, because somebody asked for it, and have not ended.
    retried: BTreeSet<usize>,
    /// Hosts that the deployment goes on without.
    skipped: BTreeSet<usize>,
    /// The batch of each host.
    batch_of: HashMap<usize, u32>,
    /// Failed hosts that count.
    failures: Failures,
    /// Since when the rollout stands, while it does.
    standing: Option<Timestamp>,
    /// How many hosts have ended.
    ended: usize,
}

impl TaskState {
    /// Begins with a task's first event; `None` when that is not one that accepts a task.
    #[must_use]
    pub fn of(first: &Event) -> Option<Self> {
        let subject = match &first.fact {
            Fact::Accepted { deployment, request } => {
                Subject::Deployment { id: deployment.clone(), request: request.clone() }
            }
            Fact::TaskAccepted { task } => Subject::Release { task: task.clone() },
            _ => return None,
        };
        Some(Self {
            task: first.task.clone(),
            subject,
            phase: Phase::Preparing,
            accepted_at: first.at,
            updated_at: first.at,
            package: None,
            hold: None,
            paused: None,
            stopped: None,
            gap: None,
            began: false,
            deadline: None,
            hosts: Vec::new(),
            batches: Vec::new(),
            batch: None,
            batches_finished: 0,
            dispatches: Vec::new(),
            cancel: None,
            outcome: None,
            failure: None,
            last: first.sequence,
            lookup: Lookup::default(),
        })
    }

    /// Folds all events of a task, in order; `None` when there is none.
    #[must_use]
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Option<Self> {
        let mut events = events.into_iter();
        let mut state = Self::of(events.next()?)?;
        for event in events {
            state.apply(event);
        }
        Some(state)
    }

    /// Takes the next event. A fact that does not fit, such as a host that is not known, changes
    /// nothing but the number of the last event.
    pub fn apply(&mut self, event: &Event) {
        self.last = event.sequence;
        self.updated_at = event.at;
        if self.outcome.is_some() {
            return;
        }
        self.phase = self.phase.after(&event.fact);
        match &event.fact {
            Fact::Resolved { hosts } => {
                self.resolved(hosts);
                self.hold = self.hold.take().filter(|_| self.paused.is_some());
            }
            Fact::Verified { package } => {
                self.package = Some(*package);
                self.hold = self.hold.take().filter(|_| self.paused.is_some());
            }
            Fact::InLine { behind, position } => {
                let reason = format!("in line behind {behind}, place {position}");
                self.hold = Some(Hold::new(reason, None));
            }
            Fact::Waiting { until } => self.hold = Some(Hold::new(None, Some(*until))),
            Fact::Held { reason, until } => {
                self.hold = Some(Hold::new(reason.clone(), Some(*until)));
            }
            Fact::RolloutStarted { batches, deadline } => self.rollout_started(batches, *deadline),
            Fact::BatchHeld { batch, hold, until } => {
                let gap = Gap { batch: *batch, hold: *hold, until: *until, promoted: false };
                self.hold = Some(gap.as_hold());
                self.gap = Some(gap);
                self.stands(event.at);
            }
            Fact::BatchStarted { batch } => {
                self.batch_started(*batch);
                self.goes_on(event.at);
            }
            Fact::BatchFinished { batch } => {
                self.batch = None;
                self.batches_finished = batch + 1;
            }
            Fact::BudgetPassed { reason, then: AfterBudget::Wait } => {
                self.pause(Pause { reason: reason.clone(), by: None }, event.at);
            }
            Fact::BudgetPassed { reason, then: AfterBudget::Stop } => {
                self.stop(Stop { reason: reason.clone(), overdue: false, at: event.at });
            }
            Fact::DeadlinePassed => {
                let reason = "the rollout was not over at its deadline".to_owned();
                self.stop(Stop { reason, overdue: true, at: event.at });
            }
            Fact::Paused { by } => {
                self.pause(Pause { reason: by.to_string(), by: Some(by.clone()) }, event.at);
            }
            Fact::Resumed { .. } => {
                if self.paused.as_ref().is_some_and(|pause| pause.by.is_none()) {
                    self.lookup.failures.forgive();
                }
                self.resume(event.at);
            }
            Fact::Promoted { .. } => {
                if let Some(gap) = &mut self.gap {
                    gap.promoted = true;
                }
            }
            Fact::Retried { hosts, .. } => {
                hosts.iter().for_each(|host| self.retry(host));
                self.resume(event.at);
            }
            Fact::Skipped { host, .. } => {
                if let Some(&index) = self.lookup.by_name.get(host) {
                    self.lookup.skipped.insert(index);
                    self.lookup.failures.excuse(index);
                }
            }
            Fact::Extended { deadline, .. } => self.deadline = Some(*deadline),
            Fact::Dispatched { task, hosts, fence } => self.dispatched(task, hosts, *fence),
            Fact::Recalled { task } => {
                if let Some(part) = self.dispatches.iter_mut().rev().find(|p| p.task == *task) {
                    part.recalled = true;
                }
            }
            Fact::HostStarted { host } => self.host_began(host),
            Fact::StepStarted { host, step } => {
                self.host_began(host);
                if let Some(index) = self.lookup.by_name.get(host) {
                    self.hosts[*index].step = Some(*step);
                }
            }
            Fact::HostFinished { result } => self.host_finished(result),
            Fact::CancelRequested { reason, who } => {
                let by = Actor::new(who.as_deref().unwrap_or_default(), reason.as_str());
                self.cancel.get_or_insert_with(|| by.to_string());
            }
            Fact::Finished { outcome, failure } => {
                self.hold = None;
                self.paused = None;
                self.gap = None;
                self.outcome = Some(*outcome);
                self.failure.clone_from(failure);
            }
            Fact::Accepted { .. }
            | Fact::TaskAccepted { .. }
            | Fact::StepFinished { .. }
            | Fact::Output { .. }
            | Fact::AttemptFailed { .. } => {}
        }
    }

    fn resolved(&mut self, targets: &[Target]) {
        for target in targets {
            let index = self.hosts.len();
            if self.lookup.by_name.contains_key(&target.host) {
                continue;
            }
            self.lookup.by_name.insert(target.host.clone(), index);
            self.hosts.push(HostState {
                target: target.clone(),
                step: None,
                result: None,
                dispatch: None,
            });
        }
    }

    fn rollout_started(&mut self, batches: &[Vec<HostName>], deadline: Option<Timestamp>) {
        self.hold = None;
        self.began = true;
        self.deadline = deadline;
        self.batches = batches.to_vec();
        for (number, hosts) in (0..).zip(batches) {
            let indices = hosts.iter().filter_map(|host| self.lookup.by_name.get(host));
            self.lookup.batch_of.extend(indices.map(|index| (*index, number)));
        }
    }

    /// The rollout stands from now on.
    fn stands(&mut self, at: Timestamp) {
        if self.began {
            self.lookup.standing.get_or_insert(at);
        }
    }

    /// The rollout goes on, unless something else lets it stand: the time it stood does not count.
    fn goes_on(&mut self, at: Timestamp) {
        if self.paused.is_some() || self.gap.is_some() {
            return;
        }
        if let (Some(since), Some(deadline)) = (self.lookup.standing.take(), self.deadline) {
            self.deadline = Some(deadline.plus(at.since(since)));
        }
    }

    fn pause(&mut self, pause: Pause, at: Timestamp) {
        self.hold = Some(Hold::new(pause.reason.clone(), None));
        self.paused = Some(pause);
        self.stands(at);
    }

    fn resume(&mut self, at: Timestamp) {
        if self.paused.take().is_some() {
            self.hold = self.gap.as_ref().map(Gap::as_hold);
        }
        self.goes_on(at);
    }

    /// The first reason to stop stays; that the deadline has passed comes on top, because then even
    /// what runs is not waited for.
    fn stop(&mut self, stop: Stop) {
        if self.stopped.as_ref().is_none_or(|stopped| stop.overdue && !stopped.overdue) {
            self.stopped = Some(stop);
        }
    }

    /// A failed host is done again.
    fn retry(&mut self, name: &HostName) {
        let Some(&index) = self.lookup.by_name.get(name) else {
            return;
        };
        let host = &mut self.hosts[index];
        let failed = |result: &mut HostResult| result.status != HostStatus::Succeeded;
        let Some(result) = host.result.take_if(failed) else {
            return;
        };
        if let Some(part) = host.dispatch.take() {
            self.dispatches[part].earlier.push(result);
        }
        self.lookup.ended -= 1;
        self.lookup.unsuccessful.remove(&index);
        self.lookup.failures.excuse(index);
        self.lookup.pending.insert(index);
        self.lookup.retried.insert(index);
    }

    fn host_began(&mut self, name: &HostName) {
        if let Some(index) = self.lookup.by_name.get(name)
            && self.lookup.in_flight.contains(index)
        {
            self.lookup.begun.insert(*index);
        }
    }

    fn batch_started(&mut self, batch: u32) {
        self.batch = Some(batch);
        self.gap = None;
        self.hold = None;
        let hosts = self.batches.get(batch as usize).into_iter().flatten();
        let index = hosts.filter_map(|name| self.lookup.by_name.get(name).copied());
        let untouched = |index: &usize| {
            let host = &self.hosts[*index];
            host.dispatch.is_none() && host.result.is_none()
        };
        let pending: Vec<_> = index.filter(untouched).collect();
        self.lookup.pending.extend(pending);
    }

    fn dispatched(&mut self, task: &TaskId, hosts: &[HostName], fence: Fence) {
        for name in hosts {
            let Some(&index) = self.lookup.by_name.get(name) else {
                continue;
            };
            self.hosts[index].dispatch = Some(self.dispatches.len());
            self.lookup.pending.remove(&index);
            if self.hosts[index].result.is_none() {
                self.lookup.in_flight.insert(index);
            }
        }
        self.dispatches.push(Dispatch {
            task: task.clone(),
            hosts: hosts.to_vec(),
            fence,
            recalled: false,
            earlier: Vec::new(),
        });
    }

    fn host_finished(&mut self, result: &HostResult) {
        let Some(&index) = self.lookup.by_name.get(&result.host) else {
            return;
        };
        let host = &mut self.hosts[index];
        if host.result.is_some() {
            return;
        }
        host.step = None;
        self.lookup.in_flight.remove(&index);
        self.lookup.begun.remove(&index);
        let recalled = host.dispatch.is_some_and(|part| self.dispatches[part].recalled);
        let over = self.cancel.is_some() || self.stopped.is_some();
        if recalled && !over && is_stopped(result.status) {
            // Its part was taken back: its turn comes again.
            host.dispatch = None;
            self.lookup.pending.insert(index);
            return;
        }
        host.result = Some(result.clone());
        self.lookup.ended += 1;
        self.lookup.pending.remove(&index);
        self.lookup.retried.remove(&index);
        if result.status == HostStatus::Succeeded {
            self.lookup.failures.succeeded();
            return;
        }
        self.lookup.unsuccessful.insert(index);
        if self.counts(index, result) {
            let batch = self.lookup.batch_of.get(&index).copied().unwrap_or(0);
            self.lookup.failures.add(index, batch);
        }
    }

    /// Says whether an unsuccessful host counts against the failure budget.
    fn counts(&self, host: usize, result: &HostResult) -> bool {
        let ours = self.paused.is_some() || self.stopped.is_some() || self.cancel.is_some();
        if self.lookup.skipped.contains(&host) || (ours && is_stopped(result.status)) {
            return false;
        }
        let unreachable = |failure: &Failure| {
            matches!(failure.code, FailureCode::HostUnreachable | FailureCode::AgentUnreachable)
        };
        let unreachable = result.failure.as_ref().is_some_and(unreachable);
        !unreachable || self.rollout().is_none_or(|rollout| rollout.failures.unreachable_counts)
    }

    /// How a deployment is rolled out; none for a release task, whose hosts were let go together.
    pub(crate) fn rollout(&self) -> Option<&RolloutSpec> {
        match &self.subject {
            Subject::Deployment { request, .. } => Some(&request.rollout),
            Subject::Release { .. } => None,
        }
    }

    /// The failed hosts that count against the failure budget.
    pub(crate) fn failures(&self) -> &Failures {
        &self.lookup.failures
    }

    /// Says whether the rollout stands: its deadline does not run then.
    pub(crate) fn is_standing(&self) -> bool {
        self.lookup.standing.is_some()
    }

    /// Says whether a host is known to have begun, and has not ended.
    pub(crate) fn has_begun(&self, name: &HostName) -> bool {
        self.lookup.by_name.get(name).is_some_and(|index| self.lookup.begun.contains(index))
    }

    /// Says whether the deployment goes on without a host.
    #[must_use]
    pub fn is_skipped(&self, name: &HostName) -> bool {
        self.lookup.by_name.get(name).is_some_and(|index| self.lookup.skipped.contains(index))
    }

    /// Says whether hosts are being done again, because somebody asked for it.
    pub(crate) fn is_retrying(&self) -> bool {
        !self.lookup.retried.is_empty()
    }

    /// The state of a host.
    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&HostState> {
        self.lookup.by_name.get(name).map(|index| &self.hosts[*index])
    }

    /// The hosts of the present batch that were not handed to an executor, in their order.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = &HostState> {
        self.lookup.pending.iter().map(|index| &self.hosts[*index])
    }

    /// The hosts that were handed to an executor and have not ended.
    pub fn in_flight(&self) -> impl ExactSizeIterator<Item = &HostState> {
        self.lookup.in_flight.iter().map(|index| &self.hosts[*index])
    }

    /// How many hosts have ended, well or not.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.lookup.ended
    }

    /// The results of all hosts that have ended, in the order of the hosts.
    pub fn results(&self) -> impl Iterator<Item = &HostResult> {
        self.hosts.iter().filter_map(|host| host.result.as_ref())
    }

    /// The results of the hosts that ended otherwise than well, in the order of the hosts.
    pub fn unsuccessful(&self) -> impl ExactSizeIterator<Item = &HostResult> {
        let result = |index: &usize| self.hosts[*index].result.as_ref();
        let results: Vec<_> = self.lookup.unsuccessful.iter().filter_map(result).collect();
        results.into_iter()
    }
}

/// Says whether a host ended like one that was stopped, or whose turn did not come.
fn is_stopped(status: HostStatus) -> bool {
    matches!(status, HostStatus::NotStarted | HostStatus::Cancelled)
}
