//! The engine, over a queue and a journal in memory and an executor that follows a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deploy_core::model::{DeploymentId, DeploymentRequest, HostStatus, Outcome};
use deploy_core::{
    Accepted, AgentNode, BuildError, Clock, Context, ControlNode, DeploymentReport, ExecuteError,
    FailureCode, FnResolver, Gate, GateDecision, GateError, Journal, JournalQuery, NodeError,
    Phase, Queue, ResolveError, Sequence, VerifyError,
};
use deploy_queue::{MemoryQueue, QueueConfig};
use deploy_testkit::{HostScript, StaticResolver, VirtualClock, samples};

use crate::support::{World, count, order, request, until};

#[tokio::test]
async fn a_deployment_goes_to_every_host_in_batches_and_ends_once() {
    let world = World::new(5);
    let node = world.node().await;
    let deployment = node.submit(request("d1", &["1", "50%"])).await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert_eq!(report.hosts.len(), 5);
    let facts = world.facts(&deployment).await;
    assert_eq!(count(&facts, "finished"), 1);
    assert_eq!(count(&facts, "batch_started"), 3);
    assert_eq!(count(&facts, "host_finished"), 5);
    let sent = world.executor.tasks();
    let digests = world.verifier.digests();
    assert!(sent.iter().all(|task| task.package.sha256 == Some(digests.sha256)));
    assert!(sent.iter().all(|task| task.package.size == Some(digests.size)));
}

#[tokio::test]
async fn a_failing_host_stops_the_rollout_and_every_host_has_a_reason() {
    let world = World::new(5);
    world.executor.script(samples::host(2), HostScript::fail(FailureCode::Unhealthy));
    let node = world.node().await;
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    let failure = report.failure.unwrap();
    assert_eq!(failure.code, FailureCode::Unhealthy);
    assert_eq!(failure.host, Some(samples::host(2)));
    let statuses: Vec<_> = report.hosts.iter().map(|host| host.status).collect();
    assert_eq!(statuses[0], HostStatus::Succeeded);
    assert_eq!(statuses[1], HostStatus::Failed);
    assert_eq!(statuses[2..], [HostStatus::NotStarted; 3]);
    assert!(report.hosts[2..].iter().all(|host| host.failure.is_some()));
    assert_eq!(world.executor.executions(&samples::host(3)), 0);
}

#[tokio::test]
async fn a_wrong_package_touches_no_host() {
    let world = World::new(2);
    let error = VerifyError::Mismatch {
        url: "https://packages.test/a".to_owned(),
        what: "MD5",
        found: "0".to_owned(),
        expected: "1".to_owned(),
    };
    let world = World { verifier: world.verifier.clone().with_error(error), ..world };
    let node = world.node().await;
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.failure.unwrap().code, FailureCode::DigestMismatch);
    assert!(world.executor.tasks().is_empty());
    assert!(report.hosts.iter().all(|host| host.status == HostStatus::NotStarted));
}

#[tokio::test]
async fn an_unknown_project_fails_with_its_name() {
    let world = World::new(1);
    let resolver = FnResolver::new(|_, business, project| async move {
        Err(ResolveError::Unknown { business, project })
    });
    let node = world.builder().resolver(resolver).build().await.unwrap();
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    let failure = deployment.wait().await.unwrap().failure.unwrap();
    assert_eq!(failure.code, FailureCode::Unresolved);
    assert!(failure.message.contains("checkout"), "{failure}");
}

#[tokio::test]
async fn the_same_request_twice_is_one_deployment_and_another_of_its_id_is_refused() {
    let world = World::new(1);
    let node = world.node().await;
    let first = node.submit(request("d1", &["1"])).await.unwrap();
    first.wait().await.unwrap();
    let again = node.submit(request("d1", &["1"])).await.unwrap();
    assert!(again.wait().await.unwrap().succeeded());
    assert_eq!(world.executor.executions(&samples::host(1)), 1);
    let other = node.submit(request("d1", &["2"])).await;
    assert!(matches!(other, Err(NodeError::Conflict { .. })), "{other:?}");
}

