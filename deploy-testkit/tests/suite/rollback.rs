//! Deployments that put their hosts back: by themselves, by hand, after their end, and over crashes.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{
    Actor, DeploymentId, HostResult, HostStatus, Outcome, ReleaseAction, ReleaseId, ReleaseReport,
    RollbackTarget,
};
use deploy_core::{
    Clock, Context, ControlNode, Deployment, Executor, Fact, Failure, FailureCode, FnExecutor,
    NodeError, Phase, Verb,
};
use deploy_testkit::{HostScript, samples};

use tokio::sync::Notify;

use crate::support::{World, count, order, rollout, until};

fn anna() -> Actor {
    Actor::new("anna", "it smells")
}

fn id(name: &str) -> DeploymentId {
    DeploymentId::new(name).unwrap()
}

/// The releases that the hosts serve.
fn serves(world: &World) -> Vec<String> {
    let serves = |n| world.executor.serves(&samples::host(n));
    (1..=world.hosts).map(|n| serves(n).map_or("-".into(), |r| r.to_string())).collect()
}

/// Three hosts that serve d0, all at once.
async fn world_of_three() -> (World, ControlNode) {
    let world = World::new(3);
    let node = world.node().await;
    let first = node.submit(rollout("d0", r#"{"batches": ["100%"]}"#)).await.unwrap();
    assert!(first.wait().await.unwrap().succeeded());
    (world, node)
}

async fn submit(node: &ControlNode, id: &str, document: &str) -> Deployment {
    node.submit(rollout(id, document)).await.unwrap()
}

#[tokio::test]
async fn past_its_budget_a_rollout_puts_back_the_hosts_that_had_succeeded_too() {
    let (world, node) = world_of_three().await;
    // Back by itself, as a release that fails after the switch is.
    let failed = Failure::new(FailureCode::HookFailed, "no");
    let back = HostScript::end(HostStatus::RolledBack, failed);
    world.executor.script(samples::host(3), back);
    let document = r#"{"batches": ["1"], "failures": {"then": "roll_back"}}"#;
    let report = submit(&node, "d1", document).await.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack);
    assert_eq!(report.failure.as_ref().unwrap().message, "no (1 of 3 hosts failed)");
    assert!(report.hosts.iter().all(|host| host.status == HostStatus::RolledBack));
    assert_eq!(serves(&world), ["d0", "d0", "d0"]);
    let parts = ["d0.0", "d1.0", "d1.1", "d1.2", "d1.3", "d1.4"];
    assert_eq!(order(&world), parts, "one by one, as it went out");
    let last = world.executor.tasks().pop().unwrap();
    let (release, to) = (ReleaseId::new("d1").unwrap(), RollbackTarget::LastGood);
    assert_eq!(last.action, ReleaseAction::Rollback { release, to });
}

#[tokio::test]
async fn a_host_that_cannot_go_back_keeps_no_other_from_it_and_the_deployment_has_failed() {
    let (world, node) = world_of_three().await;
    let missing = HostScript::fail(FailureCode::ReleaseMissing);
    world.executor.script(samples::host(1), HostScript::succeed());
    world.executor.script(samples::host(1), missing);
    world.executor.script(samples::host(3), HostScript::fail(FailureCode::HookFailed));
    let document = r#"{"batches": ["1"], "failures": {"then": "roll_back"}}"#;
    let report = submit(&node, "d1", document).await.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    let failure = report.failure.unwrap();
    assert_eq!(failure.code, FailureCode::ReleaseMissing);
    let message = "as the script says (1 of 2 hosts was not put back, after: as the script says \
                   (1 of 3 hosts failed))";
    assert_eq!(failure.message, message);
    assert_eq!(serves(&world), ["d1", "d0", "d0"]);
}

#[tokio::test]
async fn a_rollout_that_is_rolled_back_by_hand_lets_running_hosts_end_first() {
    let (world, node) = world_of_three().await;
    world.executor.script(samples::host(2), HostScript::hang());
    world.executor.script(samples::host(2), HostScript::succeed());
    let deployment = submit(&node, "d1", r#"{"batches": ["1"]}"#).await;
    world.executor.hanging(&samples::host(2)).await;
    until(&deployment, "host_started").await;
    let same = deployment.roll_back(RollbackTarget::LastGood, anna()).await.unwrap();
    assert_eq!(same.id(), deployment.id());
    assert_eq!(deployment.state().await.unwrap().phase, Phase::RollingBack);
    deployment.roll_back(RollbackTarget::LastGood, "again").await.unwrap();
    let other = deployment.roll_back(RollbackTarget::Previous, anna()).await.unwrap_err();
    assert!(matches!(other, NodeError::NotNow { verb: Verb::RollBack, .. }), "{other}");
    world.executor.release(&samples::host(2));
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack);
    assert_eq!(report.failure.unwrap().message, "rolled back by anna: it smells");
    assert_eq!(serves(&world), ["d0", "d0", "d0"]);
    let untouched = report.hosts[2].clone();
    assert_eq!(untouched.status, HostStatus::NotStarted);
    let facts = world.facts(&deployment).await;
    assert_eq!(count(&facts, "rollback_requested"), 1);
    assert_eq!(count(&facts, "rollback_started"), 1);
}

#[tokio::test]
async fn a_finished_deployment_is_undone_by_another_one_that_fetches_nothing() {
    let (world, node) = world_of_three().await;
    let first =
        submit(&node, "d1", r#"{"batches": ["100%"], "canary": {"hosts": 1, "hold": "promote"}}"#)
            .await;
    until(&first, "batch_held").await;
    first.promote(anna()).await.unwrap();
    assert!(first.wait().await.unwrap().succeeded());
    let fetched = world.verifier.calls();
    let undo = first.roll_back(RollbackTarget::LastGood, anna()).await.unwrap();
    assert_eq!(undo.id(), &id("d1-rollback1"));
    let report = undo.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack);
    assert!(report.failure.is_none());
    assert_eq!(serves(&world), ["d0", "d0", "d0"]);
    assert_eq!(world.verifier.calls(), fetched);
    let filed = Fact::RollbackFiled { by: anna() };
    assert!(world.facts(&undo).await.contains(&filed));
    // Asked for again it is the same one, and a rollback is not undone.
    let again = first.roll_back(RollbackTarget::LastGood, "again").await.unwrap();
    assert_eq!(again.id(), undo.id());
    let loops = undo.roll_back(RollbackTarget::LastGood, anna()).await.unwrap_err();
    assert!(loops.to_string().contains("it undoes another deployment itself"), "{loops}");
}

#[tokio::test]
async fn what_has_not_begun_or_serves_nowhere_cannot_be_rolled_back() {
    let world = World::new(2);
    let node = world.node().await;
    world.executor.script(samples::host(1), HostScript::fail(FailureCode::HookFailed));
    let failed = submit(&node, "d1", "{}").await;
    assert_eq!(failed.wait().await.unwrap().outcome, Outcome::Failed);
    let nowhere = failed.roll_back(RollbackTarget::LastGood, anna()).await.unwrap_err();
    assert!(nowhere.to_string().contains("none of its hosts serves its release"), "{nowhere}");
    let due = world.clock.now().plus(Duration::from_secs(3600));
    let waits = node.submit(rollout("d2", "{}").with_not_before(due)).await.unwrap();
    until(&waits, "waiting").await;
    let early = waits.roll_back(RollbackTarget::LastGood, anna()).await.unwrap_err();
    assert!(early.to_string().contains("its rollout has not begun"), "{early}");
}

#[tokio::test]
async fn a_rollback_goes_on_after_a_crash_and_does_not_put_a_host_back_twice() {
    let (world, node) = world_of_three().await;
    let scripts = [HostScript::succeed(), HostScript::hang(), HostScript::succeed()];
    scripts.into_iter().for_each(|script| world.executor.script(samples::host(2), script));
    world.executor.script(samples::host(3), HostScript::fail(FailureCode::HookFailed));
    let document = r#"{"batches": ["1"], "failures": {"then": "roll_back"}}"#;
    let deployment = submit(&node, "d1", document).await;
    world.executor.hanging(&samples::host(2)).await;
    let before = world.executor.executions(&samples::host(1));
    drop((node, deployment));

    let world = world.restarted();
    let node = world.node().await;
    world.executor.release(&samples::host(2));
    let report = node.deployment(id("d1")).wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack);
    assert_eq!(serves(&world), ["d0", "d0", "d0"]);
    assert_eq!(world.executor.executions(&samples::host(1)), before);
    let tasks = world.executor.tasks();
    let back = tasks.iter().filter(|task| task.action != ReleaseAction::Install);
    assert_eq!(back.map(|task| task.id.as_str()).collect::<Vec<_>>(), ["d1.3", "d1.4", "d1.4"]);
}

