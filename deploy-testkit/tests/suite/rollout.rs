//! Rollouts as a host application sees them: pauses, canaries, budgets, deadlines, room for hosts.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{Actor, DeploymentId, HostStatus, Outcome};
use deploy_core::{
    BuildError, Clock, Deployment, DeploymentTask, ExecuteError, Fact, FailureCode, FnExecutor,
    Phase, Queue, Sequence, Settlement, TaskRecord,
};
use deploy_testkit::{HostScript, samples};

use crate::stumbling::Stumbling;
use crate::support::{World, count, order, rollout, until};

/// The statuses of the hosts at the end, in their order.
async fn statuses(deployment: &Deployment) -> Vec<HostStatus> {
    deployment.wait().await.unwrap().hosts.iter().map(|host| host.status).collect()
}

#[tokio::test]
async fn a_pause_between_batches_is_seen_and_ends_by_itself() {
    let world = World::new(2);
    let node = world.node().await;
    let pause = r#"{"pause": {"fixed": "30s", "jitter": "30s"}}"#;
    let deployment = node.submit(rollout("d1", pause)).await.unwrap();
    until(&deployment, "batch_held").await;
    let state = deployment.state().await.unwrap();
    assert_eq!(state.phase, Phase::Held);
    let hold = state.hold.unwrap();
    assert_eq!(hold.reason.as_deref(), Some("a pause between two batches"));
    let span = hold.until.unwrap().since(world.clock.now());
    assert!((30..=60).contains(&span.as_secs()), "{span:?}");
    assert_eq!(world.executor.tasks().len(), 1);
    world.clock.advance(span);
    assert!(deployment.wait().await.unwrap().succeeded());
}

#[tokio::test]
async fn a_canary_waits_for_a_person_also_over_a_restart() {
    let world = World::new(3);
    let node = world.node().await;
    let canary = r#"{"batches": ["100%"], "canary": {"hosts": 1, "hold": "promote"}}"#;
    let deployment = node.submit(rollout("d1", canary)).await.unwrap();
    until(&deployment, "batch_held").await;
    assert_eq!(deployment.state().await.unwrap().hold.unwrap().until, None);
    drop((node, deployment));

    let world = world.restarted();
    let node = world.node().await;
    let deployment = node.deployment(DeploymentId::new("d1").unwrap());
    world.clock.advance(Duration::from_secs(3 * 24 * 3600));
    assert_eq!(deployment.state().await.unwrap().phase, Phase::Held);
    deployment.promote(Actor::new("anna", "looks good")).await.unwrap();
    deployment.promote(Actor::new("bert", "me too")).await.unwrap();
    assert!(deployment.wait().await.unwrap().succeeded());
    assert_eq!(order(&world), ["d1.0", "d1.1"]);
    let facts = world.facts(&deployment).await;
    let promoted = Fact::Promoted { by: Actor::new("anna", "looks good") };
    assert!(facts.contains(&promoted));
    assert_eq!(count(&facts, "promoted"), 1);
    assert_eq!(count(&facts, "batch_held"), 1);
}

#[tokio::test]
async fn a_canary_that_is_held_for_a_time_goes_on_by_itself() {
    let world = World::new(2);
    let node = world.node().await;
    let canary = r#"{"canary": {"hosts": "50%", "hold": "10m"}}"#;
    let deployment = node.submit(rollout("d1", canary)).await.unwrap();
    until(&deployment, "batch_held").await;
    world.clock.advance(Duration::from_secs(599));
    assert_eq!(deployment.state().await.unwrap().phase, Phase::Held);
    world.clock.advance(Duration::from_secs(1));
    assert!(deployment.wait().await.unwrap().succeeded());
}