#[tokio::test]
async fn two_deployments_of_a_project_never_run_at_once_and_those_of_two_do() {
    let world = World::new(1);
    world.executor.script(samples::host(1), HostScript::hang());
    world.executor.script(samples::host(1), HostScript::succeed());
    let node = world.node().await;
    let first = node.submit(request("d1", &["1"])).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    let second = node.submit(request("d2", &["1"])).await.unwrap();
    let mut elsewhere = request("d3", &["1"]);
    elsewhere.project = samples::project("search");
    let elsewhere = node.submit(elsewhere).await.unwrap();
    assert!(elsewhere.wait().await.unwrap().succeeded());
    assert_eq!(second.state().await.unwrap().phase, Phase::InLine);
    assert!(second.state().await.unwrap().hosts.is_empty());
    world.executor.release(&samples::host(1));
    assert!(first.wait().await.unwrap().succeeded());
    assert!(second.wait().await.unwrap().succeeded());
}

#[tokio::test]
async fn nothing_starts_before_its_time_and_a_waiting_deployment_holds_nobody_up() {
    let world = World::new(1);
    let node = world.node().await;
    let due = world.clock.now().plus(Duration::from_secs(3600));
    let tonight = node.submit(request("d1", &["1"]).with_not_before(due)).await.unwrap();
    until(&tonight, "waiting").await;
    assert_eq!(tonight.state().await.unwrap().phase, Phase::Waiting);
    assert!(world.executor.tasks().is_empty());
    let now = node.submit(request("d2", &["1"])).await.unwrap();
    assert!(now.wait().await.unwrap().succeeded());
    assert_eq!(tonight.state().await.unwrap().phase, Phase::Waiting);
    world.clock.advance(Duration::from_secs(3600));
    assert!(tonight.wait().await.unwrap().succeeded());
}

#[tokio::test]
async fn a_waiting_deployment_can_be_cancelled_at_once() {
    let world = World::new(2);
    let node = world.node().await;
    let due = world.clock.now().plus(Duration::from_secs(3600));
    let deployment = node.submit(request("d1", &["1"]).with_not_before(due)).await.unwrap();
    until(&deployment, "waiting").await;
    deployment.cancel("anna: wrong version").await.unwrap();
    deployment.cancel("again").await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert!(report.failure.unwrap().message.contains("anna: wrong version"));
    assert!(world.executor.tasks().is_empty());
    deployment.cancel("after the end").await.unwrap();
    let facts = world.facts(&deployment).await;
    assert_eq!(count(&facts, "cancel_requested"), 1);
    assert_eq!(count(&facts, "finished"), 1);
}

#[tokio::test]
async fn a_cancel_stops_the_host_that_is_being_done_and_starts_no_other() {
    let world = World::new(3);
    world.executor.script(samples::host(2), HostScript::hang());
    let node = world.node().await;
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    world.executor.hanging(&samples::host(2)).await;
    deployment.cancel("enough").await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    let statuses: Vec<_> = report.hosts.iter().map(|host| host.status).collect();
    assert_eq!(statuses, [HostStatus::Succeeded, HostStatus::Cancelled, HostStatus::NotStarted]);
}

/// Nomad 0.9.0 to 0.9.3 ran finished work again after a restart; this is that test.
#[tokio::test]
async fn a_new_process_goes_on_where_the_old_one_was_and_does_no_host_again() {
    let world = World::new(3);
    world.executor.script(samples::host(2), HostScript::hang());
    let node = world.node().await;
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    world.executor.hanging(&samples::host(2)).await;
    drop((node, deployment));

    let world = world.restarted();
    world.executor.release(&samples::host(2));
    let node = world.node().await;
    let deployment = node.deployment(DeploymentId::new("d1").unwrap());
    let report = deployment.wait().await.unwrap();
    assert!(report.succeeded(), "{report:#?}");
    assert_eq!(world.executor.executions(&samples::host(1)), 1);
    assert_eq!(world.executor.executions(&samples::host(3)), 1);
    let facts = world.facts(&deployment).await;
    assert_eq!(count(&facts, "dispatched"), 3);
    assert_eq!(count(&facts, "finished"), 1);
    let parts: Vec<_> = world.executor.tasks().into_iter().map(|task| task.id).collect();
    assert_eq!(parts.iter().filter(|part| part.as_str() == "d1.1").count(), 2, "{parts:?}");
}

