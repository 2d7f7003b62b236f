//! Plans: what a request would do, as data, and applying it where the world has not moved.

use std::time::Duration;

use deploy_core::model::{
    DeploymentId, Hook, HookPoint, Outcome, ReleaseAction, RollbackSpec, RollbackTarget, Target,
};
use deploy_core::{
    Clock, ControlNode, ExecuteError, Executor, FailureCode, FnExecutor, FnGate, GateDecision,
    NodeError, Plan,
};
use deploy_testkit::{HostScript, ScriptedExecutor, StaticResolver, samples};

use crate::support::{World, rollout, until};

async fn deployed(node: &ControlNode, id: &str) {
    let deployment = node.submit(rollout(id, r#"{"batches": ["100%"]}"#)).await.unwrap();
    assert!(deployment.wait().await.unwrap().succeeded());
}

/// What has changed since a plan was made, each with its path.
async fn refused(node: &ControlNode, plan: Plan) -> Vec<String> {
    match node.apply(plan).await {
        Err(NodeError::Drifted { drifts }) => drifts.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plan_says_what_would_happen_and_nothing_happens() {
    let world = World::new(3);
    let node = world.node().await;
    deployed(&node, "d0").await;
    let mut request = rollout("d1", r#"{"batches": ["1", "100%"]}"#);
    let hook = Hook::new("./restart").unwrap();
    request.release.hooks.after_switch = vec![hook];
    let plan = node.plan(request).await.unwrap();
    let sizes: Vec<_> = plan.batches.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 2]);
    assert_eq!(plan.request.package.sha256, plan.package.map(|package| package.sha256));
    assert_eq!(
        (plan.hooks[0].point, &*plan.hooks[0].hook.run),
        (HookPoint::AfterSwitch, "./restart")
    );
    for host in &plan.hosts {
        let change = host.change.as_ref().unwrap();
        assert_eq!(change.from.as_ref().unwrap().as_str(), "d0");
        assert_eq!(change.to.as_ref().unwrap().as_str(), "d1");
        assert!(samples::fleet(3).contains(&host.target), "it says how the host is reached");
    }
    assert!(plan.waits_for.is_empty() && plan.refused.is_none());
    let written = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&written).unwrap(), plan);
    // It is not accepted, and no host was changed.
    let id = DeploymentId::new("d1").unwrap();
    assert!(matches!(node.deployment(id).state().await, Err(NodeError::Unknown { .. })));
    assert_eq!(world.executor.serves(&samples::host(1)).unwrap().as_str(), "d0");
}

#[tokio::test]
async fn a_plan_that_still_holds_is_applied_once() {
    let world = World::new(2);
    let node = world.node().await;
    let plan = node.plan(rollout("d1", "{}")).await.unwrap();
    let deployment = node.apply(plan.clone()).await.unwrap();
    assert!(deployment.wait().await.unwrap().succeeded());
    // The hosts have moved on by it, and it is the same deployment.
    let again = node.apply(plan).await.unwrap();
    assert_eq!(again.id(), deployment.id());
    assert_eq!(world.executor.executions(&samples::host(1)), 1);
}

#[tokio::test]
async fn a_request_without_an_id_has_one_in_its_plan() {
    let world = World::new(1);
    let node = world.node().await;
    let mut request = rollout("d1", "{}");
    request.id = None;
    let plan = node.plan(request).await.unwrap();
    let deployment = node.apply(plan.clone()).await.unwrap();
    assert_eq!(Some(deployment.id()), plan.deployment());
}

#[tokio::test]
async fn everything_that_has_moved_since_a_plan_was_made_is_named_and_nothing_is_filed() {
    let world = World::new(3);
    let node = world.node().await;
    deployed(&node, "d0").await;
    let plan = node.plan(rollout("d2", "{}")).await.unwrap();
    deployed(&node, "d1").await;
    let fleet: Vec<Target> = samples::fleet(4).into_iter().skip(1).collect();
    let resolver = StaticResolver::new(fleet);
    let moved = world.builder().resolver(resolver).build().await.unwrap();
    let drifts = refused(&moved, plan).await;
    let (one, two, four) = (samples::host(1), samples::host(2), samples::host(4));
    let expected = [
        format!("hosts.{one}: none any more now, planned with a host of the project"),
        format!("hosts.{two}.current: release d1 now, planned with release d0"),
        format!("hosts.{four}: one now, planned with no host of the project"),
    ];
    for drift in expected {
        assert!(drifts.contains(&drift), "{drift} is not in {drifts:#?}");
    }
    assert!(drifts.iter().any(|drift| drift.starts_with("batches: ")), "{drifts:#?}");
    let id = DeploymentId::new("d2").unwrap();
    assert!(matches!(node.deployment(id).state().await, Err(NodeError::Unknown { .. })));
}

#[tokio::test]
async fn a_plan_of_yesterday_is_refused() {
    let world = World::new(1);
    let node = world.node().await;
    let plan = node.plan(rollout("d1", "{}")).await.unwrap();
    world.clock.advance(Duration::from_secs(24 * 60 * 60));
    let drifts = refused(&node, plan).await;
    assert!(drifts.len() == 1 && drifts[0].starts_with("valid_until: 2026-01-02"), "{drifts:?}");
}

#[tokio::test]
async fn a_package_that_was_changed_behind_its_address_is_no_longer_what_was_planned() {
    let world = World::new(1);
    let node = world.node().await;
    let plan = node.plan(rollout("d1", "{}")).await.unwrap();
    let other = deploy_testkit::FakeVerifier::new(*b"another");
    let moved = world.builder().verifier(other).build().await.unwrap();
    let error = moved.apply(plan).await.unwrap_err();
    let NodeError::Unplannable { failure } = &error else { panic!("{error:?}") };
    assert_eq!(failure.code, FailureCode::DigestMismatch);
}

#[tokio::test]
async fn a_plan_says_why_it_would_not_begin_at_once() {
    let world = World::new(1);
    let friday = FnGate::new(|_, _, _| async {
        Ok(GateDecision::Refused { reason: "it is Friday".to_owned() })
    });
    let node = world.builder().gate(friday).build().await.unwrap();
    let due = world.clock.now().plus(Duration::from_secs(3600));
    let plan = node.plan(rollout("d1", "{}").with_not_before(due)).await.unwrap();
    assert_eq!(plan.refused.as_deref(), Some("it is Friday"));
    assert_eq!(plan.waits_for, [format!("its time, {due}")]);
}

#[tokio::test]
async fn a_plan_waits_for_those_deployments_alone_that_do_not_let_it_pass() {
    let world = World::new(1);
    world.executor.script(samples::host(1), HostScript::hang());
    let node = world.node().await;
    let due = world.clock.now().plus(Duration::from_secs(3600));
    let later = node.submit(rollout("d1", "{}").with_not_before(due)).await.unwrap();
    until(&later, "waiting").await;
    let first = node.submit(rollout("d2", "{}")).await.unwrap();
    world.executor.hanging(&samples::host(1)).await;
    let second = node.submit(rollout("d3", "{}")).await.unwrap();
    until(&second, "in_line").await;
    let plan = node.plan(rollout("d4", "{}")).await.unwrap();
    let expected = [first.id(), second.id()].map(|id| format!("the deployment {id}"));
    assert_eq!(plan.waits_for, expected);
}

#[tokio::test]
async fn a_host_that_cannot_be_looked_at_is_in_the_plan_with_the_reason() {
    let world = World::new(2);
    let executor = FnExecutor::new(|_, task| async move {
        let endpoint = task.hosts[0].endpoint.to_string();
        Err(ExecuteError::Unreachable { endpoint, source: "nobody is there".into() })
    });
    let node = world.builder().executor(executor).build().await.unwrap();
    let plan = node.plan(rollout("d1", "{}")).await.unwrap();
    let failure = plan.hosts[1].failure.as_ref().unwrap();
    assert_eq!(failure.code, FailureCode::AgentUnreachable);
    assert!(plan.hosts[1].change.is_none());
    // When it can be, that is another world.
    let drifts = refused(&world.node().await, plan).await;
    let expected =
        format!("hosts.{}.current: no release now, planned with out of reach", samples::host(1));
    assert!(drifts.contains(&expected), "{drifts:#?}");
}

#[tokio::test]
async fn a_plan_of_a_rollback_says_what_each_host_would_go_back_to() {
    let world = World::new(1);
    let node = world.node().await;
    deployed(&node, "d0").await;
    deployed(&node, "d1").await;
    let spec = RollbackSpec::new(DeploymentId::new("d1").unwrap(), RollbackTarget::LastGood);
    let mut request = rollout("d2", "{}");
    request.rollback = Some(spec);
    let plan = node.plan(request).await.unwrap();
    assert!(plan.package.is_none());
    let change = plan.hosts[0].change.as_ref().unwrap();
    assert_eq!(change.to.as_ref().unwrap().as_str(), "d0");
    let undone = node.apply(plan).await.unwrap().wait().await.unwrap();
    assert_eq!(undone.outcome, Outcome::RolledBack);
}

#[tokio::test]
async fn planning_asks_hosts_for_nothing_but_a_look() {
    let world = World::new(2);
    let scripted: ScriptedExecutor = world.executor.clone();
    let executor = FnExecutor::new(move |cx, task| {
        assert_eq!(task.action, ReleaseAction::Inspect);
        let scripted = scripted.clone();
        async move { scripted.execute(cx, task).await }
    });
    let node = world.builder().executor(executor).build().await.unwrap();
    node.plan(rollout("d1", "{}")).await.unwrap();
    assert_eq!(world.executor.executions(&samples::host(1)), 0);
}
