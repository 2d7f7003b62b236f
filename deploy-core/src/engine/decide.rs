//! What to do next for a task: pure, from its state and the time.

mod budget;
pub(super) mod ending;
mod look;
mod rollback;
mod rollout;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::Fact;
use crate::model::{Target, TaskId, Timestamp};
use crate::state::{HostState, Phase, Subject, TaskState};

/// How long hosts in flight are waited for when the deadline has passed and they were cancelled: what
/// stops a release, and puts a host back, has its own hooks to run. Then they are called unknown.
const OVERDUE: Duration = Duration::from_secs(10 * 60);

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
    /// Record these facts, which follow from the state alone.
    Record(Vec<Fact>),
    /// Hand hosts to an executor, as the part of the task with this number.
    Dispatch { number: usize, hosts: Vec<Target> },
    /// Hand a part to an executor again that was handed out before this process took over.
    Resume { number: usize },
    /// Wait for hosts that are being done, at most until a time, after cancelling all of them where
    /// that is due, or only the parts that were taken back.
    Await { cancel: bool, until: Option<Timestamp> },
    /// Nothing is being done, and nothing is to start before this time, or before a person says so.
    Stand(Option<Timestamp>),
    /// Look whether these hosts, which serve the release, are healthy still.
    Look(Vec<Target>),
    /// Come to the end, with these facts: the results of hosts that have none, then the terminal
    /// state.
    Finish(Vec<Fact>),
    /// Nothing: it is finished.
    Nothing,
}

/// What only the process knows that is at a task.
#[derive(Clone, Debug, Default)]
pub(super) struct Here {
    /// The parts that it has handed to executors.
    pub(super) running: BTreeSet<TaskId>,
    /// When it has last looked at the hosts that are done.
    pub(super) looked: Option<Timestamp>,
}

/// Decides what to do next.
pub(super) fn decide(state: &TaskState, now: Timestamp, here: &Here) -> Next {
    if state.phase == Phase::Finished {
        return Next::Nothing;
    }
    // What was handed out before this process took over is asked for first, also when the task is to
    // be cancelled: only its executor knows where those hosts stand.
    let lost = |host: &&HostState| {
        host.dispatch.is_some_and(|number| !here.running.contains(&state.dispatches[number].task))
    };
    if let Some(number) = state.in_flight().find(lost).and_then(|host| host.dispatch) {
        return Next::Resume { number };
    }
    if let Some(next) = at_deadline(state, now) {
        return next;
    }
    if state.cancel.is_some() {
        return run_out(state, true).unwrap_or_else(|| ending::finish(state));
    }
    if let Some(stopped) = &state.stopped {
        let cancel = stopped.overdue || cancels_running(state);
        let over = || rollback::start(state, now).unwrap_or_else(|| ending::finish(state));
        return run_out(state, cancel).unwrap_or_else(over);
    }
    if let Some(pause) = &state.paused {
        let cancel = pause.by.is_none() && cancels_running(state);
        return run_out(state, cancel).unwrap_or(Next::Stand(None));
    }
    if let Subject::Deployment { request, .. } = &state.subject
        && !state.began
        && let Some(failure) = request.too_late(now)
    {
        return Next::Finish(ending::fail(state, failure));
    }
    if state.hosts.is_empty() {
        return Next::Resolve;
    }
    if let Subject::Deployment { request, .. } = &state.subject
        && !state.began
    {
        if state.package.is_none() && request.rollback.is_none() {
            return Next::Verify;
        }
        if let Some(due) = request.not_before
            && !request.is_due(now)
        {
            return Next::WaitUntil(due);
        }
    }
    if !state.began {
        return Next::AskGates;
    }
    rollout::roll_out(state, now, here.looked)
}

/// What the deadline asks for, when it has passed: it does not while the rollout stands.
fn at_deadline(state: &TaskState, now: Timestamp) -> Option<Next> {
    let deadline = state.deadline?;
    match &state.stopped {
        Some(stopped) if stopped.overdue => {
            let late = now >= stopped.at.plus(OVERDUE) && state.in_flight().len() > 0;
            let goes_back = rollback::wanted(state).is_some();
            late.then(|| match goes_back {
                true => Next::Record(ending::unheard(state)),
                false => ending::abandon(state),
            })
        }
        _ if now >= deadline && !state.is_standing() => {
            // What is over anyhow comes to its end as it is.
            let idle = state.in_flight().len() == 0;
            let stops = state.cancel.is_some() || state.stopped.is_some();
            let over = idle && (stops || state.ended() == state.hosts.len());
            (!over).then(|| Next::Record(vec![Fact::DeadlinePassed]))
        }
        _ => None,
    }
}

/// When there is something to decide although nothing happens.
pub(super) fn next_moment(state: &TaskState) -> Option<Timestamp> {
    match &state.stopped {
        Some(stopped) if stopped.overdue => Some(stopped.at.plus(OVERDUE)),
        _ if state.is_standing() => None,
        _ => state.deadline,
    }
}

/// Says whether running hosts are cancelled when the failure budget is passed.
fn cancels_running(state: &TaskState) -> bool {
    let cancel = crate::model::RunningHosts::Cancel;
    state.rollout().is_some_and(|rollout| rollout.failures.running == cancel)
}

/// Lets what is being done come to its end, and takes back what is not known to have begun. `None`
/// when nothing is being done.
fn run_out(state: &TaskState, cancel: bool) -> Option<Next> {
    if state.in_flight().len() == 0 {
        return None;
    }
    let recalled = if cancel { Vec::new() } else { unbegun(state) };
    if recalled.is_empty() {
        return Some(Next::Await { cancel, until: next_moment(state) });
    }
    Some(Next::Record(recalled))
}

/// The facts that take back the parts in flight none of whose hosts is known to have begun.
fn unbegun(state: &TaskState) -> Vec<Fact> {
    // The hosts of a release task were let go together, and so are not taken back one by one.
    if state.rollout().is_none() {
        return Vec::new();
    }
    let mut parts = BTreeSet::new();
    let mut begun = BTreeSet::new();
    for host in state.in_flight() {
        let Some(number) = host.dispatch.filter(|part| !state.dispatches[*part].recalled) else {
            continue;
        };
        parts.insert(number);
        if state.has_begun(&host.target.host) {
            begun.insert(number);
        }
    }
    let recall = |number: &usize| Fact::Recalled { task: state.dispatches[*number].task.clone() };
    parts.difference(&begun).map(recall).collect()
}

#[cfg(test)]
mod tests;
