//! Batches of every grammar, order and shape of fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{Canary, CanaryHold, Endpoint, HostAddress, HostPath, Tag};

pub(crate) fn target(number: usize) -> Target {
    Target::new(
        HostName::new(format!("h{number}")).unwrap(),
        HostAddress::new("192.0.2.1").unwrap(),
        Endpoint::new("local:/srv").unwrap(),
        HostPath::new("/srv/app").unwrap(),
    )
}

fn spec(sizes: &[&str]) -> RolloutSpec {
    RolloutSpec::default().with_batches(sizes.iter().map(|size| size.parse().unwrap()).collect())
}

fn cut(hosts: usize, spec: &RolloutSpec) -> Vec<usize> {
    let hosts: Vec<_> = (0..hosts).map(target).collect();
    batches(&hosts, spec).unwrap().iter().map(Vec::len).collect()
}

/// Hosts of these zones, in order; an empty name is no zone.
fn zoned(zones: &[&str]) -> Vec<Target> {
    let host = |(number, zone): (usize, &&str)| match *zone {
        "" => target(number),
        zone => target(number).with_zone(ZoneName::new(zone).unwrap()),
    };
    zones.iter().enumerate().map(host).collect()
}

fn names(batches: &[Vec<HostName>]) -> Vec<String> {
    let batch =
        |batch: &Vec<HostName>| batch.iter().map(HostName::as_str).collect::<Vec<_>>().join(" ");
    batches.iter().map(batch).collect()
}

#[test]
fn the_last_size_repeats_and_the_last_batch_takes_what_is_left() {
    assert_eq!(cut(10, &spec(&["1", "50%"])), [1, 5, 4]);
    assert_eq!(cut(10, &spec(&["1", "25%", "100%"])), [1, 3, 6]);
    assert_eq!(cut(5, &spec(&["2"])), [2, 2, 1]);
    assert_eq!(cut(3, &spec(&["100%"])), [3]);
    assert_eq!(cut(2, &spec(&["5", "1"])), [2]);
    assert_eq!(cut(0, &spec(&["1"])), [0; 0]);
}

#[test]
fn a_growing_size_grows_on() {
    assert_eq!(cut(20, &spec(&["1", "+2"])), [1, 3, 5, 7, 4]);
    assert_eq!(cut(20, &spec(&["1", "*2"])), [1, 2, 4, 8, 5]);
    assert_eq!(cut(30, &spec(&["10%", "+1", "*2"])), [3, 4, 8, 15]);
    assert_eq!(cut(9, &spec(&["1", "*1000000"])), [1, 8]);
}

#[test]
fn the_canary_comes_first_and_changes_no_other_size() {
    let canary = |hosts: &str| Canary::new(hosts.parse().unwrap(), CanaryHold::Promotion);
    assert_eq!(cut(10, &spec(&["4"]).with_canary(canary("1"))), [1, 4, 4, 1]);
    assert_eq!(cut(10, &spec(&["1", "+1"]).with_canary(canary("15%"))), [2, 1, 2, 3, 2]);
    let held = Canary::new("3".parse().unwrap(), CanaryHold::For(Duration::from_secs(1)));
    assert_eq!(cut(2, &spec(&["1"]).with_canary(held)), [2]);
}

#[test]
fn a_rollout_of_too_many_batches_is_refused() {
    let hosts = |count| (0..count).map(target).collect::<Vec<_>>();
    assert_eq!(batches(&hosts(10_000), &spec(&["1"])).unwrap().len(), 10_000);
    let failure = batches(&hosts(10_001), &spec(&["1"])).unwrap_err();
    assert_eq!(failure.code, FailureCode::Invalid);
    assert_eq!(failure.message, "10001 hosts make more than 10000 batches of these sizes");
}

#[test]
fn hosts_come_by_name_by_tag_or_from_each_zone_in_turn() {
    let tag = |name: &str| Tag::new(name).unwrap();
    let mut hosts: Vec<_> = [3, 1, 2, 0].into_iter().map(target).collect();
    hosts[2].tags = vec![tag("edge")];
    hosts[3].tags = vec![tag("edge"), tag("first")];
    let order = |order| names(&batches(&hosts, &spec(&["4"]).with_order(order)).unwrap());
    assert_eq!(order(HostOrder::Resolved), ["h3 h1 h2 h0"]);
    assert_eq!(order(HostOrder::Name), ["h0 h1 h2 h3"]);
    assert_eq!(order(HostOrder::Tags(vec![tag("first"), tag("edge")])), ["h0 h2 h3 h1"]);
    let hosts = zoned(&["a", "a", "a", "b", "b", "b"]);
    let spec = spec(&["2"]).with_order(HostOrder::Zone);
    assert_eq!(names(&batches(&hosts, &spec).unwrap()), ["h0 h3", "h1 h4", "h2 h5"]);
}

