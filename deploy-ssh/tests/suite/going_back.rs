//! Going back over SSH: by a task of its own, through interruptions, and without a confirmation.

use std::path::PathBuf;
use std::time::Duration;

use deploy_core::model::{
    HostStatus, Monitor, ProbedFrom, ReleaseAction, ReleaseTask, RollbackTarget,
};
use deploy_core::{Executor as _, Fact, FailureCode, ReleaseExecutor, Step};
use deploy_ssh::SshConnector;
use deploy_testkit::{Direction, FakeVerifier, Fault, FaultProxy, Faults, SshFleet};

use super::conformance::builder;
use super::site::{Site, Watched, deploy, deploy_watched, hook, package, task};

const NOISE: usize = 20_000;

fn connector(fleet: &SshFleet) -> SshConnector {
    builder(fleet).retries(0).build().unwrap()
}

/// What the hooks of a site have written.
fn hooks(site: &Site<'_>) -> PathBuf {
    site.root().join("hooks")
}

const SAY: &str = r#"echo "$DEPLOY_RELEASE $DEPLOY_ROLLBACK" >>"$DEPLOY_ROOT/hooks""#;

/// Two releases, of which the second is served.
async fn two_releases(fleet: &SshFleet, site: &Site<'_>) -> FakeVerifier {
    let mut last = package("0", NOISE);
    for number in [1, 2] {
        last = package(&number.to_string(), NOISE);
        let mut task = task(number, &last, vec![site.target()]);
        task.release.hooks.after_switch.push(hook(SAY));
        let results = deploy(connector(fleet), &last, &task).await;
        assert_eq!(results[0].status, HostStatus::Succeeded, "{:?}", results[0]);
    }
    last
}

/// The task to undo the second release, as deployment `d3`.
fn undo(site: &Site<'_>, package: &FakeVerifier, to: RollbackTarget) -> ReleaseTask {
    let release = "d2".parse().unwrap();
    let mut task =
        task(3, package, vec![site.target()]).with_action(ReleaseAction::Rollback { release, to });
    task.release.hooks.after_switch.push(hook(SAY));
    task
}

#[tokio::test]
async fn a_host_goes_back_to_each_target_over_one_connection_and_nothing_is_sent() {
    let named = RollbackTarget::Release("d1".parse().unwrap());
    for to in [RollbackTarget::LastGood, RollbackTarget::Previous, named] {
        let fleet = SshFleet::start(1);
        let site = Site::new(&fleet.hosts()[0], "/srv/app");
        let two = two_releases(&fleet, &site).await;
        let nobody = FakeVerifier::new(*b"there is no package server");
        let results = deploy(connector(&fleet), &nobody, &undo(&site, &two, to)).await;
        assert_eq!(results[0].status, HostStatus::RolledBack, "{:?}", results[0]);
        assert_eq!(results[0].serves.as_ref().unwrap().as_str(), "d1");
        assert!(nobody.calls().is_empty());
        assert_eq!((site.current().as_deref(), &*site.version()), (Some("d1"), "1"));
        let said = std::fs::read_to_string(hooks(&site)).unwrap();
        assert_eq!(said, "d1 \nd2 \nd1 1\n");
        site.until_nothing_runs().await;
        site.assert_tidy();
    }
}

#[tokio::test]
async fn what_a_host_has_is_found_over_ssh_and_nothing_changes() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    let two = two_releases(&fleet, &site).await;
    let looking = task(3, &two, vec![site.target()]).with_action(ReleaseAction::Inspect);
    let results = deploy(connector(&fleet), &two, &looking).await;
    assert_eq!(results[0].status, HostStatus::Checked, "{:?}", results[0]);
    let found = results[0].found.as_ref().unwrap();
    let releases: Vec<_> = found.releases.iter().map(|known| known.release.as_str()).collect();
    assert_eq!((found.current.as_ref().unwrap().as_str(), releases), ("d2", vec!["d2", "d1"]));
    assert_eq!(found.releases[0].sha256, Some(two.digests().sha256));
    assert!(found.free.unwrap() > 0 && found.locked.is_none());
    let never = Site::new(&fleet.hosts()[0], "/srv/never");
    let looking = task(4, &two, vec![never.target()]).with_action(ReleaseAction::Inspect);
    let results = deploy(connector(&fleet), &two, &looking).await;
    assert!(results[0].found.as_ref().unwrap().releases.is_empty());
    assert!(!never.root().exists());
}

#[tokio::test]
async fn a_rollback_whose_program_is_killed_in_a_hook_is_finished_by_the_next_attempt() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    let two = two_releases(&fleet, &site).await;
    let mut task = undo(&site, &two, RollbackTarget::LastGood);
    let stuck =
        r#"[ -e "$DEPLOY_ROOT/again" ] || { : >"$DEPLOY_ROOT/again"; echo stuck; sleep 600; }"#;
    task.release.hooks.after_switch.insert(0, hook(stuck));
    let watched = Watched::new(&task);
    let killing = async {
        watched.until_output("stuck").await;
        for id in site.host.processes() {
            super::support::signal(id.unsigned_abs(), "KILL");
        }
    };
    let (results, ()) =
        tokio::join!(deploy_watched(connector(&fleet), &two, &task, &watched), killing);
    assert_eq!(results[0].status, HostStatus::Unknown, "{:?}", results[0]);
    assert_eq!(site.current().as_deref(), Some("d1"), "it is whole at every moment");
    site.until_nothing_runs().await;
    let mut again = Watched::new(&task);
    again.cx.attempt = 2;
    let results = deploy_watched(connector(&fleet), &two, &task, &again).await;
    assert_eq!(results[0].status, HostStatus::RolledBack, "{:?}", results[0]);
    assert_eq!(std::fs::read_to_string(hooks(&site)).unwrap(), "d1 \nd2 \nd1 1\n");
    site.until_nothing_runs().await;
    site.assert_tidy();
}

