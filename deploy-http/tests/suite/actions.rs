//! What a task does besides installing, through a real agent whose hosts are real directories.

use std::time::Duration;

use deploy_core::model::{
    AfterBudget, DeploymentRequest, Hook, HostStatus, Monitor, Outcome, ProbedFrom, ReleaseAction,
    ReleaseState, RollbackTarget,
};
use deploy_core::{ControlNode, FailureCode};
use deploy_testkit::samples;

use crate::support::world::{Serving, World};

/// Two releases on every host.
async fn two_releases(world: &World, agent: &Serving) {
    for number in [1, 2] {
        agent.ends(&world.task(agent, number), HostStatus::Succeeded).await;
    }
    assert_eq!(world.serve(), vec!["d2"; 2]);
}

#[tokio::test]
async fn what_the_hosts_of_an_agent_have_is_found_and_nothing_changes() {
    let world = World::new(2);
    let agent = world.agent().await;
    let looking = |number| world.task(&agent, number).with_action(ReleaseAction::Inspect);
    let nothing = agent.ends(&looking(7), HostStatus::Checked).await;
    assert!(nothing.hosts.iter().all(|host| host.found.as_ref().unwrap().releases.is_empty()));
    assert!(!world.root(1).exists() && world.verifier.calls().is_empty());
    two_releases(&world, &agent).await;
    let report = agent.ends(&looking(8), HostStatus::Checked).await;
    for host in &report.hosts {
        let found = host.found.as_ref().unwrap();
        let there: Vec<_> =
            found.releases.iter().map(|known| (known.release.as_str(), known.state)).collect();
        assert_eq!(there, [("d2", ReleaseState::Good), ("d1", ReleaseState::Good)]);
        assert_eq!(found.current.as_ref().unwrap().as_str(), "d2");
        assert_eq!(found.releases[0].sha256, Some(world.verifier.digests().sha256));
        assert!(found.free.unwrap() > 0);
    }
}

#[tokio::test]
async fn hosts_go_back_through_an_agent_once_however_often_that_is_asked() {
    let world = World::new(2);
    let agent = world.agent().await;
    two_releases(&world, &agent).await;
    let fetched = world.verifier.calls().len();
    let mut undo = world.undo(&agent, 3, 2, RollbackTarget::LastGood);
    let count = Hook::new("echo \"$DEPLOY_RELEASE $DEPLOY_ROLLBACK\" >>\"$DEPLOY_ROOT/hooks\"");
    undo.release.hooks.after_switch.push(count.unwrap());
    let report = agent.ends(&undo, HostStatus::RolledBack).await;
    assert!(report.hosts.iter().all(|host| host.serves.as_ref().unwrap().as_str() == "d1"));
    assert_eq!(agent.execute(&undo).await, report);
    assert_eq!(world.serve(), vec!["d1"; 2]);
    for host in [1, 2] {
        let hooks = std::fs::read_to_string(world.root(host).join("hooks")).unwrap();
        assert_eq!(hooks, "d1 1\n");
    }
    assert_eq!(world.verifier.calls().len(), fetched);
    let missing = RollbackTarget::Release("d0".parse().unwrap());
    let report = agent.ends(&world.undo(&agent, 4, 1, missing), HostStatus::Failed).await;
    for host in &report.hosts {
        let failure = host.failure.as_ref().unwrap();
        assert_eq!(failure.code, FailureCode::ReleaseMissing, "{failure:?}");
        assert!(failure.message.contains("d0") && failure.message.contains("d2 (failed)"));
        assert_eq!(host.serves.as_ref().unwrap().as_str(), "d1");
    }
}

#[tokio::test]
async fn a_result_survives_the_agent_and_is_not_worked_out_again() {
    let world = World::new(2);
    let agent = world.agent().await;
    two_releases(&world, &agent).await;
    let looking = world.task(&agent, 3).with_action(ReleaseAction::Inspect);
    let found = agent.ends(&looking, HostStatus::Checked).await;
    let address = agent.stop().await;
    // What is there now is something else.
    std::fs::remove_dir_all(world.root(1)).unwrap();
    let agent = world.agent_at(address).await;
    assert_eq!(agent.execute(&looking).await, found);
}

#[tokio::test]
async fn hosts_are_asked_for_their_health_through_an_agent() {
    let world = World::new(2);
    let agent = world.agent().await;
    two_releases(&world, &agent).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let probe = |number| {
        let mut task = world.task(&agent, number).with_action(ReleaseAction::Probe);
        let mut monitor = Monitor::new(&format!("tcp://127.0.0.1:{port}")).unwrap();
        (monitor.from, monitor.interval) = (ProbedFrom::Host, Duration::from_millis(10));
        task.monitor = Some(monitor);
        task
    };
    agent.ends(&probe(3), HostStatus::Checked).await;
    drop(listener);
    let report = agent.ends(&probe(4), HostStatus::Failed).await;
    let code = |host: &deploy_core::model::HostResult| host.failure.as_ref().unwrap().code;
    assert!(report.hosts.iter().all(|host| code(host) == FailureCode::Unhealthy), "{report:?}");
    assert_eq!(world.serve(), vec!["d2"; 2]);
}

fn request(world: &World, id: &str) -> DeploymentRequest {
    samples::request(world.package()).with_id(id.parse().unwrap())
}

async fn outcome(node: &ControlNode, request: DeploymentRequest) -> Outcome {
    node.submit(request).await.unwrap().wait().await.unwrap().outcome
}

#[tokio::test]
async fn a_rollout_through_an_agent_puts_back_what_it_had_switched() {
    let world = World::new(2);
    let agent = world.agent().await;
    let node = world.control(&agent).await;
    assert_eq!(outcome(&node, request(&world, "d1")).await, Outcome::Succeeded);
    let mut second = request(&world, "d2");
    let fails = "[ -n \"$DEPLOY_ROLLBACK\" ] || [ \"$DEPLOY_HOST\" != host-2 ] || exit 3";
    second.release.hooks.after_switch.push(Hook::new(fails).unwrap());
    second.rollout.failures.then = AfterBudget::RollBack;
    let report = node.submit(second).await.unwrap().wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack, "{report:?}");
    assert!(report.hosts.iter().all(|host| host.status == HostStatus::RolledBack), "{report:?}");
    assert_eq!(world.serve(), vec!["d1"; 2]);
}

#[tokio::test]
async fn a_finished_deployment_is_planned_and_undone_through_an_agent() {
    let world = World::new(2);
    let agent = world.agent().await;
    let node = world.control(&agent).await;
    assert_eq!(outcome(&node, request(&world, "d1")).await, Outcome::Succeeded);
    let plan = node.plan(request(&world, "d2")).await.unwrap();
    for host in &plan.hosts {
        let change = host.change.as_ref().unwrap_or_else(|| panic!("{host:?}"));
        assert_eq!(change.from.as_ref().unwrap().as_str(), "d1");
        assert_eq!(change.to.as_ref().unwrap().as_str(), "d2");
        assert!(change.same_package);
    }
    assert_eq!(world.serve(), vec!["d1"; 2]);
    let second = node.apply(plan).await.unwrap();
    assert_eq!(second.wait().await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(world.serve(), vec!["d2"; 2]);
    let undone = second.roll_back(RollbackTarget::LastGood, "it is slow").await.unwrap();
    assert_eq!(undone.id().as_str(), "d2-rollback1");
    assert_eq!(undone.wait().await.unwrap().outcome, Outcome::RolledBack);
    assert_eq!(world.serve(), vec!["d1"; 2]);
}
