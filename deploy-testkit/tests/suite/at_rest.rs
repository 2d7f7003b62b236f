//! A control node at rest, and what became of a host.

use std::sync::Arc;

use deploy_core::model::{DeploymentId, HostStatus, Outcome};
use deploy_core::{ControlNode, FailureCode, JournalQuery, NodeError, Phase};
use deploy_testkit::{HostScript, samples};

use crate::stumbling::Stumbling;
use crate::support::{World, order, rollout, until};

async fn at_rest(world: &World) -> ControlNode {
    let (queue, journal) = (Arc::clone(&world.queue), Arc::clone(&world.journal));
    let builder = ControlNode::builder().queue(queue).journal(journal);
    builder.clock(Arc::clone(&world.clock)).build_at_rest().await.unwrap()
}

fn id(id: &str) -> DeploymentId {
    DeploymentId::new(id).unwrap()
}

#[tokio::test]
async fn a_node_at_rest_records_what_is_said_and_the_next_one_does_it() {
    let world = World::new(2);
    let rest = at_rest(&world).await;
    let filed = rest.submit(rollout("d1", "{}")).await.unwrap();
    let cancelled = rest.submit(rollout("d2", "{}")).await.unwrap();
    filed.pause("not yet").await.unwrap();
    cancelled.cancel("never").await.unwrap();
    assert_eq!(cancelled.state().await.unwrap().outcome, Some(Outcome::Cancelled));
    let unknown = rest.deployment(id("d9")).pause("which?").await;
    assert!(matches!(unknown, Err(NodeError::Unknown { .. })), "{unknown:?}");
    rest.shutdown().await;

    // A node that works finds it paused, and a third deployment passes it.
    let node = world.node().await;
    let other = node.submit(rollout("d3", "{}")).await.unwrap();
    assert!(other.wait().await.unwrap().succeeded());
    let filed = node.deployment(id("d1"));
    assert_eq!(filed.state().await.unwrap().phase, Phase::Paused);
    node.shutdown().await;
    assert_eq!(order(&world), ["d3.0", "d3.1"]);

    let rest = at_rest(&world).await;
    rest.deployment(id("d1")).resume("now").await.unwrap();
    rest.shutdown().await;
    let node = world.node().await;
    assert!(node.deployment(id("d1")).wait().await.unwrap().succeeded());
    assert_eq!(order(&world), ["d3.0", "d3.1", "d1.0", "d1.1"]);
}

#[tokio::test]
async fn a_host_has_a_record_of_each_deployment_that_had_it() {
    let world = World::new(2);
    let host = samples::host(2);
    world.executor.script(host.clone(), HostScript::fail(FailureCode::HookFailed));
    world.executor.script(host.clone(), HostScript::succeed());
    world.executor.script(host.clone(), HostScript::hang());
    let node = world.node().await;
    let budget = r#"{"failures": {"then": "wait"}}"#;
    let first = node.submit(rollout("d1", budget)).await.unwrap();
    until(&first, "budget_passed").await;
    first.retry_failed("mended").await.unwrap();
    assert!(first.wait().await.unwrap().succeeded());
    let mut without = rollout("d2", "{}");
    without.hosts = vec![samples::host(1)];
    assert!(node.submit(without).await.unwrap().wait().await.unwrap().succeeded());
    let third = node.submit(rollout("d3", "{}")).await.unwrap();
    world.executor.hanging(&host).await;
    until(&third, "host_started").await;

    let records = node.host_history(&host, JournalQuery::new()).await.unwrap();
    let tasks: Vec<_> = records.iter().map(|r| r.deployment.task.as_str()).collect();
    assert_eq!(tasks, ["d3", "d1"]);
    let [running, done] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((running.result.as_ref(), running.ended_at), (None, None));
    assert_eq!(done.turns, 2);
    assert_eq!(done.result.as_ref().unwrap().status, HostStatus::Succeeded);
    assert!(done.began_at <= done.ended_at);
    let page = JournalQuery::new().with_limit(1);
    let page = node.host_history(&host, page).await.unwrap();
    assert_eq!(page, records[..1]);
    let next = JournalQuery::new().with_after(page[0].deployment.task.clone());
    assert_eq!(node.host_history(&host, next).await.unwrap(), records[1..]);
    let finished = JournalQuery::new().with_finished(true).with_limit(1);
    assert_eq!(node.host_history(&host, finished).await.unwrap(), records[1..]);
}

#[tokio::test]
async fn a_deployment_that_is_forgotten_while_a_host_is_asked_after_is_not_waited_for() {
    let world = World::new(1);
    let journal = Stumbling::new(&world.journal);
    let node = world.builder().journal(Arc::clone(&journal)).build().await.unwrap();
    assert!(node.submit(rollout("d1", "{}")).await.unwrap().wait().await.unwrap().succeeded());
    journal.forget();
    assert_eq!(node.host_history(&samples::host(1), JournalQuery::new()).await.unwrap(), []);
}
