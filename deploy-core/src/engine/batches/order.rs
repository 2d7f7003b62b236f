//! The order in which hosts come into the batches.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{HostOrder, Target, ZoneName};

/// Puts hosts into the order that a rollout asks for; of equals the resolver's order stays.
pub(super) fn ordered<'a>(hosts: &'a [Target], order: &HostOrder) -> Vec<&'a Target> {
    let mut ordered: Vec<&Target> = hosts.iter().collect();
    match order {
        HostOrder::Resolved => {}
        HostOrder::Name => ordered.sort_by(|one, other| one.host.cmp(&other.host)),
        HostOrder::Tags(tags) => {
            let place = |host: &&Target| tags.iter().position(|tag| host.tags.contains(tag));
            ordered.sort_by_key(|host| place(host).unwrap_or(tags.len()));
        }
        HostOrder::Zone => return spread(&ordered),
    }
    ordered
}

/// A host of each zone in turn, the zones in the order of their first hosts. Those without a zone
/// stand together like a zone of their own.
fn spread<'a>(hosts: &[&'a Target]) -> Vec<&'a Target> {
    let mut places: BTreeMap<Option<&ZoneName>, usize> = BTreeMap::new();
    let mut zones: Vec<VecDeque<&Target>> = Vec::new();
    for host in hosts {
        let place = *places.entry(host.zone.as_ref()).or_insert(zones.len());
        if place == zones.len() {
            zones.push(VecDeque::new());
        }
        zones[place].push_back(host);
    }
    let mut spread = Vec::with_capacity(hosts.len());
    while spread.len() < hosts.len() {
        spread.extend(zones.iter_mut().filter_map(VecDeque::pop_front));
    }
    spread
}