#[tokio::test]
async fn a_shutdown_hands_back_what_runs_and_takes_nothing_new() {
    let world = World::new(2);
    world.executor.script(samples::host(1), HostScript::hang());
    let node = world.node().await;
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    node.shutdown().await;
    let refused = node.submit(request("d2", &["1"])).await;
    assert!(matches!(refused, Err(NodeError::ShuttingDown)), "{refused:?}");
    assert_eq!(deployment.state().await.unwrap().outcome, None);

    world.executor.release(&samples::host(1));
    let node = world.node().await;
    let deployment = node.deployment(deployment.id().clone());
    assert!(deployment.wait().await.unwrap().succeeded());
}

#[tokio::test]
async fn a_lost_task_is_asked_for_again_before_it_counts_as_unknown() {
    let lost = || ExecuteError::Lost { endpoint: "a".to_owned(), source: "gone".into() };
    let world = World::new(1);
    let world = World { executor: world.executor.with_error(lost()).with_error(lost()), ..world };
    let node = world.node().await;
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    assert!(deployment.wait().await.unwrap().succeeded());

    let world = World::new(1);
    let mut executor = world.executor.clone();
    for _ in 0..4 {
        executor = executor.with_error(lost());
    }
    let node = World { executor, ..world }.node().await;
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.hosts[0].status, HostStatus::Unknown);
}

#[tokio::test]
async fn an_executor_that_panics_leaves_an_unknown_host_and_a_working_node() {
    let world = World::new(2);
    let panics = deploy_core::FnExecutor::new(|_, task| async move {
        panic!("a defect, planted in {}", task.id);
    });
    let node = world.builder().executor(panics).build().await.unwrap();
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.hosts[0].status, HostStatus::Unknown);
    assert_eq!(report.hosts[1].status, HostStatus::NotStarted);
    let next = node.submit(request("d2", &["1"])).await.unwrap();
    assert_eq!(next.wait().await.unwrap().outcome, Outcome::Failed);
}

#[derive(Debug)]
struct Freeze(Arc<VirtualClock>, deploy_core::model::Timestamp);

#[async_trait::async_trait]
impl Gate for Freeze {
    async fn check(
        &self,
        _cx: Context,
        _deployment: DeploymentId,
        _request: DeploymentRequest,
    ) -> Result<GateDecision, GateError> {
        if self.0.now() >= self.1 {
            return Ok(GateDecision::Open);
        }
        Ok(GateDecision::Held { reason: "frozen for the audit".to_owned(), until: self.1 })
    }
}

#[tokio::test]
async fn a_gate_holds_a_deployment_and_says_why() {
    let world = World::new(1);
    let until_then = world.clock.now().plus(Duration::from_secs(60));
    let gate = Freeze(Arc::clone(&world.clock), until_then);
    let node = world.builder().gate(gate).build().await.unwrap();
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    until(&deployment, "held").await;
    let state = deployment.state().await.unwrap();
    assert_eq!(state.phase, Phase::Held);
    assert_eq!(state.hold.unwrap().reason.as_deref(), Some("frozen for the audit"));
    assert!(world.executor.tasks().is_empty());
    world.clock.advance(Duration::from_secs(60));
    assert!(deployment.wait().await.unwrap().succeeded());
}

/// A gate that wants to be asked again at a time that is over, and counts.
#[derive(Clone, Debug, Default)]
struct Impatient(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl Gate for Impatient {
    async fn check(
        &self,
        _cx: Context,
        _deployment: DeploymentId,
        _request: DeploymentRequest,
    ) -> Result<GateDecision, GateError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let until = deploy_core::model::Timestamp::from_unix_micros(0).unwrap();
        Ok(GateDecision::Held { reason: "not yet".to_owned(), until })
    }
}

#[tokio::test]
async fn a_gate_is_not_asked_without_a_pause() {
    let world = World::new(1);
    let gate = Impatient::default();
    let node = world.builder().gate(gate.clone()).build().await.unwrap();
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    until(&deployment, "held").await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.0.load(Ordering::SeqCst), 1);
    world.clock.advance(Duration::from_secs(1));
    while gate.0.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_leaves_no_trace() {
    let world = World::new(1);
    world.executor.script(samples::host(1), HostScript::hang());
    let config =
        QueueConfig::new().with_capacity(1).with_clock(Arc::clone(&world.clock) as Arc<dyn Clock>);
    let world = World { queue: Arc::new(MemoryQueue::new(config)), ..world };
    let node = world.node().await;
    node.submit(request("d1", &["1"])).await.unwrap();
    let refused = node.submit(request("d2", &["1"])).await;
    assert!(matches!(refused, Err(NodeError::Busy { .. })), "{refused:?}");
    let known = node.history(JournalQuery::new()).await.unwrap();
    assert_eq!(known.len(), 1);
}