#[tokio::test]
async fn what_puts_a_host_back_is_newer_than_what_was_there_also_in_the_next_process() {
    let (world, node) = world_of_three().await;
    let scripts = [HostScript::hang(), HostScript::succeed()];
    scripts.into_iter().for_each(|script| world.executor.script(samples::host(2), script));
    submit(&node, "d1", r#"{"batches": ["1"]}"#).await;
    world.executor.hanging(&samples::host(2)).await;
    drop(node);

    // The clock stands still, and the numbers of the first process were ahead of it.
    let world = world.restarted();
    let node = world.node().await;
    let deployment = node.deployment(id("d1"));
    deployment.roll_back(RollbackTarget::LastGood, anna()).await.unwrap();
    assert_eq!(deployment.wait().await.unwrap().outcome, Outcome::RolledBack);
    let tasks = world.executor.tasks().into_iter().filter(|task| task.deployment == id("d1"));
    let mut fences: Vec<_> = tasks.map(|task| task.fence).collect();
    fences.dedup();
    assert!(fences.len() > 2 && fences.is_sorted(), "{fences:?}");
}

#[tokio::test]
async fn a_rollback_is_paused_cancelled_and_retried_like_a_rollout() {
    let (world, node) = world_of_three().await;
    let scripts = [HostScript::succeed(), HostScript::fail(FailureCode::HookFailed).hanging()];
    scripts.into_iter().for_each(|script| world.executor.script(samples::host(1), script));
    world.executor.script(samples::host(1), HostScript::succeed());
    world.executor.script(samples::host(3), HostScript::fail(FailureCode::HookFailed));
    let document = r#"{"batches": ["1"], "failures": {"then": "roll_back"}}"#;
    let deployment = submit(&node, "d1", document).await;
    world.executor.hanging(&samples::host(1)).await;
    let canary = deployment.promote(anna()).await.unwrap_err();
    assert!(
        canary.to_string().ends_with("while it is rolling back: its hosts are being put back"),
        "{canary}"
    );
    deployment.pause(anna()).await.unwrap();
    let ended = world.facts(&deployment).await.len();
    world.executor.release(&samples::host(1));
    let mut events = deployment.events(deploy_core::Sequence::new(ended as u64));
    while let Some(event) = events.next().await {
        if event.unwrap().fact.name() == "host_finished" {
            break;
        }
    }
    deployment.retry_failed(anna()).await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack, "{report:#?}");
    assert_eq!(serves(&world), ["d0", "d0", "d0"]);
}

