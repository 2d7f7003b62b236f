//! What a person may do to a deployment, and when: pure, from its state.

use std::fmt;

use crate::event::{BatchHold, Fact};
use crate::failure::{Failure, FailureCode};
use crate::model::{Actor, HostName, HostResult, HostStatus, RollbackTarget, Timestamp};
use crate::state::{Phase, TaskState};

/// What a person may do to a deployment, cancelling it aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// Start nothing new.
    Pause,
    /// Go on.
    Resume,
    /// Let the rest follow the canary.
    Promote,
    /// Do the failed hosts again.
    RetryFailed,
    /// Go on without a host.
    Skip,
    /// Give the rollout more time.
    Extend,
    /// Put the hosts back.
    RollBack,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::RetryFailed => "retry the failed hosts of",
            Self::Skip => "skip a host of",
            Self::Extend => "extend",
            Self::RollBack => "roll back",
        })
    }
}

/// What a person wants, with what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Pause,
    Resume,
    Promote,
    RetryFailed,
    Skip(HostName),
    Extend(Timestamp),
    RollBack(RollbackTarget),
}

impl Wish {
    pub(super) fn verb(&self) -> Verb {
        match self {
            Self::Pause => Verb::Pause,
            Self::Resume => Verb::Resume,
            Self::Promote => Verb::Promote,
            Self::RetryFailed => Verb::RetryFailed,
            Self::Skip(_) => Verb::Skip,
            Self::Extend(_) => Verb::Extend,
            Self::RollBack(_) => Verb::RollBack,
        }
    }
}

/// The facts of a wish: none when it is fulfilled already. An error says why it makes no sense now,
/// unless the phase says it.
pub(super) fn facts(
    state: &TaskState,
    wish: &Wish,
    by: &Actor,
) -> Result<Vec<Fact>, Option<String>> {
    if state.phase == Phase::Finished {
        return Err(None);
    }
    before_the_end(state, wish, by.clone()).map_err(Some)
}

fn before_the_end(state: &TaskState, wish: &Wish, by: Actor) -> Result<Vec<Fact>, String> {
    if state.cancel.is_some() {
        return Err("it is being cancelled".to_owned());
    }
    if state.stopped.is_some() && !matches!(wish, Wish::RollBack(_)) {
        return Err("it is stopping".to_owned());
    }
    match wish {
        Wish::Pause if state.paused.is_some() => Ok(Vec::new()),
        Wish::Pause => Ok(vec![Fact::Paused { by }]),
        Wish::Resume if state.paused.is_none() => Ok(Vec::new()),
        Wish::Resume => {
            still_stopping(state)?;
            Ok(vec![Fact::Resumed { by, phase: phase_after_pause(state) }])
        }
        Wish::Promote => promote(state, by),
        Wish::RetryFailed => retry_failed(state, by),
        Wish::Skip(host) => skip(state, host, &by),
        Wish::Extend(deadline) => match state.deadline {
            None => Err("its rollout has not begun".to_owned()),
            Some(present) if present >= *deadline => Ok(Vec::new()),
            Some(_) => Ok(vec![Fact::Extended { by, deadline: *deadline }]),
        },
        Wish::RollBack(to) => roll_back(state, to, by),
    }
}

fn roll_back(state: &TaskState, to: &RollbackTarget, by: Actor) -> Result<Vec<Fact>, String> {
    let under_way = state.rollback.as_ref().map(|rollback| &rollback.to);
    let wanted = state.wanted_rollback.as_ref().map(|wanted| &wanted.to);
    match under_way.or(wanted) {
        Some(present) if present == to => Ok(Vec::new()),
        Some(present) => Err(format!("its hosts go back to {present}")),
        None if state.aim() == HostStatus::RolledBack => {
            Err("it undoes another deployment itself".to_owned())
        }
        None if !state.began => Err("its rollout has not begun".to_owned()),
        None => Ok(vec![Fact::RollbackRequested { by, to: to.clone() }]),
    }
}

