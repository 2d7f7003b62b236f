//! What people do to a deployment: pause, resume, retry, skip, and what makes no sense.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{Actor, DeploymentId, DeploymentRequest, HostStatus, Outcome, TaskId};
use deploy_core::{
    Clock, Context, Executor, Fact, FailureCode, FnExecutor, Gate, GateDecision, GateError,
    NodeError, Phase, QueueAdmin, TaskPlace, Verb,
};
use deploy_testkit::{HostScript, samples};
use tokio::sync::Notify;

use crate::support::{World, count, order, rollout, until};

fn anna() -> Actor {
    Actor::new("anna", "the phones ring")
}

#[tokio::test]
async fn a_paused_rollout_lets_running_hosts_end_and_starts_nothing_until_it_is_resumed() {
    let world = World::new(3);
    world.executor.script(samples::host(1), HostScript::hang());
    let node = world.node().await;
    let deployment = node.submit(rollout("d1", "{}")).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    until(&deployment, "host_started").await;
    deployment.pause(anna()).await.unwrap();
    deployment.pause("again").await.unwrap();
    let state = deployment.state().await.unwrap();
    assert_eq!(state.phase, Phase::Paused);
    assert_eq!(state.hold.unwrap().reason.as_deref(), Some("anna: the phones ring"));
    world.executor.release(&samples::host(1));
    until(&deployment, "host_finished").await;
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(order(&world), ["d1.0"]);
    deployment.resume(anna()).await.unwrap();
    deployment.resume("again").await.unwrap();
    assert!(deployment.wait().await.unwrap().succeeded());
    let facts = world.facts(&deployment).await;
    assert_eq!((count(&facts, "paused"), count(&facts, "resumed")), (1, 1));
}

#[tokio::test]
async fn a_deployment_that_was_paused_before_its_time_does_not_begin_at_its_time() {
    let world = World::new(1);
    let node = world.node().await;
    let due = world.clock.now().plus(Duration::from_secs(3600));
    let deployment = node.submit(rollout("d1", "{}").with_not_before(due)).await.unwrap();
    until(&deployment, "waiting").await;
    deployment.pause(anna()).await.unwrap();
    world.clock.advance(Duration::from_secs(3600));
    let now = node.submit(rollout("d2", "{}")).await.unwrap();
    assert!(now.wait().await.unwrap().succeeded(), "it lets others pass");
    assert_eq!(deployment.state().await.unwrap().phase, Phase::Paused);
    deployment.resume(anna()).await.unwrap();
    assert!(deployment.wait().await.unwrap().succeeded());
}

#[tokio::test]
async fn a_passed_budget_that_waits_is_retried_to_a_success() {
    let world = World::new(3);
    world.executor.script(samples::host(2), HostScript::fail(FailureCode::HookFailed));
    world.executor.script(samples::host(2), HostScript::succeed());
    let node = world.node().await;
    let budget = r#"{"failures": {"then": "wait"}}"#;
    let deployment = node.submit(rollout("d1", budget)).await.unwrap();
    until(&deployment, "budget_passed").await;
    let state = deployment.state().await.unwrap();
    assert_eq!(state.phase, Phase::Paused);
    assert!(state.paused.unwrap().by.is_none());
    let same = deployment.retry_failed(anna()).await.unwrap();
    assert_eq!(same.id(), deployment.id());
    assert!(deployment.wait().await.unwrap().succeeded());
    assert_eq!(world.executor.executions(&samples::host(1)), 1);
    assert_eq!(world.executor.executions(&samples::host(2)), 2);
    assert_eq!(order(&world), ["d1.0", "d1.1", "d1.2", "d1.3"]);
    let retried = Fact::Retried { by: anna(), hosts: vec![samples::host(2)] };
    assert!(world.facts(&deployment).await.contains(&retried));
}

