//! Hosts that are down, silent, strange, full, read-only, slow, frozen or killed in the middle of a
//! whole release, and deployments that race.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{HostResult, HostStatus};
use deploy_core::{Fact, FailureCode, Step};
use deploy_ssh::{Auth, HostKeys, SshConnector};
use deploy_testkit::{Direction, FaultProxy, Faults, SshFleet};

use super::conformance::builder;
use super::site::{
    Site, Watched, assert_nothing_outside, deploy, deploy_watched, hook, package, task,
};

const NOISE: usize = 20_000;

fn connector(fleet: &SshFleet) -> SshConnector {
    builder(fleet).retries(0).build().unwrap()
}

fn code(result: &HostResult) -> FailureCode {
    result.failure.as_ref().unwrap_or_else(|| panic!("it did not fail: {result:?}")).code
}

/// The first release is there; the second meets the fault.
async fn first_release(fleet: &SshFleet, site: &Site<'_>) {
    let one = package("one", NOISE);
    let results = deploy(connector(fleet), &one, &task(1, &one, vec![site.target()])).await;
    assert_eq!(results[0].status, HostStatus::Succeeded, "{:?}", results[0]);
}

/// After a fault that is over: the result was true, the next deployment succeeds, nothing is left.
async fn assert_whole(fleet: &SshFleet, site: &Site<'_>, result: &HostResult) {
    site.until_nothing_runs().await;
    site.assert_true(result, Some("d1"), "d2");
    site.assert_the_next_succeeds(fleet, 9).await;
    assert_nothing_outside(site.host, "srv");
}

#[tokio::test]
async fn a_host_that_is_down_is_unreachable() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    site.host.down();
    let two = package("two", NOISE);
    let results = deploy(connector(&fleet), &two, &task(2, &two, vec![site.target()])).await;
    assert_eq!(code(&results[0]), FailureCode::HostUnreachable);
    assert_eq!(results[0].status, HostStatus::Failed);
    assert!(results[0].failure.as_ref().unwrap().retry.is_worth_it());
    site.host.up();
    assert_whole(&fleet, &site, &results[0]).await;
}

#[tokio::test]
async fn whoever_watches_hears_that_a_host_is_tried_again() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    site.host.down();
    let one = package("one", NOISE);
    let task = task(1, &one, vec![site.target()]);
    let watched = Watched::new(&task);
    let stubborn = builder(&fleet).retries(1).build().unwrap();
    let results = deploy_watched(stubborn, &one, &task, &watched).await;
    assert_eq!(code(&results[0]), FailureCode::HostUnreachable);
    let tries = |fact: &Fact| match fact {
        Fact::AttemptFailed { failure } => Some(failure.clone()),
        _ => None,
    };
    let tries: Vec<_> = watched.facts().iter().filter_map(tries).collect();
    assert_eq!(tries.len(), 1, "{tries:?}");
    assert_eq!(
        (tries[0].host.as_ref(), tries[0].step),
        (Some(&results[0].host), Some(Step::Connect))
    );
    assert_eq!(Some(&tries[0].message), results[0].failure.as_ref().map(|last| &last.message));
}

#[tokio::test]
async fn a_host_that_says_nothing_is_unreachable() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    site.host.hang();
    let two = package("two", NOISE);
    let impatient = builder(&fleet).retries(0).login_timeout(Duration::from_millis(500));
    let task = task(2, &two, vec![site.target()]);
    let results = deploy(impatient.build().unwrap(), &two, &task).await;
    assert_eq!(code(&results[0]), FailureCode::HostUnreachable);
    site.host.up();
    assert_whole(&fleet, &site, &results[0]).await;
}