#[test]
fn no_batch_takes_a_whole_zone_unless_told() {
    let by_zone = spec(&["100%"]).with_order(HostOrder::Zone);
    let cut = |zones: &[&str], spec: &RolloutSpec| names(&batches(&zoned(zones), spec).unwrap());
    assert_eq!(cut(&["a", "a", "b", "b"], &by_zone), ["h0 h2", "h1 h3"]);
    assert_eq!(cut(&["a", "a", "a"], &by_zone), ["h0 h1", "h2"]);
    assert_eq!(cut(&["a", "b", "c"], &by_zone), ["h0", "h1", "h2"]);
    assert_eq!(cut(&["a", "b", "b"], &by_zone), ["h0 h1", "h2"]);
    assert_eq!(cut(&["", "", ""], &by_zone), ["h0 h1 h2"]);
    assert_eq!(cut(&["a"], &by_zone), ["h0"]);
    let whole = by_zone.clone().with_whole_zones(true);
    assert_eq!(cut(&["a", "a", "b", "b"], &whole), ["h0 h2 h1 h3"]);
}

prop_compose! {
    fn grammars()(
        first in prop_oneof![
            (1_u32..50).prop_map(|n| n.to_string()),
            (1_u32..=100).prop_map(|n| format!("{n}%")),
        ],
        rest in prop::collection::vec(prop_oneof![
            (1_u32..50).prop_map(|n| n.to_string()),
            (1_u32..=100).prop_map(|n| format!("{n}%")),
            (1_u32..5).prop_map(|n| format!("+{n}")),
            (2_u32..4).prop_map(|n| format!("*{n}")),
        ], 0..4),
    ) -> Vec<String> {
        std::iter::once(first).chain(rest).collect()
    }
}

proptest! {
    #[test]
    fn every_host_is_in_exactly_one_batch_in_order(hosts in 0_usize..200, sizes in grammars()) {
        let targets: Vec<_> = (0..hosts).map(target).collect();
        let sizes: Vec<_> = sizes.iter().map(String::as_str).collect();
        let cut = batches(&targets, &spec(&sizes)).unwrap();
        prop_assert!(cut.iter().all(|batch| !batch.is_empty()));
        let all: Vec<_> = cut.into_iter().flatten().collect();
        let expected: Vec<_> = targets.into_iter().map(|target| target.host).collect();
        prop_assert_eq!(all, expected);
    }

    #[test]
    fn batches_by_zone_take_every_host_once_and_leave_every_zone_a_host(
        zones in prop::collection::vec(0_usize..5, 0..60),
        sizes in grammars(),
    ) {
        let named: Vec<_> = zones.iter().map(|zone| ["", "a", "b", "c", "d"][*zone]).collect();
        let targets = zoned(&named);
        let zone_of: BTreeMap<_, _> = targets.iter().map(|t| (&t.host, t.zone.as_ref())).collect();
        let sizes: Vec<_> = sizes.iter().map(String::as_str).collect();
        let cut = batches(&targets, &spec(&sizes).with_order(HostOrder::Zone)).unwrap();
        let mut seen = BTreeSet::new();
        for batch in &cut {
            prop_assert!(!batch.is_empty());
            let mut single = 0;
            for host in batch {
                prop_assert!(seen.insert(host.clone()), "{} twice", host);
            }
            for zone in ["a", "b", "c", "d"].map(|zone| ZoneName::new(zone).unwrap()) {
                let all = zone_of.values().filter(|of| **of == Some(&zone)).count();
                let taken = batch.iter().filter(|host| zone_of[host] == Some(&zone)).count();
                prop_assert!(taken == 0 || all == 1 || taken < all, "{} whole", zone);
                single += usize::from(all == 1 && taken == 1);
            }
            prop_assert!(single <= 1);
        }
        prop_assert_eq!(seen.len(), targets.len());
    }
}