#[tokio::test]
async fn a_host_that_is_done_again_is_not_mixed_up_with_its_earlier_part_after_a_crash() {
    let world = World::new(2);
    world.executor.script(samples::host(1), HostScript::fail(FailureCode::HookFailed).hanging());
    world.executor.script(samples::host(1), HostScript::hang());
    world.executor.script(samples::host(1), HostScript::succeed());
    world.executor.script(samples::host(2), HostScript::hang());
    let node = world.node().await;
    let deployment = node.submit(rollout("d1", r#"{"batches": ["2"]}"#)).await.unwrap();
    for host in [1, 2] {
        world.executor.hanging(&samples::host(host)).await;
    }
    deployment.pause(anna()).await.unwrap();
    world.executor.release(&samples::host(1));
    until(&deployment, "host_finished").await;
    deployment.retry_failed(anna()).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    drop((node, deployment));

    // Each part is asked for again, and told how the hosts ended that it had.
    let world = world.restarted();
    let known = Arc::new(Mutex::new(BTreeMap::new()));
    let (scripted, told) = (world.executor.clone(), Arc::clone(&known));
    let executor = FnExecutor::new(move |cx, task| {
        let results = cx.known.iter().map(|known| (known.host.clone(), known.status)).collect();
        let results: Vec<_> = results;
        told.lock().unwrap().insert(task.id.to_string(), results);
        let scripted = scripted.clone();
        async move { scripted.execute(cx, task).await }
    });
    world.executor.release(&samples::host(2));
    let node = world.builder().executor(executor).build().await.unwrap();
    let deployment = node.deployment(DeploymentId::new("d1").unwrap());
    let report = deployment.wait().await.unwrap();
    assert!(report.succeeded(), "{report:#?}");
    assert_eq!(known.lock().unwrap()["d1.0"], [(samples::host(1), HostStatus::Failed)]);
    assert_eq!(known.lock().unwrap()["d1.1"], []);
    assert_eq!(order(&world), ["d1.0", "d1.1", "d1.1", "d1.0"]);
}

#[tokio::test]
async fn a_resumed_budget_forgives_and_the_deployment_still_ends_as_failed() {
    let world = World::new(3);
    world.executor.script(samples::host(1), HostScript::fail(FailureCode::HookFailed));
    let node = world.node().await;
    let budget = r#"{"failures": {"then": "wait"}}"#;
    let deployment = node.submit(rollout("d1", budget)).await.unwrap();
    until(&deployment, "budget_passed").await;
    deployment.resume(anna()).await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    let statuses: Vec<_> = report.hosts.iter().map(|host| host.status).collect();
    assert_eq!(statuses, [HostStatus::Failed, HostStatus::Succeeded, HostStatus::Succeeded]);
}

#[tokio::test]
async fn a_waiting_deployment_can_be_cancelled_and_stays_so_over_a_restart() {
    let world = World::new(2);
    world.executor.script(samples::host(1), HostScript::fail(FailureCode::HookFailed));
    let node = world.node().await;
    let budget = r#"{"failures": {"then": "wait"}}"#;
    let deployment = node.submit(rollout("d1", budget)).await.unwrap();
    until(&deployment, "budget_passed").await;
    drop((node, deployment));
    let world = world.restarted();
    let node = world.node().await;
    let deployment = node.deployment(DeploymentId::new("d1").unwrap());
    assert_eq!(deployment.state().await.unwrap().phase, Phase::Paused);
    deployment.cancel(anna()).await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert_eq!(report.failure.unwrap().message, "cancelled: anna: the phones ring");
    let facts = world.facts(&deployment).await;
    let who = Some("anna".to_owned());
    assert!(facts.contains(&Fact::CancelRequested { reason: "the phones ring".to_owned(), who }));
}

#[tokio::test]
async fn a_skipped_host_is_left_alone_and_the_others_are_done() {
    let world = World::new(3);
    world.executor.script(samples::host(1), HostScript::hang());
    let node = world.node().await;
    let deployment = node.submit(rollout("d1", "{}")).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    deployment.skip(samples::host(2), anna()).await.unwrap();
    deployment.skip(samples::host(2), anna()).await.unwrap();
    let running = deployment.skip(samples::host(1), anna()).await.unwrap_err();
    assert!(running.to_string().ends_with("host-1 is being done"), "{running}");
    let unknown = deployment.skip(samples::host(9), anna()).await.unwrap_err();
    assert!(unknown.to_string().ends_with("it has no host host-9"), "{unknown}");
    world.executor.release(&samples::host(1));
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    let statuses: Vec<_> = report.hosts.iter().map(|host| host.status).collect();
    assert_eq!(statuses, [HostStatus::Succeeded, HostStatus::NotStarted, HostStatus::Succeeded]);
    assert_eq!(report.hosts[1].failure.clone().unwrap().code, FailureCode::Skipped);
    assert_eq!(world.executor.executions(&samples::host(2)), 0);
    assert_eq!(count(&world.facts(&deployment).await, "skipped"), 1);
}

#[tokio::test]
async fn hosts_that_were_all_skipped_are_not_done_again_after_the_end() {
    let world = World::new(2);
    let node = world.node().await;
    let document = r#"{"failures": {"then": "wait"}}"#;
    world.executor.script(samples::host(1), HostScript::fail(FailureCode::HookFailed));
    let deployment = node.submit(rollout("d1", document)).await.unwrap();
    until(&deployment, "budget_passed").await;
    for host in [1, 2] {
        deployment.skip(samples::host(host), anna()).await.unwrap();
    }
    deployment.resume(anna()).await.unwrap();
    assert_eq!(deployment.wait().await.unwrap().outcome, Outcome::Failed);
    let nothing = deployment.retry_failed(anna()).await.unwrap_err();
    assert!(nothing.to_string().ends_with("those aside that were skipped"), "{nothing}");
}

#[tokio::test]
async fn after_its_end_the_rest_of_a_deployment_is_one_of_its_own() {
    let world = World::new(3);
    world.executor.script(samples::host(2), HostScript::fail(FailureCode::HookFailed));
    world.executor.script(samples::host(2), HostScript::succeed());
    let node = world.node().await;
    let first = node.submit(rollout("d1", "{}")).await.unwrap();
    assert_eq!(first.wait().await.unwrap().outcome, Outcome::Failed);
    let rest = first.retry_failed(anna()).await.unwrap();
    let again = first.retry_failed(Actor::new("bert", "me too")).await.unwrap();
    assert_eq!((rest.id().as_str(), again.id().as_str()), ("d1-retry1", "d1-retry1"));
    let report = rest.wait().await.unwrap();
    assert!(report.succeeded(), "{report:#?}");
    let hosts: Vec<_> = report.hosts.iter().map(|host| host.host.clone()).collect();
    assert_eq!(hosts, [samples::host(2), samples::host(3)]);
    assert_eq!(world.executor.executions(&samples::host(1)), 1);
    let facts = world.facts(&rest).await;
    let Fact::Accepted { request, .. } = &facts[0] else { panic!("{:?}", facts[0]) };
    assert_eq!(request.retry_of.as_ref(), Some(first.id()));
    assert_eq!(facts[1], Fact::Retried { by: anna(), hosts });
    let nothing = rest.retry_failed(anna()).await.unwrap_err();
    assert!(nothing.to_string().ends_with("none of its hosts has failed"), "{nothing}");
}

#[tokio::test]
async fn a_request_for_a_host_that_the_project_has_not_fails() {
    let world = World::new(1);
    let node = world.node().await;
    let request = rollout("d1", "{}").with_hosts(vec![samples::host(1), samples::host(7)]);
    let deployment = node.submit(request).await.unwrap();
    let failure = deployment.wait().await.unwrap().failure.unwrap();
    assert_eq!(failure.code, FailureCode::Unresolved);
    assert!(failure.message.contains("host-7"), "{failure}");
}

#[tokio::test]
async fn a_verb_that_makes_no_sense_names_the_state() {
    let world = World::new(2);
    world.executor.script(samples::host(1), HostScript::hang());
    let node = world.node().await;
    let deployment = node.submit(rollout("d1", "{}")).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    let error = deployment.promote(anna()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot promote d1 while it is rolling out: it has no canary");
    let error = deployment.retry_failed(anna()).await.unwrap_err();
    assert!(matches!(error, NodeError::NotNow { verb: Verb::RetryFailed, .. }), "{error}");
    world.executor.release(&samples::host(1));
    deployment.wait().await.unwrap();
    for error in [
        deployment.pause(anna()).await.unwrap_err(),
        deployment.resume(anna()).await.unwrap_err(),
        deployment.extend(deploy_core::model::Timestamp::now(), anna()).await.unwrap_err(),
    ] {
        assert!(matches!(error, NodeError::NotNow { phase: Phase::Finished, .. }), "{error}");
        assert!(error.to_string().ends_with(" d1 while it is finished"), "{error}");
    }
    let unknown = node.deployment(DeploymentId::new("d9").unwrap()).pause(anna()).await;
    assert!(matches!(unknown, Err(NodeError::Unknown { .. })), "{unknown:?}");
}

#[tokio::test]
async fn what_a_person_does_through_another_process_is_heeded() {
    let world = World::new(2);
    world.executor.script(samples::host(1), HostScript::hang());
    let lease = Duration::from_millis(600);
    let node = world.builder().lease(lease).build().await.unwrap();
    let deployment = node.submit(rollout("d1", "{}")).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    until(&deployment, "host_started").await;
    // It shares nothing with the first but the queue and the journal.
    let other = world.builder().name("other").build().await.unwrap();
    other.deployment(deployment.id().clone()).pause(anna()).await.unwrap();
    world.executor.release(&samples::host(1));
    until(&deployment, "host_finished").await;
    assert_eq!(deployment.state().await.unwrap().phase, Phase::Paused);
    assert_eq!(order(&world), ["d1.0"]);
    other.deployment(deployment.id().clone()).resume(anna()).await.unwrap();
    assert!(deployment.wait().await.unwrap().succeeded());
}

/// A gate that answers when the test says so.
#[derive(Clone, Debug)]
struct SlowGate {
    asked: Arc<Notify>,
    answers: Arc<Notify>,
}

#[async_trait]
impl Gate for SlowGate {
    async fn check(
        &self,
        _cx: Context,
        _deployment: DeploymentId,
        _request: DeploymentRequest,
    ) -> Result<GateDecision, GateError> {
        self.asked.notify_one();
        self.answers.notified().await;
        Ok(GateDecision::Open)
    }
}

#[tokio::test]
async fn a_pause_while_the_gates_are_being_asked_keeps_the_rollout_from_beginning() {
    let world = World::new(2);
    let gate = SlowGate { asked: Arc::default(), answers: Arc::default() };
    let node = world.builder().gate(gate.clone()).build().await.unwrap();
    let deployment = node.submit(rollout("d1", "{}")).await.unwrap();
    gate.asked.notified().await;
    deployment.pause(anna()).await.unwrap();
    gate.answers.notify_one();
    let id = TaskId::from(deployment.id());
    let place = async || world.queue.find(id.clone()).await.unwrap();
    while !matches!(place().await, Some(TaskPlace::Queued { .. })) {
        tokio::task::yield_now().await;
    }
    let state = deployment.state().await.unwrap();
    assert_eq!((state.phase, state.began), (Phase::Paused, false));
    deployment.resume(anna()).await.unwrap();
    gate.answers.notify_one();
    assert!(deployment.wait().await.unwrap().succeeded());
}
