//! What an agent says of a task's hosts: a fold over its events, for executors that reach agents.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, Fact, Sequence};
use crate::failure::{Failure, FailureCode};
use crate::model::{HostName, HostResult, HostStatus, Outcome, ReleaseReport, ReleaseTask, TaskId};

/// What an agent has said of a task so far: for an [`Executor`](crate::Executor) that gives tasks
/// to agents, whatever the way to them.
///
/// An agent is believed about the hosts of its task, and about nothing else.
#[derive(Clone, Debug)]
pub struct AgentReport {
    task: TaskId,
    hosts: Vec<HostName>,
    results: BTreeMap<HostName, HostResult>,
    started: BTreeSet<HostName>,
    last: Sequence,
    finished: bool,
    /// How the agent ended the task, and why, when it was no success.
    ended: Option<(Outcome, Failure)>,
}

impl AgentReport {
    /// Nothing is known of a task yet.
    #[must_use]
    pub fn new(task: &ReleaseTask) -> Self {
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
    #[must_use]
    pub fn last(&self) -> Sequence {
        self.last
    }

    /// Says whether the task has ended.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Begins again, for an agent that has lost its journal. What is known of hosts stays, and any
    /// of them may have been begun.
    pub fn begin_again(&mut self) {
        self.last = Sequence::START;
        self.started.extend(self.hosts.iter().cloned());
    }

    /// Takes an event, and gives its fact when it is one to be reported.
    pub fn take(&mut self, event: Event) -> Option<Fact> {
        if event.task != self.task || event.sequence <= self.last {
            return None;
        }
        self.last = event.sequence;
        if let Fact::Finished { outcome, failure } = &event.fact {
            self.finished = true;
            self.ended = failure.clone().map(|failure| (*outcome, failure));
        }
        let host = event.fact.host().filter(|host| self.hosts.contains(host))?;
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
    pub fn close(&mut self) -> Vec<HostResult> {
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
    #[must_use]
    pub fn report(&self) -> ReleaseReport {
        let results = self.hosts.iter().filter_map(|host| self.results.get(host));
        ReleaseReport::new(results.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        BusinessName, DeploymentId, DeploymentRequest, Endpoint, Fence, HostAddress, HostPath,
        Md5Digest, PackageSource, PackageUrl, ProjectName, Target, Timestamp,
    };

    fn host(number: usize) -> HostName {
        HostName::new(format!("h{number}")).unwrap()
    }

    fn target(number: usize) -> Target {
        let endpoint = Endpoint::new("http://192.0.2.9").unwrap();
        let address = HostAddress::new("192.0.2.1").unwrap();
        Target::new(host(number), address, endpoint, HostPath::new("/srv/app").unwrap())
    }

    fn report() -> AgentReport {
        let url = PackageUrl::new("http://192.0.2.1/a.tar").unwrap();
        let package = PackageSource::new(url, Md5Digest::of(b"package"));
        let (business, project) = (BusinessName::new("b").unwrap(), ProjectName::new("p").unwrap());
        let request = DeploymentRequest::new(business, project, package.clone());
        let (id, deployment) = (TaskId::new("d.0").unwrap(), DeploymentId::new("d").unwrap());
        let hosts = vec![target(0), target(1)];
        let fence = Fence::new(1);
        AgentReport::new(&ReleaseTask::new(id, deployment, &request, package, hosts, fence))
    }

    fn event(number: u64, fact: Fact) -> Event {
        let (task, at) = (TaskId::new("d.0").unwrap(), Timestamp::now());
        Event::new(task, Sequence::new(number), at, fact)
    }

    /// How the two hosts ended of a task that was cancelled when the first had begun.
    fn cancelled(report: &mut AgentReport) -> Vec<HostStatus> {
        let started = Fact::HostStarted { host: host(0) };
        assert_eq!(report.take(event(1, started.clone())), Some(started));
        let failure = Some(Failure::new(FailureCode::Cancelled, "enough"));
        let end = Fact::Finished { outcome: Outcome::Cancelled, failure };
        assert_eq!(report.take(event(2, end)), None);
        assert!(report.finished());
        report.close().into_iter().map(|result| result.status).collect()
    }

    #[test]
    fn a_host_that_its_agent_never_began_with_was_not_started() {
        let mut report = report();
        assert_eq!(cancelled(&mut report), [HostStatus::Unknown, HostStatus::NotStarted]);
        assert_eq!(report.report().hosts.len(), 2);
    }

    #[test]
    fn what_an_agent_did_before_it_forgot_the_task_is_not_known() {
        let mut report = report();
        report.begin_again();
        assert_eq!(cancelled(&mut report), [HostStatus::Unknown, HostStatus::Unknown]);
    }

    #[test]
    fn an_agent_speaks_for_its_hosts_alone_and_says_nothing_twice() {
        let mut report = report();
        let strange = Fact::HostStarted { host: host(7) };
        assert_eq!(report.take(event(1, strange)), None);
        let started = Fact::HostStarted { host: host(1) };
        assert_eq!(report.take(event(1, started.clone())), None, "it has no new number");
        assert_eq!(report.take(event(2, started.clone())), Some(started));
    }
}
