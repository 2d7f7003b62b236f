//! What is said of hosts and deployments is so.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::model::{HostName, HostResult, HostStatus, Outcome, ProjectName, ReleaseId};
use deploy_core::{Event, Fact, FailureCode};
use deploy_testkit::HostEffect;

use super::super::history::Happening;
use super::hosts::{installs, on_hosts};
use super::{Record, id, request};

/// I8: a host that is said to serve a release has proven it; one that is said to have gone back does not
/// serve what was undone; one that is said not to have been begun was not touched.
pub(super) fn said_is_true(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    let deployments = record.deployments();
    let mut proven: BTreeSet<(ReleaseId, &HostName)> = BTreeSet::new();
    let mut serves: BTreeMap<(&HostName, &ProjectName), Option<ReleaseId>> = BTreeMap::new();
    for (at, entry) in record.entries.iter().enumerate() {
        match &entry.what {
            Happening::Host(event) => match &event.effect {
                HostEffect::Proven => {
                    proven.insert(((&event.deployment).into(), &event.host));
                }
                HostEffect::Switched { to, .. } => {
                    serves.insert((&event.host, &event.project), to.clone());
                }
                _ => {}
            },
            Happening::Recorded { store, events, .. } if store == "control" => {
                for event in events {
                    let Fact::HostFinished { result } = &event.fact else { continue };
                    let request = request(record, &deployments[&event.task]);
                    let own = ReleaseId::from(&id(&event.task));
                    let undone = request.rollback.as_ref().map_or(own.clone(), |r| (&r.of).into());
                    let now = serves.get(&(&result.host, &request.project)).cloned().flatten();
                    let lies = match result.status {
                        HostStatus::Succeeded => !proven.contains(&(own, &result.host)),
                        HostStatus::RolledBack => now == Some(undone),
                        _ => false,
                    };
                    if lies {
                        let (host, status, time) = (&result.host, result.status, record.time(at));
                        wrong.push(format!("{}: {host} is not {status} {time}", event.task));
                    }
                }
            }
            _ => {}
        }
    }
    wrong.extend(untouched(record));
    wrong
}

/// Hosts that are said not to have been begun, and were touched.
fn untouched(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    let touched: BTreeSet<_> = on_hosts(record)
        .filter(|(_, event)| installs(event))
        .map(|(_, event)| (event.deployment.clone(), event.host.clone()))
        .collect();
    for (task, events) in record.deployments() {
        let again = |(_, event): &(usize, &Event)| {
            matches!(
                event.fact,
                Fact::Retried { .. } | Fact::Recalled { .. } | Fact::RollbackStarted { .. }
            )
        };
        // What was done again has another story before its last result, and what was taken back may
        // have been begun and stopped.
        let followed = request(record, &events).retry_of.is_some();
        if events.iter().any(again) || followed {
            continue;
        }
        for result in last_results(&events).into_values() {
            let code = result.failure.as_ref().map(|failure| failure.code);
            let never = result.status == HostStatus::Failed
                && matches!(
                    code,
                    Some(
                        FailureCode::AgentUnreachable
                            | FailureCode::AgentRejected
                            | FailureCode::HostUnreachable
                    )
                );
            let says_so = never || result.status == HostStatus::NotStarted;
            if says_so && touched.contains(&(id(&task), result.host.clone())) {
                let (host, status) = (&result.host, result.status);
                wrong.push(format!(
                    "{task}: {host} is said to be {status} ({code:?}), and was touched"
                ));
            }
        }
    }
    wrong
}

/// The last result of each host.
pub(super) fn last_results<'a>(
    events: &[(usize, &'a Event)],
) -> BTreeMap<&'a HostName, &'a HostResult> {
    let result = |(_, event): &(usize, &'a Event)| match &event.fact {
        Fact::HostFinished { result } | Fact::HostFailedLater { result } => {
            Some((&result.host, result))
        }
        _ => None,
    };
    events.iter().filter_map(result).collect()
}

/// I8: a deployment has succeeded when all its hosts have, and then alone.
pub(super) fn outcome_of_its_hosts(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (task, events) in record.deployments() {
        let Some(Fact::Finished { outcome, failure }) = events.last().map(|(_, e)| &e.fact) else {
            continue;
        };
        let hosts: BTreeSet<&HostName> = events
            .iter()
            .filter_map(|(_, event)| match &event.fact {
                Fact::Resolved { hosts } => Some(hosts.iter().map(|target| &target.host)),
                _ => None,
            })
            .flatten()
            .collect();
        let results = last_results(&events);
        let all = |status| {
            let is = |host| results.get(host).is_some_and(|result| result.status == status);
            !hosts.is_empty() && hosts.iter().all(is)
        };
        let given_up = failure.as_ref().is_some_and(|f| f.message.starts_with("given up"));
        let fits = match outcome {
            Outcome::Succeeded => all(HostStatus::Succeeded),
            _ => !all(HostStatus::Succeeded) || given_up,
        };
        if !fits {
            wrong.push(format!("{task} is {outcome}, and its hosts are {results:?}"));
        }
        let silent = hosts.iter().filter(|host| !results.contains_key(*host));
        wrong.extend(silent.map(|host| format!("{task} has ended, and {host} has no result")));
    }
    wrong
}