#[tokio::test]
async fn a_node_without_its_parts_names_all_that_are_missing() {
    let error = ControlNode::builder().build().await.unwrap_err();
    let BuildError::Missing { parts } = &error else { panic!("{error}") };
    assert_eq!(parts, &["resolver", "verifier", "executor", "queue", "journal"]);
    let error = AgentNode::builder().build().await.unwrap_err();
    assert_eq!(error.to_string(), "the node lacks resolver, executor, queue, journal");
}

#[tokio::test]
async fn an_agent_does_the_hosts_it_knows_and_refuses_the_others() {
    let world = World::new(3);
    let node = world.node().await;
    let deployment = node.submit(request("d1", &["100%"])).await.unwrap();
    deployment.wait().await.unwrap();
    let task = world.executor.tasks().remove(0);
    assert_eq!(task.hosts.len(), 3);

    let agent_world = World::new(2);
    let agent = AgentNode::builder()
        .resolver(StaticResolver::new(samples::fleet(2)))
        .executor(agent_world.executor.clone())
        .queue(Arc::clone(&agent_world.queue))
        .journal(Arc::clone(&agent_world.journal))
        .clock(Arc::clone(&agent_world.clock))
        .build()
        .await
        .unwrap();
    assert_eq!(agent.accept(task.clone()).await.unwrap(), Accepted::New);
    assert_eq!(agent.accept(task.clone()).await.unwrap(), Accepted::Known);
    let mut events = agent.events(&task.id, Sequence::START);
    while let Some(event) = events.next().await {
        event.unwrap();
    }
    let state = agent.state(&task.id).await.unwrap();
    assert_eq!(state.outcome, Some(Outcome::Failed));
    let results: Vec<_> = state.results().map(|result| result.status).collect();
    assert_eq!(results, [HostStatus::Succeeded, HostStatus::Succeeded, HostStatus::Failed]);
    let failure = state.host(&samples::host(3)).unwrap().result.clone().unwrap().failure.unwrap();
    assert_eq!(failure.code, FailureCode::Unresolved);
    let mut other = task.clone();
    other.max_parallel += 1;
    assert!(matches!(agent.accept(other).await, Err(NodeError::Conflict { .. })));
    assert_eq!(agent_world.executor.executions(&samples::host(1)), 1);
}

#[tokio::test]
async fn a_report_says_in_a_line_how_it_ended_and_is_read_as_it_is_written() {
    let world = World::new(2);
    world.executor.script(samples::host(1), HostScript::fail(FailureCode::HookFailed));
    world.executor.script(samples::host(1), HostScript::hang());
    let node = world.node().await;
    let failed = node.submit(request("d1", &["1"])).await.unwrap().wait().await.unwrap();
    assert!(failed.to_string().starts_with("d1: failed: host-1: "), "{failed}");
    let written = serde_json::to_string(&failed).unwrap();
    assert_eq!(serde_json::from_str::<DeploymentReport>(&written).unwrap(), failed);

    let deployment = node.submit(request("d2", &["1"])).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    deployment.cancel(format!("ticket {} is closed", 7)).await.unwrap();
    let cancelled = deployment.wait().await.unwrap();
    assert_eq!(cancelled.to_string(), "d2: cancelled: ticket 7 is closed");
}

#[tokio::test]
async fn an_event_stream_goes_on_after_any_number() {
    let world = World::new(2);
    let node = world.node().await;
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    deployment.wait().await.unwrap();
    let all = world.facts(&deployment).await;
    for after in 0..all.len() {
        let mut events = deployment.events(Sequence::new(after as u64));
        let mut rest = Vec::new();
        while let Some(event) = events.next().await {
            rest.push(event.unwrap().fact);
        }
        assert_eq!(rest, all[after..]);
    }
}

#[tokio::test]
async fn what_was_accepted_and_never_queued_is_taken_up_at_the_next_start() {
    let world = World::new(1);
    let id = samples::task_id("d1");
    let request = request("d1", &["1"]);
    let accepted = samples::accepted(&id, world.clock.now(), request);
    world.journal.append(vec![accepted]).await.unwrap();
    let node = world.node().await;
    let deployment = node.deployment(DeploymentId::new("d1").unwrap());
    assert!(deployment.wait().await.unwrap().succeeded());
    assert!(!world.queue.reschedule(id, world.clock.now()).await.unwrap());
}