#[tokio::test]
async fn a_canary_that_failed_waits_for_a_person_whatever_its_hold_and_budget_allow() {
    let world = World::new(3);
    world.executor.script(samples::host(1), HostScript::fail(FailureCode::HookFailed));
    let node = world.node().await;
    let canary = r#"{"batches": ["100%"], "canary": {"hosts": 1, "hold": "10m"},
        "failures": {"total": {"at_least": 2}}}"#;
    let deployment = node.submit(rollout("d1", canary)).await.unwrap();
    until(&deployment, "batch_held").await;
    world.clock.advance(Duration::from_secs(24 * 3600));
    let hold = deployment.state().await.unwrap().hold.unwrap();
    assert_eq!(hold.until, None);
    assert!(hold.reason.unwrap().starts_with("the canary has failed"));
    assert_eq!(order(&world), ["d1.0"]);
    deployment.promote(Actor::new("anna", "known, and harmless")).await.unwrap();
    assert_eq!(deployment.wait().await.unwrap().outcome, Outcome::Failed);
    assert_eq!(order(&world), ["d1.0", "d1.1"]);
}

#[tokio::test]
async fn within_its_budget_a_rollout_goes_on_to_its_end_and_fails_with_the_counts() {
    let world = World::new(4);
    world.executor.script(samples::host(2), HostScript::fail(FailureCode::HookFailed));
    let node = world.node().await;
    let budget = r#"{"failures": {"total": {"more_than": 1}}}"#;
    let deployment = node.submit(rollout("d1", budget)).await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    let failure = report.failure.unwrap();
    assert_eq!(failure.code, FailureCode::HookFailed);
    assert!(failure.message.ends_with("(1 of 4 hosts failed)"), "{failure}");
    let succeeded = statuses(&deployment).await;
    assert_eq!(succeeded.iter().filter(|s| **s == HostStatus::Succeeded).count(), 3);
    assert_eq!(count(&world.facts(&deployment).await, "budget_passed"), 0);
}

#[tokio::test]
async fn a_passed_budget_cancels_running_hosts_where_it_says_so() {
    let world = World::new(3);
    let fails = HostScript::fail(FailureCode::HookFailed).hanging();
    world.executor.script(samples::host(1), fails);
    world.executor.script(samples::host(2), HostScript::hang());
    let node = world.node().await;
    let budget = r#"{"batches": ["2"], "failures": {"running": "cancel"}}"#;
    let deployment = node.submit(rollout("d1", budget)).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    world.executor.hanging(&samples::host(2)).await;
    world.executor.release(&samples::host(1));
    let expected = [HostStatus::Failed, HostStatus::Cancelled, HostStatus::NotStarted];
    assert_eq!(statuses(&deployment).await, expected);
    let facts = world.facts(&deployment).await;
    assert!(facts.iter().any(|fact| matches!(fact, Fact::BudgetPassed { reason, .. }
        if reason == "1 of 3 hosts failed: the failure budget does not allow 1 or more")));
}

