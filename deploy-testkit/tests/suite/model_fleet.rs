//! The hosts of a model fleet keep the rules of a release on a host.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deploy_core::model::{
    DeploymentId, Fence, HostStatus, ReleaseAction, ReleaseId, ReleaseReport, ReleaseTask,
    RollbackTarget,
};
use deploy_core::{CancelToken, Context, Executor, FailureCode};
use deploy_testkit::{Dice, FleetFaults, HostEffect, HostEvent, ModelFleet, samples};

fn fleet() -> (ModelFleet, Arc<Mutex<Vec<HostEvent>>>) {
    let seen: Arc<Mutex<Vec<HostEvent>>> = Arc::default();
    let watcher = Arc::clone(&seen);
    (ModelFleet::new(&Dice::new(1), move |event| watcher.lock().unwrap().push(event)), seen)
}

fn task(deployment: &str, fence: u64) -> ReleaseTask {
    let package = samples::package(b"package");
    let (id, deployment) = (samples::task_id(deployment), DeploymentId::new(deployment).unwrap());
    let request = samples::request(package.clone());
    ReleaseTask::new(id, deployment, &request, package, samples::fleet(1), Fence::new(fence))
}

async fn run(fleet: &ModelFleet, task: ReleaseTask) -> ReleaseReport {
    fleet.executor().execute(Context::new(task.id.clone()), task).await.unwrap()
}

fn current(fleet: &ModelFleet) -> Option<ReleaseId> {
    fleet.current(&samples::host(1), &samples::project("checkout"))
}

fn count(seen: &Mutex<Vec<HostEvent>>, effect: &HostEffect) -> usize {
    seen.lock().unwrap().iter().filter(|event| event.effect == *effect).count()
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_served_is_not_installed_again() {
    let (fleet, seen) = fleet();
    assert!(run(&fleet, task("one", 1)).await.succeeded());
    assert!(run(&fleet, task("one", 2)).await.succeeded());
    assert_eq!(count(&seen, &HostEffect::Proven), 1);
    assert_eq!(count(&seen, &HostEffect::Locked), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lower_fencing_number_is_refused_and_changes_nothing() {
    let (fleet, seen) = fleet();
    assert!(run(&fleet, task("two", 2)).await.succeeded());
    let report = run(&fleet, task("one", 1)).await;
    assert_eq!(report.hosts[0].failure.as_ref().unwrap().code, FailureCode::HostLocked);
    assert_eq!(current(&fleet).unwrap().as_str(), "two");
    assert_eq!(count(&seen, &HostEffect::Refused), 1);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_after_the_switch_goes_back_and_one_before_leaves_nothing() {
    let (fleet, _) = fleet();
    assert!(run(&fleet, task("one", 1)).await.succeeded());
    fleet.spoil(DeploymentId::new("two").unwrap());
    let report = run(&fleet, task("two", 2)).await;
    assert_eq!(report.hosts[0].status, HostStatus::RolledBack);
    assert_eq!(current(&fleet).unwrap().as_str(), "one");
    let mut faults = FleetFaults::default();
    faults.fails_before = 1_000;
    fleet.set_faults(faults);
    let report = run(&fleet, task("three", 3)).await;
    assert_eq!(report.hosts[0].status, HostStatus::Failed);
    let found = run(&fleet, task("look", 4).with_action(ReleaseAction::Inspect)).await;
    let found = found.hosts[0].found.clone().unwrap();
    let releases: Vec<_> = found.releases.iter().map(|found| found.release.as_str()).collect();
    assert_eq!(releases, ["two", "one"]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_goes_to_the_last_good_release_and_leaves_what_does_not_serve_the_undone_one() {
    let (fleet, _) = fleet();
    fleet.serve(&samples::host(1), &samples::project("checkout"), "before".parse().unwrap());
    assert!(run(&fleet, task("one", 1)).await.succeeded());
    let undo = |to| ReleaseAction::Rollback { release: "one".parse().unwrap(), to };
    let back = task("back", 2).with_action(undo(RollbackTarget::LastGood));
    assert_eq!(run(&fleet, back).await.hosts[0].status, HostStatus::RolledBack);
    assert_eq!(current(&fleet).unwrap().as_str(), "before");
    // It serves something else by now, and is left as it is.
    let named = RollbackTarget::Release("nothing".parse().unwrap());
    let again = run(&fleet, task("again", 3).with_action(undo(named.clone()))).await;
    assert_eq!(again.hosts[0].status, HostStatus::RolledBack);
    let undo = ReleaseAction::Rollback { release: "before".parse().unwrap(), to: named };
    let none = run(&fleet, task("none", 4).with_action(undo)).await;
    assert_eq!(none.hosts[0].failure.as_ref().unwrap().code, FailureCode::ReleaseMissing);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_host_puts_itself_back_and_what_was_lost_is_unknown() {
    let (fleet, _) = fleet();
    let task_one = task("one", 1);
    let cancel = CancelToken::new();
    let cx = Context::new(task_one.id.clone()).with_cancel(cancel.clone());
    let executor = fleet.executor();
    let running = tokio::spawn(async move { executor.execute(cx, task_one).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    cancel.cancel("enough");
    let report = running.await.unwrap();
    assert_eq!(report.hosts[0].status, HostStatus::Cancelled);
    assert_eq!(current(&fleet), None);
    let mut faults = FleetFaults::default();
    faults.lost = 1_000;
    fleet.set_faults(faults);
    let mut statuses = Vec::new();
    for number in 2..12 {
        statuses.push(run(&fleet, task(&format!("d{number}"), number)).await.hosts[0].status);
    }
    assert!(statuses.contains(&HostStatus::Unknown), "{statuses:?}");
}