#[tokio::test]
async fn a_host_that_refuses_the_key_is_not_tried_again() {
    let (fleet, other) = (SshFleet::start(1), SshFleet::start(0));
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let stranger = SshConnector::builder()
        .host_keys(HostKeys::pinned([site.host.fingerprint().parse().unwrap()]))
        .auth(Auth::key_file(other.identity()))
        .build()
        .unwrap();
    let before = site.host.connections();
    let two = package("two", NOISE);
    let results = deploy(stranger, &two, &task(2, &two, vec![site.target()])).await;
    assert_eq!(code(&results[0]), FailureCode::HostRejected);
    assert!(!results[0].failure.as_ref().unwrap().retry.is_worth_it());
    assert_eq!((site.host.logins(), site.host.connections()), (1, before + 1));
    assert_whole(&fleet, &site, &results[0]).await;
}

#[tokio::test]
async fn a_host_whose_key_changed_hears_nothing_of_us() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let connector = connector(&fleet);
    site.host.swap_key();
    let log = site.host.log().len();
    let two = package("two", NOISE);
    let results = deploy(connector, &two, &task(2, &two, vec![site.target()])).await;
    assert_eq!(code(&results[0]), FailureCode::HostRejected);
    assert!(!results[0].failure.as_ref().unwrap().retry.is_worth_it());
    // Neither a user nor a key was named to it, let alone a login or a command.
    let heard = site.host.log()[log..].to_owned();
    assert!(!heard.contains("root") && !heard.contains("publickey"), "{heard}");
    assert_eq!(site.host.logins(), 1);
    assert_whole(&fleet, &site, &results[0]).await;
}

#[tokio::test]
async fn a_full_host_keeps_its_release() {
    let fleet = SshFleet::builder().disk(2 << 20).start(1).unwrap();
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    // The package is refused when it is known not to fit.
    let large = package("two", 4 << 20);
    let results = deploy(connector(&fleet), &large, &task(2, &large, vec![site.target()])).await;
    assert_eq!(code(&results[0]), FailureCode::HostFull, "{:?}", results[0]);
    site.until_nothing_runs().await;
    site.assert_true(&results[0], Some("d1"), "d2");
    // And when the disk gets full in the middle: by a hook, before the switch.
    let two = package("two", NOISE);
    let mut task = task(3, &two, vec![site.target()]);
    task.release.hooks.before_switch =
        vec![hook("cat /dev/zero > \"$DEPLOY_ROOT/../filler\" 2>/dev/null; exit 1")];
    let results = deploy(connector(&fleet), &two, &task).await;
    site.until_nothing_runs().await;
    site.assert_true(&results[0], Some("d1"), "d3");
    assert_ne!(results[0].status, HostStatus::Succeeded);
    // While it is full to the last byte, nothing can be done, and nothing is broken.
    let filler = site.root().with_file_name("filler");
    let mut more = std::fs::File::options().append(true).open(&filler).unwrap();
    while std::io::Write::write(&mut more, &[0; 4096]).is_ok() {}
    drop(more);
    let task = super::site::task(4, &two, vec![site.target()]);
    let results = deploy(connector(&fleet), &two, &task).await;
    site.until_nothing_runs().await;
    site.assert_true(&results[0], Some("d1"), "d4");
    assert_eq!(results[0].status, HostStatus::Failed, "{:?}", results[0]);
    std::fs::remove_file(filler).unwrap();
    site.assert_the_next_succeeds(&fleet, 9).await;
}

#[tokio::test]
async fn a_host_whose_disk_is_read_only_keeps_its_release() {
    let fleet = SshFleet::builder().disk(8 << 20).start(1).unwrap();
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    site.host.read_only(true);
    let two = package("two", NOISE);
    let results = deploy(connector(&fleet), &two, &task(2, &two, vec![site.target()])).await;
    assert_eq!(results[0].status, HostStatus::Failed, "{:?}", results[0]);
    assert!(matches!(code(&results[0]), FailureCode::HostFailed | FailureCode::HostFull));
    site.until_nothing_runs().await;
    site.host.read_only(false);
    assert_whole(&fleet, &site, &results[0]).await;
}

