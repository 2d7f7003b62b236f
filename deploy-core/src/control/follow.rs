//! The requests that follow a finished deployment: one that does its rest, and one that undoes it.

use crate::engine::{NodeError, Verb};
use crate::model::{
    BatchPause, DeploymentId, DeploymentRequest, FailureBudget, HostStatus, OnMissed, RollbackSpec,
    RollbackTarget,
};
use crate::state::{HostState, Subject, TaskState};

/// How long the id of a deployment is at most.
const LONGEST_ID: usize = 64;

/// The request to do those hosts of a finished deployment that do not serve the release; `None` while
/// it is not finished.
pub(super) fn retry_of(state: &TaskState) -> Result<Option<DeploymentRequest>, NodeError> {
    let (Some(_), Subject::Deployment { id, request }) = (state.outcome, &state.subject) else {
        return Ok(None);
    };
    let not_now = |reason| not_now(state, Verb::RetryFailed, reason);
    let aim = match request.rollback {
        Some(_) => HostStatus::RolledBack,
        None => HostStatus::Succeeded,
    };
    let done = |host: &&HostState| host.result.as_ref().is_some_and(|result| result.status == aim);
    if !state.hosts.is_empty() && state.hosts.iter().all(|host| done(&host)) {
        return Err(not_now("none of its hosts has failed"));
    }
    let left = state.hosts.iter().filter(|host| !done(host)).map(|host| &host.target.host);
    let left: Vec<_> = left.filter(|host| !state.is_skipped(host)).cloned().collect();
    if left.is_empty() && !state.hosts.is_empty() {
        return Err(not_now("none of its hosts has failed, those aside that were skipped"));
    }
    let mut retry = follower(id, request, "-retry");
    // Where it ended before its hosts were known it is tried again as it was.
    if !left.is_empty() {
        retry.hosts = left;
    }
    retry.retry_of = Some(id.clone());
    Ok(Some(retry))
}

/// The request to put those hosts of a finished deployment back that serve its release, or may; `None`
/// while it is not finished.
pub(super) fn rollback_of(
    state: &TaskState,
    to: RollbackTarget,
) -> Result<Option<DeploymentRequest>, NodeError> {
    let (Some(_), Subject::Deployment { id, request }) = (state.outcome, &state.subject) else {
        return Ok(None);
    };
    let not_now = |reason| not_now(state, Verb::RollBack, reason);
    if request.rollback.is_some() {
        return Err(not_now("it undoes another deployment itself"));
    }
    let hosts: Vec<_> = state.to_put_back().map(|host| host.target.host.clone()).collect();
    if hosts.is_empty() {
        return Err(not_now("none of its hosts serves its release"));
    }
    let mut rollback = follower(id, request, "-rollback");
    if let Some(found) = &state.package {
        rollback.package = rollback.package.pinned(found);
    }
    rollback.hosts = hosts;
    rollback.retry_of = None;
    rollback.rollback = Some(RollbackSpec::new(id.clone(), to));
    // Going back is not tried out, does not pause, and does not stop half-way.
    let rollout = &mut rollback.rollout;
    (rollout.canary, rollout.pause) = (None, BatchPause::default());
    rollout.failures = FailureBudget::new().with_total(None);
    Ok(Some(rollback))
}

/// The request of a deployment, to be filed again now, under the next id.
fn follower(id: &DeploymentId, request: &DeploymentRequest, suffix: &str) -> DeploymentRequest {
    let mut next = request.clone().with_id(next_id(id, suffix));
    (next.not_before, next.expires_at, next.on_missed) = (None, None, OnMissed::Run);
    next
}

fn not_now(state: &TaskState, verb: Verb, reason: &str) -> NodeError {
    let (id, phase) = (state.task.clone(), state.phase);
    NodeError::NotNow { id, verb, phase, reason: Some(reason.to_owned()) }
}

/// The id of the deployment that follows another one: `d` is followed by `d-retry1`, and that by
/// `d-retry2`.
fn next_id(id: &DeploymentId, suffix: &str) -> DeploymentId {
    let numbered = id.as_str().rsplit_once(suffix).and_then(|(root, number)| {
        let number: u32 = number.parse().ok()?;
        Some((root, number.checked_add(1)?))
    });
    let (root, number) = numbered.unwrap_or((id.as_str(), 1));
    let suffix = format!("{suffix}{number}");
    let root: String = root.chars().take(LONGEST_ID - suffix.len()).collect();
    // The characters and the length are those of an id.
    DeploymentId::new(format!("{root}{suffix}")).unwrap_or_else(|_| DeploymentId::generate())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_retries_count_up_and_stay_ids() {
        let next = |id: &str| next_id(&DeploymentId::new(id).unwrap(), "-retry").to_string();
        assert_eq!(next("d"), "d-retry1");
        assert_eq!(next("d-retry1"), "d-retry2");
        assert_eq!(next("d-retry9"), "d-retry10");
        assert_eq!(next("d-retryx"), "d-retryx-retry1");
        let long = "x".repeat(64);
        assert_eq!(next(&long), format!("{}-retry1", "x".repeat(57)));
    }
}
