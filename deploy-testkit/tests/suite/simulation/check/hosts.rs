//! What holds on the hosts, whoever is at them.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::Fact;
use deploy_core::model::{HookPoint, HostName, HostStatus, ProjectName, ReleaseId};
use deploy_testkit::{HostEffect, HostEvent};

use super::super::history::Happening;
use super::Record;

/// What happened on the hosts, with the place in the history.
pub(super) fn on_hosts(record: &Record) -> impl Iterator<Item = (usize, &HostEvent)> {
    record.entries.iter().enumerate().filter_map(|(at, entry)| match &entry.what {
        Happening::Host(event) => Some((at, event)),
        _ => None,
    })
}

/// Says whether something is changed by it, other than marks that only its own program reads.
pub(super) fn is_effect(effect: &HostEffect) -> bool {
    matches!(
        effect,
        HostEffect::Unpacked
            | HostEffect::HookRan { .. }
            | HostEffect::Switched { .. }
            | HostEffect::Proven
            | HostEffect::Discarded
    )
}

/// Says whether it is part of bringing a release to life.
pub(super) fn installs(event: &HostEvent) -> bool {
    match &event.effect {
        HostEffect::Unpacked | HostEffect::Proven => true,
        HostEffect::HookRan { point, back } => !back && *point != HookPoint::OnFailure,
        HostEffect::Switched { to, .. } => to.as_ref() == Some(&(&event.deployment).into()),
        _ => false,
    }
}

type Place<'a> = (&'a HostName, &'a ProjectName);

/// I5: `current` never points at a release that is not whole.
pub(super) fn current_is_whole(record: &Record) -> Vec<String> {
    let broken = on_hosts(record)
        .filter(|(_, event)| matches!(event.effect, HostEffect::Switched { whole: false, .. }));
    let broken = broken.map(|(at, event)| {
        format!("{} serves a release that is not whole {}", event.host, record.time(at))
    });
    broken.collect()
}

/// I6: from the moment a program has a project's lock on a host, no other one does anything there.
pub(super) fn one_at_a_time(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut holders: BTreeMap<Place<'_>, u64> = BTreeMap::new();
    for (at, event) in on_hosts(record) {
        let place = (&event.host, &event.project);
        if event.effect == HostEffect::Locked {
            holders.insert(place, event.run);
        } else if is_effect(&event.effect) && holders.get(&place) != Some(&event.run) {
            let (run, time) = (event.run, record.time(at));
            wrong.push(format!("run {run} acts on {place:?} without its lock {time}"));
        }
    }
    wrong
}

/// I6: nothing is done for a fencing number when a higher one has been there.
pub(super) fn fences_grow(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<Place<'_>, u64> = BTreeMap::new();
    for (at, event) in on_hosts(record) {
        let highest = seen.entry((&event.host, &event.project)).or_default();
        let fence = event.fence.number();
        if event.effect == HostEffect::Locked {
            *highest = (*highest).max(fence);
        }
        if is_effect(&event.effect) && fence < *highest {
            let (host, time) = (&event.host, record.time(at));
            wrong.push(format!("{fence} acts on {host} after {highest} {time}"));
        }
    }
    wrong
}

/// I6: no host is touched for a part that is not recorded as handed out, nor one that is not of it.
pub(super) fn nothing_unrecorded(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut handed: BTreeSet<(String, HostName)> = BTreeSet::new();
    for (at, entry) in record.entries.iter().enumerate() {
        match &entry.what {
            Happening::Recorded { events, .. } => {
                for event in events {
                    if let Fact::Dispatched { task, hosts, .. } = &event.fact {
                        handed.extend(hosts.iter().map(|host| (task.to_string(), host.clone())));
                    }
                }
            }
            Happening::Host(event)
                if event.effect == HostEffect::Locked
                    && !handed.contains(&(event.task.to_string(), event.host.clone())) =>
            {
                let (host, task, time) = (&event.host, &event.task, record.time(at));
                wrong.push(format!("{host} is touched for {task}, which nobody handed out {time}"));
            }
            _ => {}
        }
    }
    wrong
}

/// I7: a host of which it is recorded that it serves the release is not done again, and its hooks do
/// not run again, unless somebody asked for it.
pub(super) fn not_done_again(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut done: BTreeSet<(ReleaseId, HostName)> = BTreeSet::new();
    for (at, entry) in record.entries.iter().enumerate() {
        match &entry.what {
            Happening::Recorded { store, events, .. } if store == "control" => {
                for event in events {
                    let Ok(release) = ReleaseId::new(event.task.as_str()) else { continue };
                    match &event.fact {
                        Fact::HostFinished { result } if result.status == HostStatus::Succeeded => {
                            done.insert((release, result.host.clone()));
                        }
                        Fact::Retried { hosts, .. } => {
                            done.retain(|(of, host)| *of != release || !hosts.contains(host));
                        }
                        _ => {}
                    }
                }
            }
            Happening::Host(event) if installs(event) => {
                let key = ((&event.deployment).into(), event.host.clone());
                if done.contains(&key) {
                    let (host, effect, time) = (&event.host, &event.effect, record.time(at));
                    wrong.push(format!("{host} is done for {}: {effect:?} {time}", key.0));
                }
            }
            _ => {}
        }
    }
    wrong
}
