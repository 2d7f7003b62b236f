//! What to do next for a task: pure, from its state and the time.

use std::collections::BTreeSet;

use crate::event::Fact;
use crate::failure::{Failure, FailureCode};
use crate::model::{HostName, HostResult, HostStatus, Outcome, Target, TaskId, Timestamp};
use crate::state::{Phase, Subject, TaskState};

/// What to do next for a task.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Find the hosts.
    Resolve,
    /// Fetch and check the package.
    Verify,
    /// Come back at a time.
    WaitUntil(Timestamp),
    /// Ask the gates, and begin the rollout when they are open.
    AskGates,
    /// Begin a batch.
    StartBatch(u32),
    /// Hand hosts to an executor, as the part of the task with this number.
    Dispatch { number: usize, hosts: Vec<Target> },
    /// Hand a part to an executor again that was handed out before this process took over.
    Resume { number: usize },
    /// Say that a batch is over.
    FinishBatch(u32),
    /// Wait for hosts that are being done, after cancelling them where that is due.
    Await { cancel: bool },
    /// Come to the end, with these facts: the results of hosts that have none, then the terminal
    /// state.
    Finish(Vec<Fact>),
    /// Nothing: it is finished.
    Nothing,
}

/// Decides what to do next. `running` are the parts that this process has handed to executors.
pub(super) fn decide(state: &TaskState, now: Timestamp, running: &BTreeSet<TaskId>) -> Next {
    if state.phase == Phase::Finished {
        return Next::Nothing;
    }
    // What was handed out before this process took over is asked for first, also when the task is to
    // be cancelled: only its executor knows where those hosts stand.
    let lost = |host: &&crate::state::HostState| {
        host.dispatch.is_some_and(|number| !running.contains(&state.dispatches[number].task))
    };
    if let Some(number) = state.in_flight().find(lost).and_then(|host| host.dispatch) {
        return Next::Resume { number };
    }
    if state.cancel.is_some() {
        return on_cancel(state);
    }
    if let Subject::Deployment { request, .. } = &state.subject
        && state.phase != Phase::RollingOut
        && let Some(failure) = request.too_late(now)
    {
        return end(state, Outcome::Failed, Some(failure));
    }
    if state.hosts.is_empty() {
        return Next::Resolve;
    }
    if let Subject::Deployment { request, .. } = &state.subject
        && state.phase != Phase::RollingOut
    {
        if state.package.is_none() {
            return Next::Verify;
        }
        if let Some(due) = request.not_before
            && !request.is_due(now)
        {
            return Next::WaitUntil(due);
        }
    }
    if state.phase != Phase::RollingOut {
        return Next::AskGates;
    }
    roll_out(state)
}

fn on_cancel(state: &TaskState) -> Next {
    if state.in_flight().len() > 0 {
        return Next::Await { cancel: true };
    }
    finish(state)
}

fn roll_out(state: &TaskState) -> Next {
    let in_flight = state.in_flight().len();
    // A failed host stops the rollout of a deployment. The hosts of a release task were all let go
    // by the control node, which decides what a failure means.
    let stops = matches!(state.subject, Subject::Deployment { .. });
    if stops && state.unsuccessful().len() > 0 {
        return if in_flight > 0 { Next::Await { cancel: false } } else { finish(state) };
    }
    let Some(batch) = state.batch else {
        let next = state.batches_finished;
        let all = state.batches.len() <= next as usize;
        return if all { finish(state) } else { Next::StartBatch(next) };
    };
    let free = max_parallel(&state.subject).saturating_sub(in_flight);
    if free > 0 && state.pending().len() > 0 {
        let number = state.dispatches.len();
        return Next::Dispatch { number, hosts: next_hosts(state, free) };
    }
    if in_flight > 0 {
        return Next::Await { cancel: false };
    }
    Next::FinishBatch(batch)
}

/// How many hosts a part has at most: so that its task stays a document of ordinary size.
const MOST_HOSTS: usize = 1_000;

/// The next hosts to hand to an executor together: those that share the way of the first.
fn next_hosts(state: &TaskState, free: usize) -> Vec<Target> {
    let mut pending = state.pending().map(|host| &host.target);
    let Some(first) = pending.next() else {
        return Vec::new();
    };
    let together = pending.filter(|target| share_executor(first, target));
    std::iter::once(first).chain(together).take(free.min(MOST_HOSTS)).cloned().collect()
}

/// Says whether two hosts are handed out as one task: those of one agent are, and those that are
/// reached directly over the same scheme.
fn share_executor(one: &Target, other: &Target) -> bool {
    let agent = matches!(one.endpoint.scheme(), "http" | "https");
    if agent {
        one.endpoint == other.endpoint
    } else {
        one.endpoint.scheme() == other.endpoint.scheme()
    }
}

fn max_parallel(subject: &Subject) -> usize {
    match subject {
        Subject::Deployment { request, .. } => request.rollout.max_parallel as usize,
        Subject::Release { task } => task.max_parallel as usize,
    }
}

/// The end of a task in which nothing is being done any more.
fn finish(state: &TaskState) -> Next {
    let all = !state.hosts.is_empty() && state.ended() == state.hosts.len();
    let first = state.unsuccessful().next();
    let (outcome, failure) = match (&state.cancel, first) {
        (_, None) if all => (Outcome::Succeeded, None),
        (Some(reason), _) => {
            let failure = Failure::new(FailureCode::Cancelled, format!("cancelled: {reason}"));
            (Outcome::Cancelled, Some(failure))
        }
        (None, first) => (Outcome::Failed, Some(failed(state, first))),
    };
    end(state, outcome, failure)
}

/// The facts of an end in which nothing is being done any more.
fn end(state: &TaskState, outcome: Outcome, failure: Option<Failure>) -> Next {
    let finished = |result| Fact::HostFinished { result };
    let mut facts: Vec<_> = not_started(state, outcome).into_iter().map(finished).collect();
    facts.push(Fact::Finished { outcome, failure });
    Next::Finish(facts)
}

/// The failure of a task whose hosts did not all succeed.
fn failed(state: &TaskState, first: Option<&HostResult>) -> Failure {
    let count = state.unsuccessful().len();
    let of = state.hosts.len();
    let Some(first) = first else {
        return Failure::new(FailureCode::Internal, "no host was done");
    };
    let Some(cause) = &first.failure else {
        let message = format!("{count} of {of} hosts failed, first {}", first.host);
        return Failure::new(FailureCode::Internal, message);
    };
    let left = match of - state.ended() {
        0 => String::new(),
        left => format!(", {left} were not started"),
    };
    let mut failure = cause.clone();
    failure.host = Some(first.host.clone());
    failure.message = format!("{} ({count} of {of} hosts failed{left})", cause.message);
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

#[cfg(test)]
mod tests;
