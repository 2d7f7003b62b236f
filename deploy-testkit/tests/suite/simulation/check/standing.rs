//! Nothing starts while a deployment stands, nor at a time that somebody forbade.

use std::collections::BTreeMap;

use deploy_core::Fact;
use deploy_core::model::{AfterBudget, Timestamp};

use super::super::history::Happening;
use super::{Record, id, request};

/// I9: a deployment that is paused starts nothing, and one that is held before a batch does not start
/// that before its time, or before it is promoted.
pub(super) fn standing_starts_nothing(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (task, events) in record.deployments() {
        let mut paused = false;
        let mut held: Option<Option<Timestamp>> = None;
        for (at, event) in events {
            let mut lies = |what: &str| {
                let (fact, time) = (event.fact.name(), record.time(at));
                wrong.push(format!("{task}: {fact} while it is {what} {time}"));
            };
            match &event.fact {
                Fact::Paused { .. } | Fact::BudgetPassed { then: AfterBudget::Wait, .. } => {
                    paused = true;
                }
                Fact::Resumed { .. } | Fact::Retried { .. } => paused = false,
                Fact::RollbackRequested { .. } | Fact::RollbackStarted { .. } => {
                    (paused, held) = (false, None);
                }
                Fact::BatchHeld { until, .. } => held = Some(*until),
                Fact::Promoted { .. } => held = None,
                Fact::BatchStarted { .. } => {
                    let waits = |until: Option<Timestamp>| until.is_none_or(|at| event.at < at);
                    if held.is_some_and(waits) {
                        lies("held");
                    }
                    held = None;
                }
                _ => {}
            }
            let starts = matches!(
                event.fact,
                Fact::RolloutStarted { .. } | Fact::BatchStarted { .. } | Fact::Dispatched { .. }
            );
            if paused && starts {
                lies("paused");
            }
        }
    }
    wrong
}

/// How old the word of a gate may be that a rollout begins by: others are asked, and the store is slow.
const FRESH: u64 = 60_000;

/// I9: no rollout begins before its scheduled time, when it is too late, or past a gate that is shut.
pub(super) fn no_forbidden_beginning(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    let deployments = record.deployments();
    let mut gates = 0;
    let mut opened: BTreeMap<_, u64> = BTreeMap::new();
    for (at, entry) in record.entries.iter().enumerate() {
        match &entry.what {
            Happening::Asked { gate, id, open } => {
                gates = gates.max(gate + 1);
                if *open {
                    opened.insert((*gate, id.clone()), entry.at);
                }
            }
            Happening::Recorded { store, events, .. } if store == "control" => {
                for event in events {
                    if !matches!(event.fact, Fact::RolloutStarted { .. }) {
                        continue;
                    }
                    let (task, time) = (&event.task, record.time(at));
                    let request = request(record, &deployments[task]);
                    if request.not_before.is_some_and(|due| event.at < due) {
                        wrong.push(format!("{task} begins before its time {time}"));
                    }
                    if request.expires_at.is_some_and(|end| event.at >= end) {
                        wrong.push(format!("{task} begins when it is too late {time}"));
                    }
                    for gate in 0..gates {
                        let open = opened.get(&(gate, id(task)));
                        if open.is_none_or(|asked| entry.at - asked > FRESH) {
                            wrong.push(format!("{task} begins past the shut gate {gate} {time}"));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    wrong
}
