//! The hosts of a deployment are put back, all that serve its release or may.

use std::collections::HashMap;

use serde::Serialize;

use super::TaskState;
use crate::failure::Failure;
use crate::model::{
    Actor, HostName, HostResult, HostStatus, ReleaseAction, ReleaseId, RollbackTarget, Timestamp,
};
use crate::state::Subject;

/// A deployment whose hosts are put back.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rollback {
    /// Why: what failed, or who wanted it.
    pub failure: Failure,
    /// What the hosts go back to.
    pub to: RollbackTarget,
    /// The first of the parts that put hosts back: an index of
    /// [`dispatches`](TaskState::dispatches).
    pub first_part: usize,
}

/// A rollback that somebody wants and that has not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WantedRollback {
    /// Who, and why.
    pub by: Actor,
    /// What the hosts go back to.
    pub to: RollbackTarget,
}

impl TaskState {
    /// What a part does on its hosts.
    pub(crate) fn action_of(&self, part: usize) -> ReleaseAction {
        let undo = |release: ReleaseId, to: &RollbackTarget| ReleaseAction::Rollback {
            release,
            to: to.clone(),
        };
        match &self.subject {
            Subject::Release { task } => task.action.clone(),
            Subject::Deployment { id, request } => match (&self.rollback, &request.rollback) {
                (Some(own), _) if part >= own.first_part => undo(id.into(), &own.to),
                (_, Some(spec)) => undo((&spec.of).into(), &spec.to),
                _ => ReleaseAction::Install,
            },
        }
    }

    /// How a host ends on which all goes well, as things are now.
    pub(crate) fn aim(&self) -> HostStatus {
        self.action_of(self.dispatches.len()).aim()
    }

    /// The hosts that serve the deployment's release, or may, by the last result of each that tells:
    /// one from before it was to be done again, or put back, where it has not been.
    pub(crate) fn to_put_back(&self) -> impl Iterator<Item = &super::HostState> {
        let release = ReleaseId::from(self.subject.deployment());
        let mut serving = HashMap::new();
        let earlier = self.dispatches.iter().flat_map(|part| &part.earlier);
        for result in earlier.chain(self.results()) {
            if let Some(serves) = may_serve(result, &release) {
                serving.insert(&result.host, serves);
            }
        }
        let serves = move |host: &HostName| serving.get(host).copied().unwrap_or(false);
        self.hosts.iter().filter(move |host| serves(&host.target.host))
    }

    /// Says whether a host is one of those that are being put back, or, before that, any.
    pub(crate) fn is_in_rollout(&self, name: &HostName) -> bool {
        let index = self.lookup.by_name.get(name);
        index.is_some_and(|index| self.lookup.batch_of.contains_key(index))
    }

    /// From here on hosts are put back, and nothing else is done.
    pub(super) fn rollback_started(
        &mut self,
        failure: &Failure,
        to: &RollbackTarget,
        batches: &[Vec<HostName>],
        deadline: Timestamp,
    ) {
        let first_part = self.dispatches.len();
        self.rollback = Some(Rollback { failure: failure.clone(), to: to.clone(), first_part });
        self.wanted_rollback = None;
        (self.stopped, self.gap) = (None, None);
        (self.batch, self.batches_finished) = (None, 0);
        self.lookup.failures.forgive();
        self.lookup.standing = None;
        self.lookup.batch_of.clear();
        // Whose turn had not come is left alone.
        self.lookup.pending.clear();
        self.lookup.retried.clear();
        self.rollout_started(batches, Some(deadline));
        for name in batches.iter().flatten() {
            if let Some(&index) = self.lookup.by_name.get(name) {
                self.lookup.skipped.remove(&index);
                self.open_again(index);
            }
        }
    }
}

/// Says whether a host with this result serves a release, or may; nothing where the result does not
/// tell, as that of a host that was not touched or not reached.
fn may_serve(result: &HostResult, release: &ReleaseId) -> Option<bool> {
    if let Some(serves) = &result.serves {
        return Some(serves == release);
    }
    match result.status {
        HostStatus::Succeeded | HostStatus::Unknown => Some(true),
        HostStatus::RolledBack => Some(false),
        _ => None,
    }
}