#[tokio::test]
async fn running_hosts_come_to_their_end_when_the_budget_is_passed() {
    let world = World::new(3);
    let fails = HostScript::fail(FailureCode::HookFailed).hanging();
    world.executor.script(samples::host(1), fails);
    world.executor.script(samples::host(2), HostScript::hang());
    let node = world.node().await;
    let deployment = node.submit(rollout("d1", r#"{"batches": ["2"]}"#)).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    world.executor.hanging(&samples::host(2)).await;
    world.executor.release(&samples::host(1));
    until(&deployment, "budget_passed").await;
    world.executor.release(&samples::host(2));
    let expected = [HostStatus::Failed, HostStatus::Succeeded, HostStatus::NotStarted];
    assert_eq!(statuses(&deployment).await, expected);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_counts_unless_the_budget_says_otherwise() {
    for (counts, not_started) in [("true", 2), ("false", 0)] {
        let world = World::new(3);
        world.executor.script(samples::host(1), HostScript::fail(FailureCode::HostUnreachable));
        let node = world.node().await;
        let budget = format!(r#"{{"failures": {{"unreachable_counts": {counts}}}}}"#);
        let deployment = node.submit(rollout("d1", &budget)).await.unwrap();
        let found = statuses(&deployment).await;
        assert_eq!(found[0], HostStatus::Failed);
        let left = found.iter().filter(|status| **status == HostStatus::NotStarted).count();
        assert_eq!(left, not_started, "unreachable_counts = {counts}");
        assert_eq!(deployment.wait().await.unwrap().outcome, Outcome::Failed);
    }
}

#[tokio::test]
async fn parts_that_have_not_begun_are_taken_back_when_the_rollout_stops() {
    let world = World::new(3);
    let scripted = world.executor.clone();
    // The second host's executor has it in its queue until it is cancelled, like a busy agent.
    let executor = FnExecutor::new(move |cx, task| {
        let scripted = scripted.clone();
        async move {
            if task.hosts.iter().any(|target| target.host == samples::host(2)) {
                cx.cancel.cancelled().await;
                return Err(ExecuteError::Cancelled);
            }
            deploy_core::Executor::execute(&scripted, cx, task).await
        }
    });
    world.executor.script(samples::host(1), HostScript::fail(FailureCode::Unhealthy).hanging());
    let resolver = deploy_core::FnResolver::new(|_, _, _| async {
        let mut fleet = samples::fleet(3);
        for (number, host) in fleet.iter_mut().enumerate() {
            host.endpoint = format!("http://agent-{number}:1/").parse().unwrap();
        }
        Ok(fleet)
    });
    let node = world.builder().executor(executor).resolver(resolver).build().await.unwrap();
    let deployment = node.submit(rollout("d1", r#"{"batches": ["2"]}"#)).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    let mut events = deployment.events(Sequence::START);
    let mut dispatched = 0;
    while dispatched < 2 {
        let event = events.next().await.unwrap().unwrap();
        dispatched += usize::from(matches!(event.fact, Fact::Dispatched { .. }));
    }
    world.executor.release(&samples::host(1));
    let expected = [HostStatus::Failed, HostStatus::Cancelled, HostStatus::NotStarted];
    assert_eq!(statuses(&deployment).await, expected);
    assert_eq!(count(&world.facts(&deployment).await, "recalled"), 1);
}

#[tokio::test]
async fn an_executor_that_never_answers_does_not_hold_a_deployment_for_ever() {
    let world = World::new(2);
    let never = FnExecutor::new(|_, _| std::future::pending());
    let node = world.builder().executor(never).build().await.unwrap();
    let deployment = node.submit(rollout("d1", r#"{"deadline": "1h"}"#)).await.unwrap();
    until(&deployment, "dispatched").await;
    world.clock.advance(Duration::from_secs(3_600));
    until(&deployment, "deadline_passed").await;
    assert_eq!(deployment.state().await.unwrap().outcome, None);
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(statuses(&deployment).await, [HostStatus::Unknown, HostStatus::NotStarted]);
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.failure.unwrap().code, FailureCode::TimedOut);
}

#[tokio::test]
async fn a_deadline_that_was_extended_in_time_does_not_pass() {
    let world = World::new(1);
    world.executor.script(samples::host(1), HostScript::hang());
    let node = world.node().await;
    let deployment = node.submit(rollout("d1", r#"{"deadline": "1h"}"#)).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    let later = world.clock.now().plus(Duration::from_secs(7_200));
    deployment.extend(later, Actor::new("anna", "slow disks")).await.unwrap();
    deployment.extend(later, Actor::new("anna", "slow disks")).await.unwrap();
    world.clock.advance(Duration::from_secs(7_199));
    world.executor.release(&samples::host(1));
    assert!(deployment.wait().await.unwrap().succeeded());
    let facts = world.facts(&deployment).await;
    assert_eq!(count(&facts, "extended"), 1);
    assert_eq!(count(&facts, "deadline_passed"), 0);
}

#[tokio::test]
async fn a_rollout_of_too_many_batches_fails_before_it_begins() {
    let world = World::new(10_001);
    let node = world.node().await;
    let deployment = node.submit(rollout("d1", "{}")).await.unwrap();
    let report = deployment.wait().await.unwrap();
    let failure = report.failure.unwrap();
    assert_eq!(failure.code, FailureCode::Invalid);
    assert!(failure.message.contains("more than 10000 batches"), "{failure}");
    assert!(world.executor.tasks().is_empty());
    assert_eq!(report.hosts.len(), 10_001);
}

#[tokio::test]
async fn no_more_hosts_are_done_at_once_than_the_node_has_room_for() {
    let world = World::new(3);
    let executor = world.executor.clone().with_clock(Arc::clone(&world.clock) as Arc<dyn Clock>);
    for host in 1..=3 {
        executor.script(samples::host(host), HostScript::succeed().after(Duration::from_secs(5)));
    }
    let node = world.builder().executor(executor).max_hosts(2).build().await.unwrap();
    let mut deployments = Vec::new();
    for project in ["a", "b", "c"] {
        let mut request = rollout(project, r#"{"batches": ["100%"]}"#);
        request.project = samples::project(project);
        deployments.push(node.submit(request).await.unwrap());
    }
    let pushing = world.passing();
    for deployment in deployments {
        let report = deployment.wait().await.unwrap();
        assert_eq!(report.hosts.len(), 3);
    }
    pushing.abort();
    assert_eq!(world.executor.most_at_once(), 2);
    let error = world.builder().max_hosts(0).build().await.unwrap_err();
    assert!(matches!(error, BuildError::Unfit { what: "max_hosts", .. }), "{error}");
}

#[tokio::test]
async fn what_was_being_done_before_a_restart_keeps_its_room() {
    let world = World::new(1);
    world.executor.script(samples::host(1), HostScript::hang());
    world.executor.script(samples::host(1), HostScript::hang());
    world.executor.script(samples::host(1), HostScript::succeed());
    let node = world.builder().max_hosts(1).build().await.unwrap();
    node.submit(rollout("d1", "{}")).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    drop(node);

    // The queue gives it to nobody for now: its host takes its place all the same.
    let world = world.restarted();
    let task = DeploymentTask::new(DeploymentId::new("d1").unwrap(), "shop/checkout".to_owned());
    world.queue.push(TaskRecord::of(&task)).await.unwrap();
    let lease = Duration::from_secs(3_600);
    let claim = world.queue.claim("elsewhere".to_owned(), Vec::new(), lease).await.unwrap();
    let node = world.builder().max_hosts(1).build().await.unwrap();
    let mut other = rollout("d2", "{}");
    other.project = samples::project("other");
    let other = node.submit(other).await.unwrap();
    until(&other, "batch_started").await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(order(&world), ["d1.0"]);
    let until = world.clock.now();
    world.queue.settle(claim.token, Settlement::Defer { until }).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    assert!(!order(&world).contains(&"d2.0".to_owned()), "{:?}", order(&world));
    world.executor.release(&samples::host(1));
    assert!(other.wait().await.unwrap().succeeded());
    assert_eq!(order(&world), ["d1.0", "d1.0", "d2.0"]);
    assert_eq!(world.executor.most_at_once(), 1);
}

#[tokio::test]
async fn a_place_that_was_taken_for_nothing_is_given_back() {
    let world = World::new(1);
    let journal = Stumbling::new(&world.journal);
    journal.fail_at("dispatched");
    let node = world.builder().journal(journal).max_hosts(1).build().await.unwrap();
    let deployment = node.submit(rollout("d1", r#"{"deadline": "10m"}"#)).await.unwrap();
    let pushing = world.passing();
    assert!(deployment.wait().await.unwrap().succeeded());
    pushing.abort();
}
