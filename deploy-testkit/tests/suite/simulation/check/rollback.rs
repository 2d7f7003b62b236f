//! What is undone stays undone, and is called that.

use std::collections::BTreeSet;

use deploy_core::model::{AfterBudget, HostResult, HostStatus, Outcome, ReleaseId};
use deploy_core::{Event, Fact};
use deploy_testkit::HostEffect;

use super::super::history::Happening;
use super::truth::last_results;
use super::{Record, request};

/// I10: a deployment puts its hosts back once, and a host that went back to a release from before does
/// not serve the one that was undone any more, unless somebody asks for that.
pub(super) fn back_stays_back(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (task, events) in record.deployments() {
        let starts = events.iter().filter(|(_, e)| matches!(e.fact, Fact::RollbackStarted { .. }));
        if starts.count() > 1 {
            wrong.push(format!("{task} is rolled back again and again"));
        }
    }
    let mut undoing = BTreeSet::new();
    // What was undone, and where.
    let mut back = BTreeSet::new();
    for (at, entry) in record.entries.iter().enumerate() {
        match &entry.what {
            Happening::Recorded { store, events, .. } if store == "control" => {
                for event in events {
                    let Ok(release) = ReleaseId::new(event.task.as_str()) else { continue };
                    match &event.fact {
                        Fact::RollbackStarted { .. } => {
                            undoing.insert(release);
                        }
                        Fact::Accepted { request, .. } => {
                            undoing.extend(request.rollback.as_ref().map(|spec| (&spec.of).into()));
                        }
                        Fact::HostFinished { result }
                            if result.status == HostStatus::RolledBack
                                && undoing.contains(&release) =>
                        {
                            back.insert((release, result.host.clone()));
                        }
                        _ => {}
                    }
                }
            }
            Happening::Host(event) => {
                let HostEffect::Switched { to: Some(to), .. } = &event.effect else { continue };
                let own: ReleaseId = (&event.deployment).into();
                if own != *to && undoing.contains(&own) {
                    back.insert((own, event.host.clone()));
                } else if back.contains(&(to.clone(), event.host.clone())) && own == *to {
                    let (host, time) = (&event.host, record.time(at));
                    wrong.push(format!("{host} serves {to} again, which was undone {time}"));
                }
            }
            _ => {}
        }
    }
    wrong
}

/// Says whether a deployment was to be put back, by its budget or by a person.
fn wanted(events: &[(usize, &Event)]) -> bool {
    events.iter().any(|(_, event)| match &event.fact {
        Fact::BudgetPassed { then, .. } => *then == AfterBudget::RollBack,
        Fact::RollbackRequested { .. } | Fact::DeadlinePassed => true,
        _ => false,
    })
}

/// Says whether a host serves the release, or may.
fn serves(result: &&HostResult) -> bool {
    matches!(result.status, HostStatus::Succeeded | HostStatus::Unknown)
}

/// I10: a deployment that put its hosts back is called rolled back when all of them are, and never a
/// success; and nothing else is called that.
pub(super) fn called_by_its_name(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (task, events) in record.deployments() {
        let Some(Fact::Finished { outcome, .. }) = events.last().map(|(_, e)| &e.fact) else {
            continue;
        };
        let undoes = request(record, &events).rollback.is_some();
        let own = events.iter().find_map(|(_, event)| match &event.fact {
            Fact::RollbackStarted { batches, .. } => Some(batches),
            _ => None,
        });
        let results = last_results(&events);
        let back = |host| results.get(host).is_some_and(|r| r.status == HostStatus::RolledBack);
        let fits = match (outcome, own) {
            (Outcome::Succeeded, _) => own.is_none() && !undoes,
            (Outcome::RolledBack, Some(batches)) => batches.iter().flatten().all(back),
            (Outcome::RolledBack, None) if undoes => results.keys().all(|host| back(host)),
            // Nothing was left to be put back: those that were done went back by themselves.
            (Outcome::RolledBack, None) => wanted(&events) && !results.values().any(serves),
            _ => true,
        };
        if !fits {
            wrong.push(format!("{task} is called {outcome}, and its hosts are {results:?}"));
        }
    }
    wrong
}
