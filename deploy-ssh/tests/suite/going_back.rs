//! Going back over SSH: by a task of its own, through interruptions, and without a confirmation.

use std::path::PathBuf;
use std::time::Duration;

use deploy_core::model::{
    HostStatus, Monitor, ProbedFrom, ReleaseAction, ReleaseTask, RollbackTarget,
};
use deploy_core::{Executor as _, Fact, FailureCode, ReleaseExecutor, Step};
use deploy_ssh::{Auth, HostKeys, SshConnector};
use deploy_testkit::{Direction, FakeVerifier, Fault, FaultProxy, Faults, SshFleet};

use super::conformance::builder;
use super::site::{Site, Watched, deploy, deploy_watched, hook, package, package_bytes, task};

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
    let mut task = to_confirm(&site, &proxy, &two);
    task.release.confirm = Some(Duration::from_secs(600));
    let watched = Watched::new(&task);
    let cutting = async {
        watched.until_step(Step::Switch).await;
        // A new connection is slow, so that the first one is cut before it is of use.
        proxy.set(Faults::none().delay(Direction::Upstream, Duration::from_millis(300)));
        while proxy.connections() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.set(Faults::none());
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

#[tokio::test]
async fn a_rollback_whose_sshd_is_killed_comes_to_its_end_all_the_same() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    let two = two_releases(&fleet, &site).await;
    let mut task = undo(&site, &two, RollbackTarget::LastGood);
    let waits = r#"echo begun; until [ -e "$DEPLOY_ROOT/go" ]; do sleep 0.1; done"#;
    task.release.hooks.after_switch.insert(0, hook(waits));
    let watched = Watched::new(&task);
    let killing = async {
        watched.until_output("begun").await;
        site.host.kill_sessions();
    };
    let (results, ()) =
        tokio::join!(deploy_watched(connector(&fleet), &two, &task, &watched), killing);
    assert_eq!(results[0].status, HostStatus::Unknown, "{:?}", results[0]);
    std::fs::write(site.root().join("go"), "").unwrap();
    site.until_nothing_runs().await;
    assert_eq!(site.current().as_deref(), Some("d1"));
    assert_eq!(std::fs::read_to_string(hooks(&site)).unwrap(), "d1 \nd2 \nd1 1\n");
    site.assert_tidy();
}

/// Lets the release stand in a hook after its switch until the proxy lets nothing through that is new.
async fn shut_out(site: &Site<'_>, proxy: &FaultProxy) {
    while !site.root().join("begun").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.set(Faults::none().at(Direction::Upstream, 0, Fault::Reset));
    std::fs::write(site.root().join("go"), "").unwrap();
}

const STAND: &str = r#"[ -n "$DEPLOY_ROLLBACK" ] || { : >"$DEPLOY_ROOT/begun"
until [ -e "$DEPLOY_ROOT/go" ]; do sleep 0.1; done; }"#;

#[tokio::test]
async fn a_host_that_takes_no_new_connection_goes_back_and_says_so_over_the_first_one() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let proxy = FaultProxy::start(site.host.address(), Faults::none());
    let two = package("2", NOISE);
    let mut task = to_confirm(&site, &proxy, &two);
    task.release.hooks.after_switch.push(hook(STAND));
    let (results, ()) =
        tokio::join!(deploy(connector(&fleet), &two, &task), shut_out(&site, &proxy));
    assert_eq!(results[0].status, HostStatus::RolledBack, "{:?}", results[0]);
    assert_eq!(results[0].failure.as_ref().unwrap().code, FailureCode::Unconfirmed);
    assert_eq!(results[0].serves.as_ref().unwrap().as_str(), "d1");
    assert!(proxy.connections() > 1, "it was tried");
    site.until_nothing_runs().await;
    assert_eq!(site.current().as_deref(), Some("d1"));
    site.assert_tidy();
}