#[tokio::test]
async fn a_slow_and_distant_host_is_served() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let delay = Duration::from_millis(10);
    let slow = Direction::BOTH
        .into_iter()
        .fold(Faults::none(), |faults, way| faults.delay(way, delay).rate(way, 100_000));
    let proxy = FaultProxy::start(site.host.address(), slow);
    let target = site.host.target_at(site.host.through(proxy.address()), &site.path);
    let two = package("two", 100_000);
    let results = deploy(connector(&fleet), &two, &task(2, &two, vec![target])).await;
    assert_eq!(results[0].status, HostStatus::Succeeded, "{:?}", results[0]);
    assert_whole(&fleet, &site, &results[0]).await;
}

/// Kills the host's sshd's once a step has begun; hooks say that they have, and stay.
async fn killed_in(step: Step) {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let two = package("two", 3 << 20);
    let mut task = task(2, &two, vec![site.target()]);
    // It runs again when the host is put back, in the release before, and must not stay there.
    let stays = hook("[ \"$DEPLOY_ROLLBACK\" = 1 ] || { echo begun; sleep 600; }");
    match step {
        Step::BeforeSwitch => task.release.hooks.before_switch = vec![stays],
        Step::AfterSwitch => task.release.hooks.after_switch = vec![stays],
        _ => {}
    }
    let watched = Watched::new(&task);
    let running = {
        let (connector, two, task, watched) =
            (connector(&fleet), two.clone(), task.clone(), watched.clone());
        tokio::spawn(async move { deploy_watched(connector, &two, &task, &watched).await })
    };
    match step {
        Step::BeforeSwitch | Step::AfterSwitch => watched.until_output("begun").await,
        step => watched.until_step(step).await,
    }
    site.host.kill_sessions();
    let results = running.await.unwrap();
    site.until_nothing_runs().await;
    if matches!(step, Step::BeforeSwitch | Step::AfterSwitch) {
        assert_eq!(results[0].status, HostStatus::Unknown, "{:?}", results[0]);
        assert_eq!(code(&results[0]), FailureCode::Unknown);
        assert_eq!(site.current().as_deref(), Some("d1"), "the host was put back");
    }
    assert_whole(&fleet, &site, &results[0]).await;
}

/// A test for each step.
macro_rules! an_sshd_killed_in {
    ($($name:ident: $step:ident,)*) => {
        mod an_sshd_killed_leaves_the_host_whole {
            $(
                #[tokio::test]
                async fn $name() {
                    super::killed_in(deploy_core::Step::$step).await;
                }
            )*
        }
    };
}

an_sshd_killed_in! {
    while_it_connects: Connect,
    while_it_locks: Lock,
    while_the_package_is_sent: Transfer,
    while_the_package_is_verified: Verify,
    while_the_package_is_unpacked: Unpack,
    in_a_hook_before_the_switch: BeforeSwitch,
    while_it_switches: Switch,
    in_a_hook_after_the_switch: AfterSwitch,
    while_it_prunes: Prune,
}

#[tokio::test]
async fn of_two_deployments_that_race_each_result_is_true() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let mut won = 0;
    for round in 0..5_u64 {
        let before = site.current();
        let (a, b) = (package("a", NOISE), package("b", NOISE));
        let (number_a, number_b) = (10 + 2 * round, 11 + 2 * round);
        let task_a = task(number_a, &a, vec![site.target()]);
        let task_b = task(number_b, &b, vec![site.target()]);
        let (result_a, result_b) = tokio::join!(
            deploy(connector(&fleet), &a, &task_a),
            deploy(connector(&fleet), &b, &task_b),
        );
        site.until_nothing_runs().await;
        let current = site.current();
        let mut served = Vec::new();
        for (number, result) in [(number_a, &result_a[0]), (number_b, &result_b[0])] {
            match result.status {
                HostStatus::Succeeded => served.push(format!("d{number}")),
                HostStatus::Failed | HostStatus::RolledBack => {
                    assert_eq!(code(result), FailureCode::HostLocked, "{result:?}");
                }
                _ => panic!("{result:?}"),
            }
        }
        won += served.len();
        match &current {
            Some(current) if served.contains(current) => {}
            current => panic!("{current:?} is none of {served:?}; before: {before:?}"),
        }
    }
    assert!(won >= 5, "in each round one at least got its turn: {won}");
    site.assert_the_next_succeeds(&fleet, 90).await;
    assert_nothing_outside(site.host, "srv");
}

