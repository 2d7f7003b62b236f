//! The line of a project: nobody passes a rollout that has begun.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::{FailureCode, Phase};
use deploy_testkit::{HostScript, samples};

use crate::stumbling::Stumbling;
use crate::support::{World, order, rollout, until};

const CANARY: &str = r#"{"canary": {"hosts": 1, "hold": "promote"}}"#;

#[tokio::test]
async fn nobody_passes_a_rollout_that_is_held_and_the_line_says_who_comes_before() {
    let world = World::new(2);
    let node = world.node().await;
    let first = node.submit(rollout("a", CANARY)).await.unwrap();
    until(&first, "batch_held").await;
    world.clock.advance(Duration::from_secs(1));
    let second = node.submit(rollout("b", "{}")).await.unwrap();
    until(&second, "in_line").await;
    world.clock.advance(Duration::from_secs(1));
    let third = node.submit(rollout("c", "{}")).await.unwrap();
    until(&third, "in_line").await;
    let state = second.state().await.unwrap();
    assert_eq!(state.phase, Phase::InLine);
    assert_eq!(state.hold.unwrap().reason.as_deref(), Some("in line behind a, place 1"));
    assert!(first.line().await.unwrap().is_empty());
    assert_eq!(second.line().await.unwrap(), [first.id().clone()]);
    assert_eq!(third.line().await.unwrap(), [first.id().clone(), second.id().clone()]);
    world.clock.advance(Duration::from_secs(24 * 3600));
    first.promote("looks good").await.unwrap();
    for deployment in [&first, &second, &third] {
        assert!(deployment.wait().await.unwrap().succeeded());
        assert!(deployment.line().await.unwrap().is_empty());
    }
    assert_eq!(order(&world), ["a.0", "a.1", "b.0", "b.1", "c.0", "c.1"]);
}

#[tokio::test]
async fn nobody_passes_a_rollout_that_is_paused_in_its_middle() {
    let world = World::new(2);
    world.executor.script(samples::host(1), HostScript::fail(FailureCode::HookFailed));
    world.executor.script(samples::host(1), HostScript::succeed());
    let node = world.node().await;
    let budget = r#"{"failures": {"then": "wait"}}"#;
    let first = node.submit(rollout("a", budget)).await.unwrap();
    until(&first, "budget_passed").await;
    let second = node.submit(rollout("b", "{}")).await.unwrap();
    until(&second, "in_line").await;
    first.cancel("enough").await.unwrap();
    assert!(second.wait().await.unwrap().succeeded());
    assert_eq!(order(&world), ["a.0", "b.0", "b.1"]);
}

#[tokio::test]
async fn nobody_passes_a_rollout_whose_journal_failed_in_its_middle() {
    let world = World::new(2);
    world.executor.script(samples::host(1), HostScript::hang());
    world.executor.script(samples::host(1), HostScript::succeed());
    let journal = Stumbling::new(&world.journal);
    let node = world.builder().journal(Arc::clone(&journal)).build().await.unwrap();
    let first = node.submit(rollout("a", "{}")).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    let second = node.submit(rollout("b", "{}")).await.unwrap();
    journal.fail_at("host_finished");
    world.executor.release(&samples::host(1));
    // Its driver gives up, and it is put off; the second one could be claimed now.
    let pushing = world.passing();
    assert!(first.wait().await.unwrap().succeeded());
    assert!(second.wait().await.unwrap().succeeded());
    pushing.abort();
    assert_eq!(order(&world), ["a.0", "a.0", "a.1", "b.0", "b.1"]);
}