fn phase_after_pause(state: &TaskState) -> Phase {
    if state.rollback.is_some() {
        return Phase::RollingBack;
    }
    match (&state.gap, state.began) {
        (Some(_), _) => Phase::Held,
        (None, true) => Phase::RollingOut,
        (None, false) => Phase::Preparing,
    }
}

/// Hosts that the failure budget stops are waited for, so that they are not taken for others that
/// failed afterwards.
fn still_stopping(state: &TaskState) -> Result<(), String> {
    let by_budget = state.paused.as_ref().is_some_and(|pause| pause.by.is_none());
    match state.in_flight().len() {
        1 if by_budget => Err("1 of its hosts has not ended yet".to_owned()),
        running @ 2.. if by_budget => Err(format!("{running} of its hosts have not ended yet")),
        _ => Ok(()),
    }
}

fn promote(state: &TaskState, by: Actor) -> Result<Vec<Fact>, String> {
    let canary = state.rollout().is_some_and(|rollout| rollout.canary.is_some());
    let not_done = || "its canary is not done yet".to_owned();
    match &state.gap {
        _ if state.rollback.is_some() => Err("its hosts are being put back".to_owned()),
        _ if !canary => Err("it has no canary".to_owned()),
        Some(gap) if gap.hold != BatchHold::Pause && !gap.promoted => {
            Ok(vec![Fact::Promoted { by }])
        }
        // Its last host has ended, and it is not held yet.
        None if state.batches_finished <= 1 && state.batch.is_none() => Err(not_done()),
        _ if state.batches_finished == 0 => Err(not_done()),
        _ => Ok(Vec::new()),
    }
}

fn retry_failed(state: &TaskState, by: Actor) -> Result<Vec<Fact>, String> {
    if state.paused.is_none() {
        return match state.is_retrying() {
            true => Ok(Vec::new()),
            false => Err("it is neither paused nor finished".to_owned()),
        };
    }
    still_stopping(state)?;
    let hosts = failed_hosts(state);
    if hosts.is_empty() {
        return Err("none of its hosts has failed".to_owned());
    }
    let resumed = Fact::Resumed { by: by.clone(), phase: phase_after_pause(state) };
    let retried = Fact::Retried { by, hosts };
    // Without a word on the phase it is a rollout that goes on.
    Ok(if state.rollback.is_some() { vec![retried, resumed] } else { vec![retried] })
}

/// The hosts that ended otherwise than well, without those that were skipped, and in a rollback without
/// those that are not put back.
fn failed_hosts(state: &TaskState) -> Vec<HostName> {
    let hosts = state.unsuccessful().map(|result| result.host.clone());
    hosts.filter(|host| !state.is_skipped(host) && state.is_in_rollout(host)).collect()
}

fn skip(state: &TaskState, host: &HostName, by: &Actor) -> Result<Vec<Fact>, String> {
    let Some(known) = state.host(host) else {
        return Err(format!("it has no host {host}"));
    };
    if state.is_skipped(host) {
        return Ok(Vec::new());
    }
    if state.rollback.is_some() && !state.is_in_rollout(host) {
        return Err(format!("{host} is none of those that are put back"));
    }
    let skipped = Fact::Skipped { by: by.clone(), host: host.clone() };
    match &known.result {
        Some(result) if result.status == state.aim() => match result.status {
            HostStatus::RolledBack => Err(format!("{host} was put back already")),
            _ => Err(format!("{host} serves the release already")),
        },
        Some(_) => Ok(vec![skipped]),
        None if known.dispatch.is_some() => Err(format!("{host} is being done")),
        None => {
            let failure = Failure::new(FailureCode::Skipped, format!("skipped: {by}"));
            let failure = failure.with_host(host.clone());
            let result = HostResult::failed(host.clone(), HostStatus::NotStarted, failure);
            Ok(vec![skipped, Fact::HostFinished { result }])
        }
    }
}