#[tokio::test]
async fn a_probe_is_asked_by_the_host_itself() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    let two = two_releases(&fleet, &site).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut looking = task(3, &two, vec![site.target()]).with_action(ReleaseAction::Probe);
    let mut monitor = Monitor::new(&format!("tcp://127.0.0.1:{port}")).unwrap();
    (monitor.from, monitor.interval) = (ProbedFrom::Host, Duration::from_millis(10));
    looking.monitor = Some(monitor);
    let results = deploy(connector(&fleet), &two, &looking).await;
    assert_eq!(results[0].status, HostStatus::Checked, "{:?}", results[0]);
    drop(listener);
    let results = deploy(connector(&fleet), &two, &looking).await;
    assert_eq!(results[0].status, HostStatus::Failed, "{:?}", results[0]);
    assert_eq!(results[0].failure.as_ref().unwrap().code, FailureCode::Unhealthy);
}

/// A second release, through a proxy, that has to be confirmed within five seconds.
fn to_confirm(site: &Site<'_>, proxy: &FaultProxy, two: &FakeVerifier) -> ReleaseTask {
    let target = site.host.target_at(site.host.through(proxy.address()), &site.path);
    let mut task = task(2, two, vec![target]);
    task.release.confirm = Some(Duration::from_secs(5));
    task
}

async fn first_release(fleet: &SshFleet, site: &Site<'_>) {
    let one = package("1", NOISE);
    let results = deploy(connector(fleet), &one, &task(1, &one, vec![site.target()])).await;
    assert_eq!(results[0].status, HostStatus::Succeeded, "{:?}", results[0]);
}

#[tokio::test]
async fn a_release_is_confirmed_over_a_connection_of_its_own() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let proxy = FaultProxy::start(site.host.address(), Faults::none());
    let two = package("2", NOISE);
    let results = deploy(connector(&fleet), &two, &to_confirm(&site, &proxy, &two)).await;
    assert_eq!(results[0].status, HostStatus::Succeeded, "{:?}", results[0]);
    assert_eq!(proxy.connections(), 2);
    assert_eq!(site.current().as_deref(), Some("d2"));
    site.until_nothing_runs().await;
    site.assert_tidy();
}

#[tokio::test]
async fn a_release_that_cuts_its_own_connection_is_confirmed_over_the_new_one() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let proxy = FaultProxy::start(site.host.address(), Faults::none());
    let two = package("2", NOISE);
    let task = to_confirm(&site, &proxy, &two);
    let watched = Watched::new(&task);
    let cutting = async {
        watched.until_step(Step::Switch).await;
        // A new connection is slow, so that the first one is cut before it is of use.
        proxy.set(Faults::none().delay(Direction::Upstream, Duration::from_millis(300)));
        watched.until_step(Step::Confirm).await;
        proxy.strike(Fault::Reset);
    };
    let (results, ()) =
        tokio::join!(deploy_watched(connector(&fleet), &two, &task, &watched), cutting);
    assert_eq!(results[0].status, HostStatus::Succeeded, "{:?}", results[0]);
    assert_eq!(site.current().as_deref(), Some("d2"));
    site.until_nothing_runs().await;
    site.assert_tidy();
}

#[tokio::test]
async fn a_host_that_nobody_can_reach_any_more_goes_back_by_itself() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let proxy = FaultProxy::start(site.host.address(), Faults::none());
    let two = package("2", NOISE);
    let mut task = to_confirm(&site, &proxy, &two);
    task.release.hooks.after_switch.push(hook(SAY));
    let watched = Watched::new(&task);
    let cutting = async {
        watched
            .until(1, |fact| matches!(fact, Fact::StepStarted { step: Step::AfterSwitch, .. }))
            .await;
        // From now on nothing gets through that is new, and soon not the old one either.
        proxy.set(Faults::none().at(Direction::Upstream, 0, Fault::Reset));
        watched.until_step(Step::Confirm).await;
        assert_eq!(site.current().as_deref(), Some("d2"));
        proxy.strike(Fault::Reset);
        site.until_nothing_runs().await;
    };
    let executor = ReleaseExecutor::builder(connector(&fleet), two.clone()).free_space(0).build();
    tokio::select! {
        report = executor.execute(watched.cx.clone(), task.clone()) => panic!("{report:?}"),
        () = cutting => {}
    }
    assert_eq!(site.current().as_deref(), Some("d1"));
    assert_eq!(std::fs::read_to_string(hooks(&site)).unwrap(), "d2 \nd1 1\n");
    site.assert_tidy();
    site.assert_the_next_succeeds(&fleet, 9).await;
}
