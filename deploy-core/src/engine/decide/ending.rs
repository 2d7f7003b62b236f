//! The end of a task: its terminal state, and a result for every host.

use super::Next;
use crate::event::Fact;
use crate::failure::{Failure, FailureCode};
use crate::model::{HostName, HostResult, HostStatus, Outcome};
use crate::state::TaskState;

/// The end of a task in which nothing is being done any more.
pub(super) fn finish(state: &TaskState) -> Next {
    Next::Finish(end(state))
}

/// The end of a deployment that did not begin in time.
pub(super) fn too_late(state: &TaskState, failure: Failure) -> Next {
    Next::Finish(end_as(state, Outcome::Failed, Some(failure)))
}

/// The end of a task whose hosts in flight were not heard of in time: what they did is not known.
pub(super) fn abandon(state: &TaskState) -> Next {
    let unknown = |host: &HostName| {
        let message = "it was not heard of in time after the rollout's deadline";
        let failure = Failure::new(FailureCode::Unknown, message).with_host(host.clone());
        let result = HostResult::failed(host.clone(), HostStatus::Unknown, failure);
        Fact::HostFinished { result }
    };
    let mut facts: Vec<_> = state.in_flight().map(|host| unknown(&host.target.host)).collect();
    let lost = |fact: &Fact| {
        let Fact::HostFinished { result } = fact else { return false };
        state.host(&result.host).is_some_and(|host| host.dispatch.is_some())
    };
    facts.extend(end(state).into_iter().filter(|fact| !lost(fact)));
    Next::Finish(facts)
}

fn end(state: &TaskState) -> Vec<Fact> {
    let all = !state.hosts.is_empty() && state.ended() == state.hosts.len();
    let (outcome, failure) = match &state.cancel {
        _ if all && state.unsuccessful().len() == 0 => match state.aim() {
            HostStatus::RolledBack => (Outcome::RolledBack, None),
            _ => (Outcome::Succeeded, None),
        },
        Some(reason) => {
            let failure = Failure::new(FailureCode::Cancelled, format!("cancelled: {reason}"));
            (Outcome::Cancelled, Some(failure))
        }
        None => (Outcome::Failed, Some(failed(state))),
    };
    end_as(state, outcome, failure)
}

fn end_as(state: &TaskState, outcome: Outcome, failure: Option<Failure>) -> Vec<Fact> {
    let finished = |result| Fact::HostFinished { result };
    let mut facts: Vec<_> = not_started(state, outcome).into_iter().map(finished).collect();
    facts.push(Fact::Finished { outcome, failure });
    facts
}

/// The failure of a task whose hosts did not all succeed: that of the first host that failed, with
/// the counts.
fn failed(state: &TaskState) -> Failure {
    let of = state.hosts.len();
    let begun = |result: &&HostResult| result.status != HostStatus::NotStarted;
    let count = state.unsuccessful().filter(begun).count();
    let left = match of - state.ended() + state.unsuccessful().len() - count {
        0 => String::new(),
        left => format!(", {left} were not started"),
    };
    let counts = format!("({count} of {of} hosts failed{left})");
    if let Some(stopped) = state.stopped.as_ref().filter(|stopped| stopped.overdue) {
        return Failure::new(FailureCode::TimedOut, format!("{} {counts}", stopped.reason));
    }
    // One that was begun tells more than one that was not.
    let first = state.unsuccessful().find(begun).or_else(|| state.unsuccessful().next());
    let Some(first) = first else {
        return Failure::new(FailureCode::Internal, "no host was done");
    };
    let Some(cause) = &first.failure else {
        let message = format!("{} ended as {} {counts}", first.host, first.status);
        return Failure::new(FailureCode::Internal, message).with_host(first.host.clone());
    };
    let mut failure = cause.clone();
    failure.host = Some(first.host.clone());
    failure.message = format!("{} {counts}", cause.message);
    failure
}

/// The results of the hosts whose turn did not come.
fn not_started(state: &TaskState, outcome: Outcome) -> Vec<HostResult> {
    let (code, message) = match outcome {
        Outcome::Cancelled => (FailureCode::Cancelled, "cancelled before its turn"),
        _ => (FailureCode::RolloutStopped, "the rollout stopped before its turn"),
    };
    let result = |host: &HostName| {
        let failure = Failure::new(code, message).with_host(host.clone());
        HostResult::failed(host.clone(), HostStatus::NotStarted, failure)
    };
    let left = state.hosts.iter().filter(|host| host.result.is_none());
    left.map(|host| result(&host.target.host)).collect()
}