#[tokio::test]
async fn a_rolled_back_deployment_is_done_again_on_every_host() {
    let (world, node) = world_of_three().await;
    let deployment = submit(&node, "d1", r#"{"batches": ["100%"]}"#).await;
    assert!(deployment.wait().await.unwrap().succeeded());
    let undo = deployment.roll_back(RollbackTarget::LastGood, anna()).await.unwrap();
    assert_eq!(undo.wait().await.unwrap().outcome, Outcome::RolledBack);
    let nothing = undo.retry_failed(anna()).await.unwrap_err();
    assert!(nothing.to_string().contains("none of its hosts has failed"), "{nothing}");
    world.executor.script(samples::host(2), HostScript::fail(FailureCode::HookFailed));
    world.executor.script(samples::host(2), HostScript::succeed());
    let document = r#"{"batches": ["1"], "failures": {"then": "roll_back"}}"#;
    let second = submit(&node, "d2", document).await;
    assert_eq!(second.wait().await.unwrap().outcome, Outcome::RolledBack);
    let again = second.retry_failed(anna()).await.unwrap();
    assert_eq!(again.id(), &id("d2-retry1"));
    assert!(again.wait().await.unwrap().succeeded());
    assert_eq!(serves(&world), ["d2-retry1", "d2-retry1", "d2-retry1"]);
}

#[tokio::test]
async fn a_rollout_that_is_late_goes_back_too_where_that_is_asked_for() {
    let (world, node) = world_of_three().await;
    world.executor.script(samples::host(2), HostScript::hang());
    world.executor.script(samples::host(2), HostScript::succeed());
    let document = r#"{"batches": ["1"], "deadline": "1h", "failures": {"then": "roll_back"}}"#;
    let deployment = submit(&node, "d1", document).await;
    world.executor.hanging(&samples::host(2)).await;
    world.clock.advance(Duration::from_secs(3600));
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack);
    assert_eq!(report.failure.unwrap().code, FailureCode::TimedOut);
    assert_eq!(serves(&world), ["d0", "d0", "d0"]);
}

#[tokio::test]
async fn what_a_rollback_did_not_put_back_can_be_put_back_after_its_end() {
    let (world, node) = world_of_three().await;
    let unreachable = HostScript::fail(FailureCode::HostUnreachable);
    let scripts = [HostScript::succeed(), unreachable, HostScript::succeed()];
    scripts.into_iter().for_each(|script| world.executor.script(samples::host(1), script));
    world.executor.script(samples::host(3), HostScript::fail(FailureCode::HookFailed));
    let document = r#"{"batches": ["1"], "failures": {"then": "roll_back"}}"#;
    let deployment = submit(&node, "d1", document).await;
    assert_eq!(deployment.wait().await.unwrap().outcome, Outcome::Failed);
    assert_eq!(serves(&world), ["d1", "d0", "d0"]);
    let undo = deployment.roll_back(RollbackTarget::LastGood, anna()).await.unwrap();
    let report = undo.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack, "{report:#?}");
    assert_eq!(report.hosts.len(), 1, "the others were put back already");
    assert_eq!(serves(&world), ["d0", "d0", "d0"]);
}

