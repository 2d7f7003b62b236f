//! However often a deployment is attempted, it ends once, and nothing of it stays in the queue.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{DeploymentId, HostStatus, Outcome};
use deploy_core::{FnExecutor, QueueAdmin, QueueStatistics};
use deploy_testkit::samples;
use tokio::sync::mpsc;

use super::support::{World, count, request};

const ATTEMPTS: u32 = 3;

/// Longer than a lease of a node.
const LEASE_IS_OVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_deployment_whose_process_dies_each_time_is_given_up_and_ends_once() {
    let world = World::new(2);
    let (began, mut begun) = mpsc::unbounded_channel();
    let hangs = Arc::new(FnExecutor::new(move |context, _| {
        began.send(context.attempt).unwrap();
        std::future::pending()
    }));
    let node = async || {
        let builder = world.builder().executor(Arc::clone(&hangs)).max_attempts(ATTEMPTS);
        builder.build().await.unwrap()
    };
    let first = node().await;
    first.submit(request("d1", &["1"])).await.unwrap();
    assert_eq!(begun.recv().await, Some(1));
    drop(first);
    for attempt in 2..=ATTEMPTS {
        world.clock.advance(LEASE_IS_OVER);
        let _next = node().await;
        assert_eq!(begun.recv().await, Some(attempt));
    }

    world.clock.advance(LEASE_IS_OVER);
    let node = node().await;
    let deployment = node.deployment(DeploymentId::new("d1").unwrap());
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    let statuses: Vec<_> = report.hosts.iter().map(|host| host.status).collect();
    assert_eq!(statuses, [HostStatus::Unknown, HostStatus::NotStarted], "each with its reason");
    assert!(report.hosts.iter().all(|host| host.failure.is_some()), "{report:#?}");
    assert_eq!(count(&world.facts(&deployment).await, "finished"), 1);
    node.shutdown().await;
    // The queue has not kept it, as a dead letter that nobody reads or otherwise.
    assert_eq!(world.queue.statistics().await.unwrap(), QueueStatistics::default());
    assert_eq!(world.queue.find(samples::task_id("d1")).await.unwrap(), None);
    assert!(begun.try_recv().is_err(), "it was not attempted once more");
}
