//! What is known about a task's hosts: a fold over the agent's events.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::model::{
    HostName, HostResult, HostStatus, Outcome, ReleaseReport, ReleaseTask, TaskId,
};
use deploy_core::{Event, Fact, Failure, FailureCode, Sequence};

/// What is known so far. An agent is believed about the hosts of its task, and about nothing else.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    task: TaskId,
    hosts: Vec<HostName>,
    results: BTreeMap<HostName, HostResult>,
    started: BTreeSet<HostName>,
    last: Sequence,
    finished: bool,
    /// How the agent ended the task, and why, when it was no success.
    ended: Option<(Outcome, Failure)>,
}

impl Progress {
    pub(super) fn new(task: &ReleaseTask) -> Self {
        Self {
            task: task.id.clone(),
            hosts: task.hosts.iter().map(|host| host.host.clone()).collect(),
            results: BTreeMap::new(),
            started: BTreeSet::new(),
            last: Sequence::START,
            finished: false,
            ended: None,
        }
    }

    /// The last event that was taken.
    pub(super) fn last(&self) -> Sequence {
        self.last
    }

    /// Says whether the task has ended.
    pub(super) fn finished(&self) -> bool {
        self.finished
    }

    /// Begins again, for an agent that has lost its journal. What is known of hosts stays, and any of
    /// them may have been begun.
    pub(super) fn begin_again(&mut self) {
        self.last = Sequence::START;
        self.started.extend(self.hosts.iter().cloned());
    }

    /// Takes an event, and gives its fact when it is one to be reported.
    pub(super) fn take(&mut self, event: Event) -> Option<Fact> {
        if event.task != self.task || event.sequence <= self.last {
            return None;
        }
        self.last = event.sequence;
        let host = match &event.fact {
            Fact::HostStarted { host }
            | Fact::StepStarted { host, .. }
            | Fact::StepFinished { host, .. }
            | Fact::Output { host, .. } => host,
            Fact::HostFinished { result } => &result.host,
            Fact::Finished { outcome, failure } => {
                self.finished = true;
                self.ended = failure.clone().map(|failure| (*outcome, failure));
                return None;
            }
            _ => return None,
        };
        if !self.hosts.contains(host) {
            return None;
        }
        self.started.insert(host.clone());
        if let Fact::HostFinished { result } = &event.fact {
            let known = self.results.insert(host.clone(), result.clone());
            if known.as_ref() == Some(result) {
                return None;
            }
        }
        Some(event.fact)
    }

    /// Closes the task: what is still open is not known. Gives the results that were made up.
    pub(super) fn close(&mut self) -> Vec<HostResult> {
        let mut open = Vec::new();
        for host in &self.hosts {
            if !self.results.contains_key(host) {
                let message = "the agent ended the task without a word on this host";
                let silent = || Failure::new(FailureCode::Unknown, message);
                // Where the agent never began with the host, its own reason is the whole story.
                let (status, failure) = match &self.ended {
                    Some((outcome, failure)) if !self.started.contains(host) => {
                        let cancelled = *outcome == Outcome::Cancelled;
                        let status =
                            if cancelled { HostStatus::NotStarted } else { HostStatus::Failed };
                        (status, failure.clone())
                    }
                    _ => (HostStatus::Unknown, silent()),
                };
                let failure = failure.with_host(host.clone());
                let result = HostResult::failed(host.clone(), status, failure);
                self.results.insert(host.clone(), result.clone());
                open.push(result);
            }
        }
        open
    }

    /// The report: what is known of each host, in the task's order.
    pub(super) fn report(&self) -> ReleaseReport {
        let results = self.hosts.iter().filter_map(|host| self.results.get(host));
        ReleaseReport::new(results.cloned().collect())
    }
}
