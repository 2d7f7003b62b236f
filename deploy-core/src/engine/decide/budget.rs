//! Whether more hosts have failed than the budget of a rollout allows.

use crate::event::Fact;
use crate::model::{FailureLimit, RolloutSpec};
use crate::state::TaskState;

/// The fact that the failure budget is passed, when it is.
pub(super) fn passed(state: &TaskState, rollout: &RolloutSpec) -> Option<Fact> {
    let budget = &rollout.failures;
    let failures = state.failures();
    let passed = |limit: Option<FailureLimit>, failed: usize, all: usize| {
        limit.filter(|limit| limit.is_passed(failed, all))
    };
    let all = state.hosts.len();
    let reason = if let Some(limit) = passed(budget.total, failures.total(), all) {
        let failed = failures.total();
        format!("{failed} of {all} hosts failed: the failure budget does not allow {limit}")
    } else if let Some(limit) = passed(budget.in_a_row, failures.in_a_row(), all) {
        let failed = failures.in_a_row();
        let hosts = if failed == 1 { "host" } else { "hosts" };
        format!("{failed} {hosts} failed in a row: the failure budget does not allow {limit}")
    } else {
        let size = |batch: u32| state.batches.get(batch as usize).map_or(0, Vec::len);
        let mut batches = failures.by_batch();
        let (batch, failed, limit) = batches.find_map(|(batch, failed)| {
            passed(budget.batch, failed, size(batch)).map(|limit| (batch, failed, limit))
        })?;
        let (number, all) = (batch + 1, size(batch));
        format!(
            "{failed} of {all} hosts of batch {number} failed: the failure budget of a batch does \
             not allow {limit}"
        )
    };
    Some(Fact::BudgetPassed { reason, then: budget.then })
}
