//! How far a task has come: a fold over its events.

mod failures;
mod host;
mod phase;
mod rollback;
mod standing;
mod subject;

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

pub(crate) use failures::Failures;
pub use host::{Dispatch, HostState};
pub use phase::Phase;
pub use rollback::{Rollback, WantedRollback};
pub use standing::{Gap, Hold, Pause, Stop};
pub use subject::Subject;

use crate::event::{Event, Fact, Sequence};
use crate::failure::Failure;
use crate::model::{
    Actor, AfterBudget, HostName, HostResult, Outcome, PackageDigests, RolloutSpec, Target, TaskId,
    Timestamp,
};

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
    /// The rollback that somebody wants, until it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_rollback: Option<WantedRollback>,
    /// That its hosts are put back, once that has started: `batches` are those of the rollback then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
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
            wanted_rollback: None,
            rollback: None,
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
            Fact::InLine { .. } => self.hold = Some(Hold::new(event.fact.to_string(), None)),
            Fact::Waiting { until } => self.hold = Some(Hold::new(None, Some(*until))),
            Fact::Held { reason, until } => {
                self.hold = Some(Hold::new(reason.clone(), Some(*until)));
            }
            Fact::RolloutStarted { batches, deadline } => self.rollout_started(batches, *deadline),
            Fact::BatchHeld { batch, hold, until } => {
                let (batch, hold, until) = (*batch, *hold, *until);
                let gap = Gap { batch, hold, since: event.at, until, promoted: false };
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
            Fact::BudgetPassed { reason, then: AfterBudget::Stop | AfterBudget::RollBack } => {
                self.stop(Stop { reason: reason.clone(), overdue: false, at: event.at });
            }
            Fact::RollbackRequested { by, to } => {
                self.wanted_rollback = Some(WantedRollback { by: by.clone(), to: to.clone() });
                self.resume(event.at);
                self.stop(Stop { reason: by.to_string(), overdue: false, at: event.at });
            }
            Fact::RollbackStarted { failure, to, batches, deadline } => {
                self.rollback_started(failure, to, batches, *deadline);
            }
            Fact::HostFailedLater { result } => self.failed_later(result),
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
                // Whether the rest is held back is decided anew once they are done.
                self.gap = self.gap.take().filter(|gap| gap.promoted);
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
                self.runs_again(event.at);
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
            | Fact::RollbackFiled { .. }
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
