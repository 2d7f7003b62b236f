//! The end of a task: its terminal state, and a result for every host.

use super::{Next, rollback};
use crate::event::Fact;
use crate::failure::{Failure, FailureCode};
use crate::model::{HostName, HostResult, HostStatus, Outcome};
use crate::state::{HostState, Rollback, Stop, TaskState};

/// The end of a task in which nothing is being done any more.
pub(super) fn finish(state: &TaskState) -> Next {
    Next::Finish(end(state))
}

/// The end of a task that fails as a whole, wherever it is. What hosts in flight did is not known.
pub(in crate::engine) fn fail(state: &TaskState, failure: Failure) -> Vec<Fact> {
    let mut facts = unknown(state, &failure);
    facts.extend(end_as(state, Outcome::Failed, Some(failure)));
    facts
}

/// The end of a task whose hosts in flight were not heard of in time.
pub(super) fn abandon(state: &TaskState) -> Next {
    let mut facts = unheard(state);
    facts.extend(end(state));
    Next::Finish(facts)
}

/// The results of the hosts in flight, which were not heard of in time.
pub(super) fn unheard(state: &TaskState) -> Vec<Fact> {
    let message = "it was not heard of in time after the rollout's deadline";
    unknown(state, &Failure::new(FailureCode::Unknown, message))
}

/// The results of the hosts in flight, where what they did is not known.
fn unknown(state: &TaskState, failure: &Failure) -> Vec<Fact> {
    let unknown = |host: &HostState| {
        let host = host.target.host.clone();
        let failure = failure.clone().with_host(host.clone());
        Fact::HostFinished { result: HostResult::failed(host, HostStatus::Unknown, failure) }
    };
    state.in_flight().map(unknown).collect()
}

fn end(state: &TaskState) -> Vec<Fact> {
    let (outcome, failure) = match &state.rollback {
        Some(rollback) => put_back(state, rollback),
        None => rolled_out(state),
    };
    end_as(state, outcome, failure)
}

/// How a task ends whose hosts were not put back.
fn rolled_out(state: &TaskState) -> (Outcome, Option<Failure>) {
    let all = !state.hosts.is_empty() && state.ended() == state.hosts.len();
    if all && state.unsuccessful().len() == 0 {
        return match state.aim() {
            HostStatus::RolledBack => (Outcome::RolledBack, None),
            _ => (Outcome::Succeeded, None),
        };
    }
    if let Some(reason) = &state.cancel {
        return (Outcome::Cancelled, Some(cancelled(reason)));
    }
    // Hosts were to go back, and none of them serves the release: some did so by themselves.
    let by_themselves = state.wanted_rollback.is_some() || state.results().any(is_back);
    if rollback::wanted(state).is_some() && by_themselves {
        return (Outcome::RolledBack, Some(rollback::reason(state)));
    }
    (Outcome::Failed, Some(failed(state)))
}

/// How a deployment ends whose hosts were put back, or were to be.
fn put_back(state: &TaskState, rollback: &Rollback) -> (Outcome, Option<Failure>) {
    let hosts = || state.batches.iter().flatten().filter_map(|name| state.host(name));
    let left = hosts().filter(|host| !host.result.as_ref().is_some_and(is_back)).count();
    if left == 0 {
        return (Outcome::RolledBack, Some(rollback.failure.clone()));
    }
    if let Some(reason) = &state.cancel {
        return (Outcome::Cancelled, Some(cancelled(reason)));
    }
    let because = &rollback.failure.message;
    let (all, were) = (hosts().count(), were(left));
    let counts = format!("{left} of {all} hosts {were} not put back, after: {because}");
    if let Some(stopped) = overdue(state) {
        return (Outcome::Failed, Some(timed_out(stopped, &format!("({counts})"))));
    }
    let failure = hosts().filter_map(|host| host.result.as_ref()).filter(|result| !is_back(result));
    let failure = failure.filter_map(|result| result.failure.clone()).next();
    let failure = failure.unwrap_or_else(|| rollback.failure.clone());
    let message = format!("{} ({counts})", failure.message);
    (Outcome::Failed, Some(Failure { message, ..failure }))
}

fn were(hosts: usize) -> &'static str {
    if hosts == 1 { "was" } else { "were" }
}

fn is_back(result: &HostResult) -> bool {
    result.status == HostStatus::RolledBack
}

fn cancelled(reason: &str) -> Failure {
    Failure::new(FailureCode::Cancelled, format!("cancelled: {reason}"))
}

fn overdue(state: &TaskState) -> Option<&Stop> {
    state.stopped.as_ref().filter(|stopped| stopped.overdue)
}

fn timed_out(stopped: &Stop, counts: &str) -> Failure {
    Failure::new(FailureCode::TimedOut, format!("{} {counts}", stopped.reason))
}

fn end_as(state: &TaskState, outcome: Outcome, failure: Option<Failure>) -> Vec<Fact> {
    let finished = |result| Fact::HostFinished { result };
    let mut facts: Vec<_> = not_started(state, outcome).into_iter().map(finished).collect();
    facts.push(Fact::Finished { outcome, failure });
    facts
}

/// The failure of a task whose hosts did not all succeed: that of the first host that failed, with
/// the counts.
pub(super) fn failed(state: &TaskState) -> Failure {
    let of = state.hosts.len();
    let begun = |result: &&HostResult| result.status != HostStatus::NotStarted;
    let count = state.unsuccessful().filter(begun).count();
    let left = match of - state.ended() + state.unsuccessful().len() - count {
        0 => String::new(),
        left => format!(", {left} {} not started", were(left)),
    };
    let counts = format!("({count} of {of} hosts failed{left})");
    if let Some(stopped) = overdue(state) {
        return timed_out(stopped, &counts);
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
        _ if state.began => (FailureCode::RolloutStopped, "the rollout stopped before its turn"),
        _ => (FailureCode::RolloutStopped, "the deployment ended before its turn"),
    };
    let result = |host: &HostName| {
        let failure = Failure::new(code, message).with_host(host.clone());
        HostResult::failed(host.clone(), HostStatus::NotStarted, failure)
    };
    let left = state.hosts.iter().filter(|host| host.result.is_none() && host.dispatch.is_none());
    left.map(|host| result(&host.target.host)).collect()
}
