//! How far a task has come: a fold over its events.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact, Sequence};
use crate::failure::Failure;
use crate::model::{
    BusinessName, DeploymentId, DeploymentRequest, Fence, HostName, HostResult, HostStatus,
    Outcome, PackageDigests, ProjectName, ReleaseTask, Target, TaskId, Timestamp,
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

/// How far a task has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// It is accepted, and prepared: hosts are resolved, the package is verified.
    #[default]
    Preparing,
    /// It waits for its scheduled time.
    Waiting,
    /// A gate holds it.
    Held,
    /// Hosts are being done.
    RollingOut,
    /// It has reached its terminal state.
    Finished,
}

impl Phase {
    /// The phase after a fact.
    pub(crate) fn after(self, fact: &Fact) -> Self {
        match fact {
            _ if self == Self::Finished => self,
            Fact::Waiting { .. } => Self::Waiting,
            Fact::Held { .. } => Self::Held,
            Fact::RolloutStarted { .. } => Self::RollingOut,
            Fact::Finished { .. } => Self::Finished,
            _ => self,
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
}

/// Why a deployment waits, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Hold {
    /// Why, in words; none where it waits for its scheduled time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when.
    pub until: Timestamp,
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
            Fact::Resolved { hosts } => self.resolved(hosts),
            Fact::Verified { package } => self.package = Some(*package),
            Fact::Waiting { until } => self.hold = Some(Hold { reason: None, until: *until }),
            Fact::Held { reason, until } => {
                self.hold = Some(Hold { reason: Some(reason.clone()), until: *until });
            }
            Fact::RolloutStarted { batches } => {
                self.hold = None;
                self.batches.clone_from(batches);
            }
            Fact::BatchStarted { batch } => self.batch_started(*batch),
            Fact::BatchFinished { batch } => {
                self.batch = None;
                self.batches_finished = batch + 1;
            }
            Fact::Dispatched { task, hosts, fence } => self.dispatched(task, hosts, *fence),
            Fact::StepStarted { host, step } => {
                if let Some(index) = self.lookup.by_name.get(host) {
                    self.hosts[*index].step = Some(*step);
                }
            }
            Fact::HostFinished { result } => self.host_finished(result),
            Fact::CancelRequested { reason } => {
                self.cancel.get_or_insert_with(|| reason.clone());
            }
            Fact::Finished { outcome, failure } => {
                self.hold = None;
                self.outcome = Some(*outcome);
                self.failure.clone_from(failure);
            }
            Fact::Accepted { .. }
            | Fact::TaskAccepted { .. }
            | Fact::HostStarted { .. }
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

    fn batch_started(&mut self, batch: u32) {
        self.batch = Some(batch);
        let hosts = self.batches.get(batch as usize).into_iter().flatten();
        let index = hosts.filter_map(|name| self.lookup.by_name.get(name).copied());
        let untouched = |index: &usize| {
            let host = &self.hosts[*index];
            host.dispatch.is_none() && host.result.is_none()
        };
        self.lookup.pending = index.filter(untouched).collect();
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
        self.dispatches.push(Dispatch { task: task.clone(), hosts: hosts.to_vec(), fence });
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
        host.result = Some(result.clone());
        self.lookup.ended += 1;
        self.lookup.pending.remove(&index);
        self.lookup.in_flight.remove(&index);
        if result.status != HostStatus::Succeeded {
            self.lookup.unsuccessful.insert(index);
        }
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
