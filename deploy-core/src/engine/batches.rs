//! Which hosts make which batch.

use crate::model::{HostName, RolloutSpec, Target};

/// Cuts the hosts, in their order, into the batches of a rollout; the last size repeats.
pub(super) fn batches(hosts: &[Target], spec: &RolloutSpec) -> Vec<Vec<HostName>> {
    let mut sizes = spec.batches.iter();
    let mut size = 1;
    let mut left = hosts;
    let mut batches = Vec::new();
    while !left.is_empty() {
        size = sizes.next().map_or(size, |next| next.hosts(hosts.len())).max(1);
        let (batch, rest) = left.split_at(size.min(left.len()));
        batches.push(batch.iter().map(|target| target.host.clone()).collect());
        left = rest;
    }
    batches
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{Endpoint, HostAddress, HostPath};
    use proptest::prelude::*;

    pub(crate) fn target(number: usize) -> Target {
        Target::new(
            HostName::new(format!("h{number}")).unwrap(),
            HostAddress::new("192.0.2.1").unwrap(),
            Endpoint::new("local:/srv").unwrap(),
            HostPath::new("/srv/app").unwrap(),
        )
    }

    fn sizes(hosts: usize, spec: &[&str]) -> Vec<usize> {
        let hosts: Vec<_> = (0..hosts).map(target).collect();
        let sizes = spec.iter().map(|size| size.parse().unwrap()).collect();
        let spec = RolloutSpec::default().with_batches(sizes);
        batches(&hosts, &spec).iter().map(Vec::len).collect()
    }

    #[test]
    fn the_last_size_repeats_and_the_last_batch_takes_what_is_left() {
        assert_eq!(sizes(10, &["1", "50%"]), [1, 5, 4]);
        assert_eq!(sizes(10, &["1", "25%", "100%"]), [1, 3, 6]);
        assert_eq!(sizes(5, &["2"]), [2, 2, 1]);
        assert_eq!(sizes(3, &["100%"]), [3]);
        assert_eq!(sizes(2, &["5", "1"]), [2]);
        assert_eq!(sizes(0, &["1"]), [0; 0]);
    }

    proptest! {
        #[test]
        fn every_host_is_in_exactly_one_batch_in_order(
            hosts in 0_usize..200,
            spec in prop::collection::vec(prop_oneof![
                (1_u32..50).prop_map(|n| n.to_string()),
                (1_u32..=100).prop_map(|n| format!("{n}%")),
            ], 1..5),
        ) {
            let targets: Vec<_> = (0..hosts).map(target).collect();
            let sizes = spec.iter().map(|size| size.parse().unwrap()).collect();
            let cut = batches(&targets, &RolloutSpec::default().with_batches(sizes));
            prop_assert!(cut.iter().all(|batch| !batch.is_empty()));
            let all: Vec<_> = cut.into_iter().flatten().collect();
            let expected: Vec<_> = targets.into_iter().map(|target| target.host).collect();
            prop_assert_eq!(all, expected);
        }
    }
}
