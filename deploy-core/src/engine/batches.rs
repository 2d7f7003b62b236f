//! Which hosts make which batch.

mod order;

use std::collections::{BTreeMap, VecDeque};

use crate::failure::{Failure, FailureCode};
use crate::model::{BatchSize, HostName, HostOrder, RolloutSpec, Target, ZoneName};

/// Cuts the hosts, in the order that a rollout asks for, into its batches; the last size repeats.
/// The canary comes first.
///
/// # Errors
///
/// A failure when there would be more batches than a rollout may have.
pub(crate) fn batches(hosts: &[Target], spec: &RolloutSpec) -> Result<Vec<Vec<HostName>>, Failure> {
    let mut left: VecDeque<&Target> = order::ordered(hosts, &spec.order).into();
    let zones = Zones::of(hosts, spec);
    let mut next = sizes(hosts.len(), spec);
    let mut batches = Vec::new();
    while !left.is_empty() {
        if batches.len() == RolloutSpec::MOST_BATCHES {
            let (all, most) = (hosts.len(), RolloutSpec::MOST_BATCHES);
            let message = format!("{all} hosts make more than {most} batches of these sizes");
            return Err(Failure::new(FailureCode::Invalid, message));
        }
        batches.push(zones.cut(&mut left, next()));
    }
    Ok(batches)
}

/// Gives the size of each batch in turn, never less than one host.
fn sizes(all: usize, spec: &RolloutSpec) -> impl FnMut() -> usize + '_ {
    let mut canary = spec.canary.map(|canary| canary.hosts.hosts(all));
    let mut listed = spec.batches.iter().copied();
    let mut last = BatchSize::Hosts(1);
    let mut before = 1;
    move || {
        if let Some(hosts) = canary.take() {
            return hosts.max(1);
        }
        last = listed.next().unwrap_or(last);
        before = last.hosts(all, before).max(1);
        before
    }
}

/// How many hosts each zone has, where no batch may take a whole one.
struct Zones<'a>(Option<BTreeMap<&'a ZoneName, usize>>);

impl<'a> Zones<'a> {
    fn of(hosts: &'a [Target], spec: &RolloutSpec) -> Self {
        if spec.order != HostOrder::Zone || spec.whole_zones {
            return Self(None);
        }
        let mut zones = BTreeMap::new();
        for zone in hosts.iter().filter_map(|host| host.zone.as_ref()) {
            *zones.entry(zone).or_default() += 1;
        }
        Self(Some(zones))
    }

    /// Takes the next batch of at most `size` hosts: the first host always, another one where that
    /// leaves every zone a host. Of the zones with a single host it takes one.
    fn cut(&self, left: &mut VecDeque<&'a Target>, size: usize) -> Vec<HostName> {
        let Some(zones) = &self.0 else {
            return left.drain(..size.min(left.len())).map(|host| host.host.clone()).collect();
        };
        let mut taken: BTreeMap<&ZoneName, usize> = BTreeMap::new();
        let mut single = false;
        let (mut batch, mut kept) = (Vec::new(), VecDeque::new());
        while let Some(host) = left.pop_front() {
            let fits = match &host.zone {
                _ if batch.len() == size => false,
                None => true,
                Some(zone) => {
                    let all = zones.get(zone).copied().unwrap_or(0);
                    let count = taken.entry(zone).or_default();
                    if all <= 1 { !single } else { *count + 1 < all }
                }
            };
            if !fits {
                kept.push_back(host);
                continue;
            }
            if let Some(zone) = &host.zone {
                *taken.entry(zone).or_default() += 1;
                single |= zones.get(zone).is_none_or(|all| *all <= 1);
            }
            batch.push(host.host.clone());
        }
        *left = kept;
        batch
    }
}

#[cfg(test)]
pub(crate) mod tests;
