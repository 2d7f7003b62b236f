//! The request that does the rest of a finished deployment.

use crate::engine::{NodeError, Verb};
use crate::model::{DeploymentId, DeploymentRequest, HostStatus, OnMissed, Outcome};
use crate::state::{Subject, TaskState};

/// How long the id of a deployment is at most.
const LONGEST_ID: usize = 64;

/// The request to do those hosts of a finished deployment that do not serve the release; `None` while
/// it is not finished.
pub(super) fn retry_of(state: &TaskState) -> Result<Option<DeploymentRequest>, NodeError> {
    let (Some(outcome), Subject::Deployment { id, request }) = (state.outcome, &state.subject)
    else {
        return Ok(None);
    };
    let not_now = |reason: &str| NodeError::NotNow {
        id: state.task.clone(),
        verb: Verb::RetryFailed,
        phase: state.phase,
        reason: reason.to_owned(),
    };
    if outcome == Outcome::Succeeded {
        return Err(not_now("none of its hosts has failed"));
    }
    let left = state.unsuccessful().map(|result| result.host.clone());
    let left: Vec<_> = left.filter(|host| !state.is_skipped(host)).collect();
    let served = |status: HostStatus| status == HostStatus::Succeeded;
    if left.is_empty() && state.results().any(|result| served(result.status)) {
        return Err(not_now("none of its hosts has failed, those aside that were skipped"));
    }
    let mut retry = (**request).clone().with_id(next_id(id));
    // Where it ended before its hosts were known it is tried again as it was.
    if !left.is_empty() {
        retry.hosts = left;
    }
    // It is asked for now.
    (retry.not_before, retry.expires_at, retry.on_missed) = (None, None, OnMissed::Run);
    retry.retry_of = Some(id.clone());
    Ok(Some(retry))
}

/// The id of the deployment that does the rest of another one: `d` is followed by `d-retry1`, and
/// that by `d-retry2`.
fn next_id(id: &DeploymentId) -> DeploymentId {
    let numbered = id.as_str().rsplit_once("-retry").and_then(|(root, number)| {
        let number: u32 = number.parse().ok()?;
        Some((root, number.checked_add(1)?))
    });
    let (root, number) = numbered.unwrap_or((id.as_str(), 1));
    let suffix = format!("-retry{number}");
    let root: String = root.chars().take(LONGEST_ID - suffix.len()).collect();
    // The characters and the length are those of an id.
    DeploymentId::new(format!("{root}{suffix}")).unwrap_or_else(|_| DeploymentId::generate())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_retries_count_up_and_stay_ids() {
        let next = |id: &str| next_id(&DeploymentId::new(id).unwrap()).to_string();
        assert_eq!(next("d"), "d-retry1");
        assert_eq!(next("d-retry1"), "d-retry2");
        assert_eq!(next("d-retry9"), "d-retry10");
        assert_eq!(next("d-retryx"), "d-retryx-retry1");
        let long = "x".repeat(64);
        assert_eq!(next(&long), format!("{}-retry1", "x".repeat(57)));
    }
}
