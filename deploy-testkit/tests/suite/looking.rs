//! Hosts that are done are looked after while a rollout stands.

use std::time::Duration;

use deploy_core::model::{DeploymentRequest, HostStatus, Monitor, Outcome, ReleaseAction};
use deploy_core::{ControlNode, Deployment, FailureCode};
use deploy_testkit::samples;

use crate::support::{World, count, rollout, until};

/// A request with a monitoring address.
fn monitored(id: &str, document: &str) -> DeploymentRequest {
    rollout(id, document).with_monitor(Monitor::new("http://{host.address}/").unwrap())
}

async fn submit(node: &ControlNode, document: &str) -> Deployment {
    node.submit(monitored("d1", document)).await.unwrap()
}

fn looks(world: &World) -> usize {
    let probe = |action: &ReleaseAction| *action == ReleaseAction::Probe;
    world.executor.tasks().iter().filter(|task| probe(&task.action)).count()
}

#[tokio::test]
async fn a_release_that_dies_during_a_pause_stops_the_rollout() {
    let world = World::new(3);
    let node = world.node().await;
    let deployment = submit(&node, r#"{"batches": ["1"], "pause": "60s"}"#).await;
    until(&deployment, "batch_held").await;
    world.executor.sicken(&samples::host(1));
    let _passing = world.passing();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.failure.unwrap().code, FailureCode::Unhealthy);
    assert_eq!(report.hosts[0].status, HostStatus::Failed);
    assert_eq!(report.hosts[0].serves.as_ref().unwrap().as_str(), "d1");
    assert_eq!(report.hosts[1].status, HostStatus::NotStarted);
    assert_eq!(world.executor.executions(&samples::host(2)), 0);
    assert_eq!(count(&world.facts(&deployment).await, "host_failed_later"), 1);
}

#[tokio::test]
async fn a_release_that_dies_during_a_pause_is_rolled_back_where_that_is_asked_for() {
    let world = World::new(3);
    let node = world.node().await;
    let document = r#"{"batches": ["1"], "pause": "60s", "failures": {"then": "roll_back"}}"#;
    let deployment = submit(&node, document).await;
    until(&deployment, "batch_held").await;
    world.executor.sicken(&samples::host(1));
    let _passing = world.passing();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack);
    assert_eq!(world.executor.serves(&samples::host(1)), None);
}

#[tokio::test]
async fn a_canary_that_dies_while_it_is_held_waits_for_a_person_whatever_the_budget_allows() {
    let world = World::new(3);
    let node = world.node().await;
    let document = r#"{"batches": ["100%"], "canary": {"hosts": 1, "hold": "10m"},
        "failures": {"total": {"more_than": 1}}}"#;
    let deployment = submit(&node, document).await;
    until(&deployment, "batch_held").await;
    world.executor.sicken(&samples::host(1));
    let passing = world.passing();
    until(&deployment, "host_failed_later").await;
    while deployment.state().await.unwrap().gap.is_none_or(|gap| gap.until.is_some()) {
        tokio::task::yield_now().await;
    }
    passing.abort();
    assert_eq!(world.executor.executions(&samples::host(2)), 0);
    deployment.promote("we know").await.unwrap();
    assert_eq!(deployment.wait().await.unwrap().outcome, Outcome::Failed);
    assert_eq!(world.executor.executions(&samples::host(2)), 1);
}

#[tokio::test]
async fn hosts_are_looked_at_at_once_every_ten_seconds_and_when_the_pause_is_over() {
    let world = World::new(2);
    let node = world.node().await;
    let deployment = submit(&node, r#"{"batches": ["1"], "pause": "25s"}"#).await;
    until(&deployment, "batch_held").await;
    let _passing = world.passing();
    assert!(deployment.wait().await.unwrap().succeeded());
    assert_eq!(looks(&world), 4);
    assert_eq!(count(&world.facts(&deployment).await, "host_failed_later"), 0);
}

#[tokio::test]
async fn what_lived_through_ten_minutes_is_looked_at_every_minute() {
    let world = World::new(2);
    let node = world.node().await;
    let deployment = submit(&node, r#"{"batches": ["1"], "pause": "20m"}"#).await;
    until(&deployment, "batch_held").await;
    let _passing = world.passing();
    assert!(deployment.wait().await.unwrap().succeeded());
    assert_eq!(looks(&world), 1 + 60 + 10);
}

#[tokio::test]
async fn without_a_monitoring_address_nothing_is_looked_at() {
    let world = World::new(2);
    let node = world.node().await;
    let document = r#"{"batches": ["1"], "pause": "25s"}"#;
    let deployment = node.submit(rollout("d1", document)).await.unwrap();
    let _passing = world.passing();
    assert!(deployment.wait().await.unwrap().succeeded());
    assert_eq!(looks(&world), 0);
    world.clock.advance(Duration::from_secs(1));
}
