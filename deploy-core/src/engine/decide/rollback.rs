//! When a deployment puts its hosts back, and how it begins to.

use super::{Next, ending};
use crate::engine::batches::batches;
use crate::event::Fact;
use crate::failure::{Failure, FailureCode};
use crate::model::{AfterBudget, HostName, RollbackTarget, RolloutSpec, Target, Timestamp};
use crate::state::TaskState;

/// Begins to put hosts back, where that is wanted and there are such hosts. Nothing is being done.
pub(super) fn start(state: &TaskState, now: Timestamp) -> Option<Next> {
    let to = wanted(state)?;
    let hosts: Vec<Target> = state.to_put_back().map(|host| host.target.clone()).collect();
    let rollout = state.rollout().filter(|_| !hosts.is_empty())?;
    let started = Fact::RollbackStarted {
        failure: reason(state),
        to,
        batches: batches_back(&hosts, rollout),
        deadline: now.plus(rollout.deadline),
    };
    Some(Next::Record(vec![started]))
}

/// What the hosts are to go back to, where they are to and do not yet. A deployment does so once: what
/// becomes of that is its end.
pub(super) fn wanted(state: &TaskState) -> Option<RollbackTarget> {
    if state.rollback.is_some() || state.cancel.is_some() {
        return None;
    }
    if let Some(wanted) = &state.wanted_rollback {
        return Some(wanted.to.clone());
    }
    let by_itself = state.rollout()?.failures.then == AfterBudget::RollBack;
    (by_itself && state.stopped.is_some()).then(RollbackTarget::default)
}

/// Why hosts are put back: a person's words, or what failed.
pub(super) fn reason(state: &TaskState) -> Failure {
    match &state.wanted_rollback {
        Some(wanted) => {
            Failure::new(FailureCode::RolloutStopped, format!("rolled back by {}", wanted.by))
        }
        None => ending::failed(state),
    }
}

/// The batches in which hosts are put back: those of the rollout, without its canary. Going back is not
/// tried out, and does not pause.
fn batches_back(hosts: &[Target], rollout: &RolloutSpec) -> Vec<Vec<HostName>> {
    let rollout = RolloutSpec { canary: None, ..rollout.clone() };
    let all = |_| vec![hosts.iter().map(|target| target.host.clone()).collect()];
    batches(hosts, &rollout).unwrap_or_else(all)
}
