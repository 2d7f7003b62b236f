//! Rollouts as documents have them.

use super::*;
use crate::document::decode;

/// The faults of a document, as path and what was found.
fn faults(json: &str) -> Vec<(String, String)> {
    let value: Value = serde_json::from_str(json).unwrap();
    let faults = decode::<RolloutSpec>(&value).unwrap_err();
    faults.as_slice().iter().map(|fault| (fault.path.clone(), fault.found.clone())).collect()
}

#[test]
fn a_rollout_is_written_as_it_is_read() {
    let json = r#"{
        "batches": ["1", "25%", "+2", "*2"], "max_parallel": 3, "order": {"tags": ["edge"]},
        "pause": {"fixed": "30s", "jitter": "10s"}, "canary": {"hosts": "5%", "hold": "promote"},
        "failures": {"batch": {"more_than": "10%"}, "in_a_row": {"at_least": 3},
                     "unreachable_counts": false, "then": "wait", "running": "cancel"},
        "deadline": "2h"}"#;
    let spec: RolloutSpec = serde_json::from_str(json).unwrap();
    assert_eq!(spec.batches.len(), 4);
    assert_eq!(spec.canary.unwrap().hold, CanaryHold::Promotion);
    assert_eq!(spec.failures.then, AfterBudget::Wait);
    let written = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<RolloutSpec>(&written).unwrap(), spec);
    let default = serde_json::to_string(&RolloutSpec::default()).unwrap();
    assert_eq!(serde_json::from_str::<RolloutSpec>(&default).unwrap(), RolloutSpec::default());
    assert_eq!(serde_json::from_str::<RolloutSpec>("{}").unwrap(), RolloutSpec::default());
}

#[test]
fn what_makes_no_sense_is_refused_with_all_faults_at_once() {
    let found = faults(
        r#"{"batches": ["+1", "2"], "max_parallel": 0, "order": "name", "whole_zones": true,
            "canary": {"hosts": "100%", "hold": "0s"}, "deadline": "0s",
            "failures": {"total": {"more_than": "100%"}, "batch": {"at_least": "101%"},
                         "in_a_row": {"at_least": "5%"}, "then": "rollback"}}"#,
    );
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "canary.hold",
            "canary.hosts",
            "failures.batch.at_least",
            "failures.total",
            "failures.then",
            "failures.in_a_row",
            "batches[0]",
            "max_parallel",
            "whole_zones",
            "deadline",
        ]
    );
}

#[test]
fn a_budget_that_no_batch_can_pass_is_refused() {
    let never = r#"{"batches": ["1", "2"], "failures": {"batch": {"more_than": 2}}}"#;
    assert_eq!(faults(never)[0].0, "failures.batch");
    let canary = r#"{"batches": ["1", "2"], "failures": {"batch": {"more_than": 2}},
                     "canary": {"hosts": 3, "hold": "1m"}}"#;
    assert!(serde_json::from_str::<RolloutSpec>(canary).is_ok());
    let grows = r#"{"batches": ["1", "+1"], "failures": {"batch": {"at_least": 5}}}"#;
    assert!(serde_json::from_str::<RolloutSpec>(grows).is_ok());
}

#[test]
fn a_canary_without_hosts_or_hold_and_a_limit_that_says_two_things_are_refused() {
    let found = faults(
        r#"{"canary": {"hosts": 0}, "failures": {"total": {"more_than": 1, "at_least": 2},
            "batch": {}}}"#,
    );
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["canary.hosts", "canary.hold", "failures.batch", "failures.total"]);
}