#[tokio::test]
async fn a_release_whose_runtime_ends_in_the_window_is_confirmed_by_the_next_attempt() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let proxy = FaultProxy::start(site.host.address(), Faults::none());
    let two = package("2", NOISE);
    let mut task = to_confirm(&site, &proxy, &two);
    task.release.confirm = Some(Duration::from_secs(600));
    task.release.hooks.after_switch.push(hook(STAND));
    let watched = Watched::new(&task);
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let node = std::thread::spawn({
        let (connector, two, task) = (connector(&fleet), two.clone(), task.clone());
        let watched = watched.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        move || {
            runtime.block_on(async {
                tokio::select! {
                    results = deploy_watched(connector, &two, &task, &watched) => panic!("{results:?}"),
                    _ = ended => {}
                }
            });
        }
    });
    shut_out(&site, &proxy).await;
    watched.until_step(Step::Confirm).await;
    end.send(()).unwrap();
    node.join().unwrap();
    // A runtime that ends kills the program: the host stays as it is, and has not been called good.
    site.until_nothing_runs().await;
    assert_eq!(site.current().as_deref(), Some("d2"));
    let mark = || std::fs::read_to_string(site.root().join(".deploy/marks/d2")).unwrap();
    assert!(!mark().contains("state good"), "{}", mark());
    proxy.set(Faults::none());
    let mut again = Watched::new(&task);
    again.cx.attempt = 2;
    let before = proxy.connections();
    let results = deploy_watched(connector(&fleet), &two, &task, &again).await;
    assert_eq!(results[0].status, HostStatus::Succeeded, "{:?}", results[0]);
    assert_eq!(proxy.connections(), before + 2, "it was confirmed over a connection of its own");
    assert!(mark().contains("state good"), "{}", mark());
    site.until_nothing_runs().await;
    site.assert_tidy();
}

#[tokio::test]
async fn a_release_that_is_dropped_in_the_window_is_put_back_at_once() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let proxy = FaultProxy::start(site.host.address(), Faults::none());
    let two = package("2", NOISE);
    let mut task = to_confirm(&site, &proxy, &two);
    task.release.confirm = Some(Duration::from_secs(600));
    task.release.hooks.after_switch.push(hook(STAND));
    let watched = Watched::new(&task);
    let until_it_waits = async {
        shut_out(&site, &proxy).await;
        watched.until_step(Step::Confirm).await;
    };
    tokio::select! {
        results = deploy_watched(connector(&fleet), &two, &task, &watched) => panic!("{results:?}"),
        () = until_it_waits => {}
    }
    site.until_nothing_runs().await;
    assert_eq!(site.current().as_deref(), Some("d1"));
    site.assert_tidy();
}

/// What a process of its own is to carry out: the task, the package's file, and the key to log in with.
const CHILD: &str = "DEPLOY_SSH_CHILD";

/// What that process does. Without its orders there is nothing to do.
#[tokio::test]
async fn child() {
    let Ok(orders) = std::env::var(CHILD) else { return };
    let read = |name: &str| std::fs::read(PathBuf::from(&orders).join(name)).unwrap();
    let text = |name: &str| String::from_utf8(read(name)).unwrap();
    let task: ReleaseTask = serde_json::from_slice(&read("task")).unwrap();
    let connector = SshConnector::builder()
        .host_keys(HostKeys::pinned([text("fingerprint").parse().unwrap()]))
        .auth(Auth::key_file(text("identity")))
        .retries(0)
        .build()
        .unwrap();
    let watched = Watched::new(&task);
    let package = FakeVerifier::new(read("package"));
    let telling = async {
        watched.until_step(Step::Confirm).await;
        std::fs::write(PathBuf::from(&orders).join("confirming"), "").unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        results = deploy_watched(connector, &package, &task, &watched) => panic!("{results:?}"),
        () = telling => {}
    }
}

#[tokio::test]
async fn a_host_whose_node_is_killed_in_the_window_goes_back_by_itself() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let proxy = FaultProxy::start(site.host.address(), Faults::none());
    let bytes = package_bytes("2", NOISE);
    let two = FakeVerifier::new(bytes.clone());
    let mut task = to_confirm(&site, &proxy, &two);
    task.release.hooks.after_switch.push(hook(STAND));
    let orders = tempfile::tempdir().unwrap();
    let write = |name: &str, what: &[u8]| std::fs::write(orders.path().join(name), what).unwrap();
    write("task", &serde_json::to_vec(&task).unwrap());
    write("package", &bytes);
    write("fingerprint", site.host.fingerprint().as_bytes());
    write("identity", fleet.identity().to_str().unwrap().as_bytes());
    let mut node = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["going_back::child", "--exact", "--nocapture"])
        .env(CHILD, orders.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    shut_out(&site, &proxy).await;
    while !orders.path().join("confirming").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(site.current().as_deref(), Some("d2"));
    node.kill().unwrap();
    node.wait().unwrap();
    site.until_nothing_runs().await;
    assert_eq!(site.current().as_deref(), Some("d1"));
    site.assert_tidy();
    site.assert_the_next_succeeds(&fleet, 9).await;
}
