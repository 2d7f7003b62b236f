//! How far each host has come, and the parts that were handed out.

use serde::Serialize;

use super::TaskState;
use crate::failure::{Failure, FailureCode};
use crate::model::{Fence, HostName, HostResult, HostStatus, Target, TaskId};
use crate::release_step::Step;

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

/// What becomes of hosts, fact by fact.
impl TaskState {
    /// A failed host is done again.
    pub(super) fn retry(&mut self, name: &HostName) {
        let Some(&index) = self.lookup.by_name.get(name) else {
            return;
        };
        let aim = self.aim();
        if self.hosts[index].result.as_ref().is_some_and(|result| result.status != aim) {
            self.open_again(index);
            self.lookup.pending.insert(index);
            self.lookup.retried.insert(index);
        }
    }

    /// A host that has ended is to be done again, as part of another part.
    pub(super) fn open_again(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        let Some(result) = host.result.take() else {
            return;
        };
        if let Some(part) = host.dispatch.take() {
            self.dispatches[part].earlier.push(result);
        }
        self.lookup.ended -= 1;
        self.lookup.unsuccessful.remove(&index);
        self.lookup.failures.excuse(index);
    }

    /// A host that had succeeded was found to have failed since.
    pub(super) fn failed_later(&mut self, result: &HostResult) {
        let Some(&index) = self.lookup.by_name.get(&result.host) else {
            return;
        };
        let known = self.hosts[index].result.as_ref();
        if known.is_some_and(|known| known.status == HostStatus::Succeeded) {
            self.hosts[index].result = Some(result.clone());
            self.ended_badly(index, result);
        }
    }

    pub(super) fn host_began(&mut self, name: &HostName) {
        if let Some(index) = self.lookup.by_name.get(name)
            && self.lookup.in_flight.contains(index)
        {
            self.lookup.begun.insert(*index);
        }
    }

    pub(super) fn dispatched(&mut self, task: &TaskId, hosts: &[HostName], fence: Fence) {
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

    pub(super) fn host_finished(&mut self, result: &HostResult) {
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
        if result.status == self.aim() {
            self.lookup.failures.succeeded();
            return;
        }
        self.ended_badly(index, result);
    }

    fn ended_badly(&mut self, index: usize, result: &HostResult) {
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
}

/// Says whether a host ended like one that was stopped, or whose turn did not come.
fn is_stopped(status: HostStatus) -> bool {
    matches!(status, HostStatus::NotStarted | HostStatus::Cancelled)
}