#[tokio::test]
async fn a_rollback_that_was_cancelled_half_way_can_be_finished_after_its_end() {
    let (world, node) = world_of_three().await;
    let scripts = [HostScript::succeed(), HostScript::hang(), HostScript::succeed()];
    scripts.into_iter().for_each(|script| world.executor.script(samples::host(1), script));
    world.executor.script(samples::host(3), HostScript::fail(FailureCode::HookFailed));
    let document = r#"{"batches": ["1"], "failures": {"then": "roll_back"}}"#;
    let deployment = submit(&node, "d1", document).await;
    world.executor.hanging(&samples::host(1)).await;
    deployment.cancel(anna()).await.unwrap();
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert_eq!(report.hosts[1].status, HostStatus::NotStarted);
    assert_eq!(serves(&world), ["d1", "d1", "d0"]);
    let undo = deployment.roll_back(RollbackTarget::LastGood, anna()).await.unwrap();
    assert_eq!(undo.wait().await.unwrap().outcome, Outcome::RolledBack);
    assert_eq!(serves(&world), ["d0", "d0", "d0"]);
}

/// An executor whose hosts do not heed a cancel: what installs on the second host ends when it is told
/// to, and what puts it back as the script says.
fn heedless(world: &World, release: &Arc<Notify>, back: HostStatus) -> impl Executor + use<> {
    let (scripted, release) = (world.executor.clone(), Arc::clone(release));
    FnExecutor::new(move |cx: Context, task| {
        let (scripted, release) = (scripted.clone(), Arc::clone(&release));
        async move {
            let second = task.hosts[0].host == samples::host(2);
            let result = match &task.action {
                ReleaseAction::Install if second && task.deployment == id("d1") => {
                    release.notified().await;
                    HostResult::succeeded(samples::host(2), ReleaseId::new("d1").unwrap())
                }
                ReleaseAction::Rollback { .. } if second => {
                    release.notify_one();
                    cx.cancel.cancelled().await;
                    HostResult::new(samples::host(2), back)
                }
                _ => return scripted.execute(cx, task).await,
            };
            cx.report(Fact::HostFinished { result: result.clone() });
            Ok(ReleaseReport::new(vec![result]))
        }
    })
}

/// A rollout with a deadline, of which the second host does not heed a cancel, until it is put back.
async fn overdue(back: HostStatus) -> (World, Deployment) {
    let (world, node) = world_of_three().await;
    node.shutdown().await;
    let executor = heedless(&world, &Arc::default(), back);
    // The clock jumps below are no reason for another worker to take over.
    let builder = world.builder().executor(executor).lease(Duration::from_secs(24 * 3600));
    let node = builder.build().await.unwrap();
    let document = r#"{"batches": ["1"], "deadline": "1h", "failures": {"then": "roll_back"}}"#;
    let deployment = submit(&node, "d1", document).await;
    while deployment.state().await.unwrap().dispatches.len() < 2 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Duration::from_secs(3600));
    until(&deployment, "deadline_passed").await;
    world.clock.advance(Duration::from_secs(600));
    until(&deployment, "rollback_started").await;
    (world, deployment)
}

#[tokio::test]
async fn what_a_part_says_late_is_not_taken_for_what_the_rollback_did() {
    let (world, deployment) = overdue(HostStatus::RolledBack).await;
    while deployment.state().await.unwrap().dispatches.len() < 4 {
        tokio::task::yield_now().await;
    }
    // The old part has spoken by now, and is not heard.
    deployment.pause(anna()).await.unwrap();
    assert!(deployment.state().await.unwrap().host(&samples::host(2)).unwrap().result.is_none());
    deployment.resume(anna()).await.unwrap();
    world.clock.advance(Duration::from_secs(2 * 3600));
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack, "{report:#?}");
}

#[tokio::test]
async fn a_rollback_that_is_late_itself_ends_and_is_not_begun_again() {
    let (world, deployment) = overdue(HostStatus::Unknown).await;
    while deployment.state().await.unwrap().dispatches.len() < 4 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Duration::from_secs(2 * 3600));
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    assert_eq!(report.failure.unwrap().code, FailureCode::TimedOut);
    assert_eq!(count(&world.facts(&deployment).await, "rollback_started"), 1);
}