#[tokio::test]
async fn a_frozen_sshd_is_given_up_and_the_host_puts_itself_back_when_it_thaws() {
    let fleet = SshFleet::start(1);
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let two = package("two", NOISE);
    let mut task = task(2, &two, vec![site.target()]);
    task.release.hooks.before_switch = vec![hook("echo begun; sleep 600")];
    let watched = Watched::new(&task);
    let impatient = builder(&fleet).retries(0).silence_timeout(Duration::from_secs(4));
    let deploying = deploy_watched(impatient.build().unwrap(), &two, &task, &watched);
    let freezing = async {
        watched.until_output("begun").await;
        site.host.freeze();
    };
    let (results, ()) = tokio::join!(deploying, freezing);
    assert_eq!(results[0].status, HostStatus::Unknown, "{:?}", results[0]);
    site.host.up();
    assert_whole(&fleet, &site, &results[0]).await;
}

#[tokio::test]
async fn nine_hosts_are_done_while_the_tenth_says_nothing() {
    let fleet = SshFleet::start(10);
    let silent = &fleet.hosts()[4];
    silent.hang();
    let one = package("one", NOISE);
    let mut task = task(1, &one, fleet.targets("/srv/app"));
    // The silent host has its whole time left when the others are done, whatever that takes.
    task.release = task.release.with_timeout(Duration::from_secs(600));
    let watched = Watched::new(&task);
    let patient = builder(&fleet).retries(0).login_timeout(Duration::from_secs(600));
    let deploying = {
        let (connector, one, watched) = (patient.build().unwrap(), one.clone(), watched.clone());
        tokio::spawn(async move { deploy_watched(connector, &one, &task, &watched).await })
    };
    let finished = |fact: &Fact| matches!(fact, Fact::HostFinished { .. });
    watched.until(9, finished).await;
    assert!(!deploying.is_finished());
    for host in fleet.hosts().iter().filter(|host| host.name() != silent.name()) {
        assert_eq!(Site::new(host, "/srv/app").version(), "one");
    }
    assert_eq!((watched.count(finished), silent.logins()), (9, 0));
    // It comes to itself, and is served as the others.
    silent.up();
    let results = deploying.await.unwrap();
    assert!(results.iter().all(|result| result.status == HostStatus::Succeeded), "{results:?}");
}

#[tokio::test]
async fn a_cancelled_release_ends_on_the_host_and_puts_it_back() {
    let fleet = Arc::new(SshFleet::start(1));
    let site = Site::new(&fleet.hosts()[0], "/srv/app");
    first_release(&fleet, &site).await;
    let two = package("two", NOISE);
    let mut task = task(2, &two, vec![site.target()]);
    let stays = hook("[ \"$DEPLOY_ROLLBACK\" = 1 ] || { echo begun; sleep 600 & sleep 600; }");
    task.release.hooks.after_switch = vec![stays];
    let watched = Watched::new(&task);
    let cancelling = async {
        watched.until_output("begun").await;
        watched.cx.cancel.cancel("enough");
    };
    let deploying = deploy_watched(connector(&fleet), &two, &task, &watched);
    let (results, ()) = tokio::join!(deploying, cancelling);
    assert_eq!(code(&results[0]), FailureCode::Cancelled);
    assert_eq!(site.current().as_deref(), Some("d1"));
    assert_whole(&fleet, &site, &results[0]).await;
}
