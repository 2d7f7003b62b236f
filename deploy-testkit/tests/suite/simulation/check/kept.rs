//! Nothing that was accepted or recorded is lost, and everything comes to one end.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::model::TaskId;
use deploy_core::{Event, Fact, FailureCode, TaskState};

use super::super::history::Happening;
use super::Record;

/// I1: a deployment of which somebody was told that it is kept is in the journal; one that was
/// refused is not.
pub(super) fn accepted_is_kept(record: &Record) -> Vec<String> {
    let control = &record.journals["control"];
    let wrong = record.entries.iter().filter_map(|entry| match &entry.what {
        Happening::Acknowledged { id } if !control.contains_key(&TaskId::from(id)) => {
            Some(format!("{id} was accepted and is nowhere"))
        }
        Happening::Refused { id, .. } if control.contains_key(&TaskId::from(id)) => {
            Some(format!("{id} was refused and is there"))
        }
        _ => None,
    });
    wrong.collect()
}

/// I1: what a store has said to keep is there in the end, as it was recorded.
pub(super) fn recorded_stays(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut kept: BTreeMap<(&str, &TaskId), u64> = BTreeMap::new();
    let mut written: BTreeMap<(&str, &TaskId, u64), &Event> = BTreeMap::new();
    for (at, entry) in record.entries.iter().enumerate() {
        match &entry.what {
            Happening::Removed { store, task } => {
                kept.remove(&(store.as_str(), task));
                written.retain(|(of, event, _), _| of != store || *event != task);
            }
            Happening::Recorded { store, events, .. } => {
                for event in events {
                    let key = (store.as_str(), &event.task, event.sequence.number());
                    if written.insert(key, event).is_some() {
                        wrong.push(format!("{key:?} is recorded again {}", record.time(at)));
                    }
                }
            }
            Happening::Kept { store, task, last } => {
                kept.insert((store, task), *last);
            }
            _ => {}
        }
    }
    for ((store, task), last) in kept {
        let events = record.journals[store].get(task).map_or(0, Vec::len) as u64;
        if events < last {
            wrong.push(format!("{store}: {task} ends at {events}, and {last} was kept"));
        }
    }
    for (store, tasks) in &record.journals {
        for event in tasks.values().flatten() {
            let key = (store.as_str(), &event.task, event.sequence.number());
            if written.get(&key) != Some(&event) {
                wrong.push(format!("{store}: {}#{} has changed", event.task, event.sequence));
            }
        }
    }
    wrong
}

/// I2: a task has one terminal state, recorded once and as the last thing, on every node; and it is
/// the one that people are told.
pub(super) fn each_ends_once(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (store, tasks) in &record.journals {
        for (task, events) in tasks {
            let ends = events.iter().filter(|event| matches!(event.fact, Fact::Finished { .. }));
            let last = events.last().is_some_and(|e| matches!(e.fact, Fact::Finished { .. }));
            let count = ends.count();
            if count > 1 || (count == 1 && !last) {
                wrong.push(format!("{store}: {task} has {count} ends, or something after it"));
            }
        }
    }
    for entry in &record.entries {
        let Happening::Told { id, outcome } = &entry.what else { continue };
        let events = record.journals["control"].get(&TaskId::from(id));
        let end = events.and_then(|events| events.last()).map(|event| &event.fact);
        if !matches!(end, Some(Fact::Finished { outcome: end, .. }) if end == outcome) {
            wrong.push(format!("{id} was said to have {outcome}, and the journal says {end:?}"));
        }
    }
    wrong
}

/// I3: some time after everything is mended, every task on every node has ended, and whoever waits
/// has been told.
pub(super) fn everything_ends(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (store, tasks) in &record.journals {
        for (task, events) in tasks {
            if !events.iter().any(|event| matches!(event.fact, Fact::Finished { .. })) {
                let last = events.last().map(|event| event.fact.name());
                wrong.push(format!("{store}: {task} never ends; its last fact is {last:?}"));
            }
        }
    }
    let mut answered = BTreeSet::new();
    let mut told = BTreeSet::new();
    for entry in &record.entries {
        match &entry.what {
            Happening::Acknowledged { id } | Happening::Refused { id, .. } => {
                answered.insert(id);
                if matches!(entry.what, Happening::Refused { .. }) {
                    told.insert(id);
                }
            }
            Happening::Told { id, .. } => {
                told.insert(id);
            }
            _ => {}
        }
    }
    wrong.extend(answered.difference(&told).map(|id| format!("nobody is told how {id} ended")));
    let filed = record.entries.iter().filter_map(|entry| match &entry.what {
        Happening::Filed { request } => request.id.as_ref(),
        _ => None,
    });
    let silent = filed.filter(|id| !answered.contains(id));
    wrong.extend(silent.map(|id| format!("{id} was filed and is never answered")));
    wrong
}

/// I15: no part of the engine panics.
pub(super) fn nothing_panics(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (store, tasks) in &record.journals {
        for event in tasks.values().flatten() {
            let failure = match &event.fact {
                Fact::AttemptFailed { failure } => Some(failure),
                Fact::HostFinished { result } => result.failure.as_ref(),
                Fact::Finished { failure, .. } => failure.as_ref(),
                _ => None,
            };
            let panicked = failure
                .filter(|f| f.message.contains("panicked") || f.code == FailureCode::Internal);
            // One that was attempted too often is no panic.
            let panicked = panicked.filter(|f| !f.message.starts_with("given up"));
            wrong.extend(panicked.map(|failure| format!("{store}: {}: {failure}", event.task)));
        }
    }
    wrong
}

/// I2: the state is the fold of the journal, from every prefix on, also when it was written and read.
pub(super) fn the_state_is_a_fold(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (task, events) in record.journals.values().flatten() {
        let whole = TaskState::fold(events);
        let written = serde_json::to_string(events).expect("events can be written");
        let read: Vec<Event> = serde_json::from_str(&written).expect("events can be read");
        if read != *events {
            wrong.push(format!("{task} is not read as it was written"));
        }
        for cut in [1, events.len() / 3, events.len() / 2, events.len().saturating_sub(1)] {
            let (before, after) = events.split_at(cut.clamp(1, events.len()));
            let mut state = TaskState::fold(before);
            if let Some(state) = &mut state {
                after.iter().for_each(|event| state.apply(event));
            }
            if state != whole {
                wrong.push(format!("{task} folds to something else from its event {cut} on"));
            }
        }
    }
    wrong
}
