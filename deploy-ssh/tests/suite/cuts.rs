//! A connection that is cut, that hangs, or that is garbled, anywhere in a whole release.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::HostStatus;
use deploy_core::{ConnectError, FailureCode};
use deploy_ssh::SshConnector;
use deploy_testkit::{Direction, Fault, FaultProxy, Faults, SshFleet};

use super::conformance::builder;
use super::site::{Site, assert_nothing_outside, deploy, package, task};
use super::support::context;

/// How many hosts work at once.
const HOSTS: usize = 4;

/// So much of the package does not shrink: the package is a good part of what goes upstream.
const NOISE: usize = 30_000;

fn impatient(fleet: &SshFleet) -> SshConnector {
    let builder = builder(fleet).retries(0).login_timeout(Duration::from_secs(3));
    builder.silence_timeout(Duration::from_secs(4)).build().unwrap()
}

/// How many bytes a release without faults sends in each direction.
async fn whole_exchange(fleet: &SshFleet) -> [u64; 2] {
    let host = &fleet.hosts()[0];
    let site = Site::new(host, "/srv/measure");
    let (one, two) = (package("one", NOISE), package("two", NOISE));
    deploy(impatient(fleet), &one, &task(1, &one, vec![site.target()])).await;
    let proxy = FaultProxy::start(host.address(), Faults::none());
    let target = host.target_at(host.through(proxy.address()), &site.path);
    let results = deploy(impatient(fleet), &two, &task(2, &two, vec![target])).await;
    assert_eq!(results[0].status, HostStatus::Succeeded, "{:?}", results[0]);
    Direction::BOTH.map(|direction| proxy.passed(direction))
}

/// One release into a fault. Gives how the host ended.
async fn trial(
    fleet: &SshFleet,
    host: usize,
    number: usize,
    (direction, at, fault): (Direction, u64, Fault),
) -> HostStatus {
    let host = &fleet.hosts()[host];
    let site = Site::new(host, format!("/srv/app{number}"));
    let (one, two) = (package("one", NOISE), package("two", NOISE));
    deploy(impatient(fleet), &one, &task(1, &one, vec![site.target()])).await;
    assert_eq!(site.current().as_deref(), Some("d1"));
    let proxy = FaultProxy::start(host.address(), Faults::none().at(direction, at, fault));
    let target = host.target_at(host.through(proxy.address()), &site.path);
    let results = deploy(impatient(fleet), &two, &task(2, &two, vec![target])).await;
    // What hung is found to be gone by the host, too.
    drop(proxy);
    site.until_nothing_runs().await;
    site.assert_true(&results[0], Some("d1"), "d2");
    site.assert_the_next_succeeds(fleet, 3).await;
    if let Some(failure) = results[0].failure.as_ref().filter(|_| fault != Fault::Flip) {
        // A line that breaks is not a host that refuses: it is worth another try.
        let codes = [FailureCode::HostUnreachable, FailureCode::Unknown];
        assert!(codes.contains(&failure.code), "{direction:?} {at} {fault:?}: {failure:?}");
        assert!(failure.retry.is_worth_it(), "{failure:?}");
    }
    println!("{direction:?} {at} {fault:?}: {} {:?}", results[0].status, results[0].failure);
    results[0].status
}

/// Faults at positions spread over the whole exchange, `HOSTS` releases at a time. Gives how many
/// ended in each way: succeeded, or not.
async fn sweep(direction: Direction, positions: u64, faults: &[Fault]) -> [usize; 2] {
    let fleet = Arc::new(SshFleet::start(HOSTS));
    let whole = whole_exchange(&fleet).await[usize::from(direction == Direction::Downstream)];
    let trials: Vec<_> = (0..positions)
        .map(|number| {
            let at = whole * (2 * number + 1) / (2 * positions);
            let fault = faults[usize::try_from(number).unwrap() % faults.len()];
            (usize::try_from(number).unwrap(), (direction, at, fault))
        })
        .collect();
    let lanes = (0..HOSTS).map(|lane| {
        let (fleet, trials) = (Arc::clone(&fleet), trials.clone());
        tokio::spawn(async move {
            let mut ended = [0, 0];
            for (number, fault) in trials.into_iter().filter(|(number, _)| number % HOSTS == lane) {
                let status = trial(&fleet, lane, number, fault).await;
                ended[usize::from(status != HostStatus::Succeeded)] += 1;
            }
            ended
        })
    });
    let mut total = [0, 0];
    for lane in lanes.collect::<Vec<_>>() {
        let ended = lane.await.unwrap();
        total = [total[0] + ended[0], total[1] + ended[1]];
    }
    for host in fleet.hosts() {
        assert_nothing_outside(host, "srv");
    }
    total
}

const CUTS: [Fault; 2] = [Fault::Reset, Fault::Close];

/// One login into a fault after each so many bytes, until one gets through.
async fn logins_cut(fleet: &SshFleet, direction: Direction, from: u64, step: usize) -> usize {
    let host = &fleet.hosts()[usize::try_from(from).unwrap() % HOSTS];
    let proxy = FaultProxy::start(host.address(), Faults::none());
    let target = host.target_at(host.through(proxy.address()), "/srv/app");
    let connector = impatient(fleet);
    for (number, at) in (from..).step_by(step).enumerate() {
        proxy.set(Faults::none().at(direction, at, CUTS[number % 2]));
        match connector.open(&context(), &target.endpoint).await {
            Err(ConnectError::Unreachable { .. }) => {}
            Ok(_) => return number,
            Err(other) => panic!("{direction:?} {at}: {other:?}"),
        }
    }
    unreachable!("a login ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_cut_at_any_byte_is_unreachable_and_worth_another_try() {
    let fleet = SshFleet::start(HOSTS);
    for direction in Direction::BOTH {
        // Each host begins at another byte.
        let lanes = (0..4).map(|from| logins_cut(&fleet, direction, from * 8, 32));
        let cut: usize = futures_util::future::join_all(lanes).await.iter().sum();
        assert!(cut > 100, "{direction:?}: so few positions show nothing: {cut}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_anywhere_on_the_way_to_the_host_leaves_it_whole() {
    let [_, other] = sweep(Direction::Upstream, 24, &CUTS).await;
    assert!(other >= 20, "most cuts must have hurt: {other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_anywhere_on_the_way_back_leaves_the_host_whole() {
    let [_, other] = sweep(Direction::Downstream, 24, &CUTS).await;
    assert!(other >= 20, "most cuts must have hurt: {other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_turned_over_anywhere_is_noticed() {
    let [well, up] = sweep(Direction::Upstream, 12, &[Fault::Flip]).await;
    let [back_well, back] = sweep(Direction::Downstream, 12, &[Fault::Flip]).await;
    assert!(up >= 10 && back >= 10, "{well} and {back_well} were not noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_hangs_anywhere_is_given_up_and_the_host_is_whole() {
    let [_, up] = sweep(Direction::Upstream, 8, &[Fault::Hang]).await;
    let [_, back] = sweep(Direction::Downstream, 8, &[Fault::Hang]).await;
    assert!(up >= 6 && back >= 6, "most must have hurt: {up} and {back}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_closed_connection_leaves_the_host_whole() {
    let [_, up] = sweep(Direction::Upstream, 8, &[Fault::HalfClose]).await;
    let [_, back] = sweep(Direction::Downstream, 8, &[Fault::HalfClose]).await;
    assert!(up >= 6 && back >= 6, "most must have hurt: {up} and {back}");
}