#[tokio::test]
async fn a_later_deployment_does_not_overtake_one_that_was_handed_back() {
    let world = World::new(3);
    world.executor.script(samples::host(2), HostScript::hang());
    world.executor.script(samples::host(2), HostScript::succeed());
    let node = world.node().await;
    let first = node.submit(request("a", &["1"])).await.unwrap();
    world.executor.hanging(&samples::host(2)).await;
    world.clock.advance(Duration::from_secs(1));
    let second = node.submit(request("b", &["1"])).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    node.shutdown().await;
    let ids = (first.id().clone(), second.id().clone());
    drop((node, first, second));
    world.executor.release(&samples::host(2));
    let node = world.node().await;
    node.deployment(ids.0).wait().await.unwrap();
    node.deployment(ids.1).wait().await.unwrap();
    assert_eq!(order(&world), ["a.0", "a.1", "a.1", "a.2", "b.0", "b.1", "b.2"]);
}

#[tokio::test]
async fn what_is_taken_up_into_an_empty_queue_keeps_its_order() {
    let world = World::new(2);
    world.executor.script(samples::host(1), HostScript::hang());
    world.executor.script(samples::host(1), HostScript::succeed());
    let node = world.node().await;
    for id in ["a", "b", "c"] {
        node.submit(request(id, &["1"])).await.unwrap();
        if id == "a" {
            world.executor.hanging(&samples::host(1)).await;
        }
        world.clock.advance(Duration::from_secs(1));
    }
    drop(node);
    let world = world.restarted();
    world.executor.release(&samples::host(1));
    let node = world.builder().workers(1).build().await.unwrap();
    for id in ["a", "b", "c"] {
        node.deployment(DeploymentId::new(id).unwrap()).wait().await.unwrap();
    }
    assert_eq!(order(&world), ["a.0", "a.0", "a.1", "b.0", "b.1", "c.0", "c.1"]);
}

#[tokio::test]
async fn a_resolver_that_gives_no_hosts_or_one_twice_fails_the_deployment() {
    for (hosts, word) in [(vec![], "no hosts"), (vec![samples::target(1); 2], "host-1 twice")] {
        let world = World::new(1);
        let resolver = FnResolver::new(move |_, _, _| {
            let hosts = hosts.clone();
            async move { Ok(hosts) }
        });
        let node = world.builder().resolver(resolver).build().await.unwrap();
        let deployment = node.submit(request("d1", &["1"])).await.unwrap();
        let failure = deployment.wait().await.unwrap().failure.unwrap();
        assert_eq!(failure.code, FailureCode::Unresolved);
        assert!(failure.message.contains(word), "{failure}");
    }
}

#[tokio::test]
async fn what_a_document_may_not_say_a_program_may_not_either() {
    let world = World::new(1);
    let node = world.node().await;
    let mut bad = request("d1", &["1"]);
    bad.rollout.batches.clear();
    bad.release.keep = 0;
    let error = node.submit(bad).await.unwrap_err();
    let NodeError::Invalid(faults) = &error else { panic!("{error}") };
    let paths: Vec<_> = faults.as_slice().iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["rollout.batches", "release.keep"]);
}

#[tokio::test]
async fn an_observer_that_panics_harms_nobody() {
    let world = World::new(1);
    let observer =
        deploy_core::FnObserver::new(|_: &deploy_core::Event| panic!("a defect, planted"));
    let node = world.builder().observer(observer).build().await.unwrap();
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    assert!(deployment.wait().await.unwrap().succeeded());
}

#[tokio::test]
async fn a_resolver_that_panics_again_and_again_comes_to_an_end() {
    let world = World::new(1);
    let resolver = FnResolver::new(|_, _, _| async { panic!("a defect, planted") });
    let node = world.builder().resolver(resolver).build().await.unwrap();
    let deployment = node.submit(request("d1", &["1"])).await.unwrap();
    let clock = Arc::clone(&world.clock);
    let pushing = tokio::spawn(async move {
        loop {
            clock.advance_to_next().await;
        }
    });
    let report = deployment.wait().await.unwrap();
    pushing.abort();
    assert_eq!(report.outcome, Outcome::Failed);
    let facts = world.facts(&deployment).await;
    assert_eq!(count(&facts, "attempt_failed"), 2);
}
