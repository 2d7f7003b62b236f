//! Whether a store is as its book says: the one checker of all fault tests.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use deploy_core::model::TaskId;
use deploy_core::{Event, Journal, JournalQuery, Pushed, Queue, QueueAdmin, Sequence, TaskPlace};
use deploy_queue::{DiskStore, OpenError, QueueConfig};
use deploy_testkit::VirtualClock;

use super::book::{Book, Place};
use super::content::{both_events, event, far, fate, task};

/// What the cycles of a fault test came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cycles: u64,
    /// Cycles with a second fault while the store was opened after the first one.
    pub(crate) twice: u64,
    pub(crate) acknowledged: u64,
    /// What was acknowledged and is not there.
    pub(crate) lost: u64,
    /// What was ended and is there, or was claimed, again.
    pub(crate) duplicated: u64,
    /// What is there otherwise than it was written, torn apart, or never written.
    pub(crate) wrong: u64,
    /// The first things that were not so, in words.
    pub(crate) faults: Vec<String>,
}

impl Tally {
    pub(crate) fn fault(&mut self, text: String) {
        if self.faults.len() < 20 {
            self.faults.push(text);
        }
    }

    /// How many things were not so.
    pub(crate) fn bad(&self) -> u64 {
        self.lost + self.duplicated + self.wrong
    }

    /// Prints the figures, and fails when anything was not so.
    pub(crate) fn assert_clean(&self, name: &str) {
        println!("{name}: {self:?}");
        assert_eq!(self.bad(), 0, "{name}: {self:#?}");
    }
}

/// Opens the store and counts what is not as the book says. What is there is the book's from then on.
pub(crate) async fn check(
    path: &Path,
    book: &mut Book,
    tally: &mut Tally,
) -> Result<(), OpenError> {
    let config = QueueConfig::new().with_clock(Arc::new(VirtualClock::new()));
    let store = DiskStore::open(path, config).await?;
    tally.acknowledged += std::mem::take(&mut book.acknowledged);
    for fault in std::mem::take(&mut book.faults) {
        tally.duplicated += 1;
        tally.fault(fault);
    }
    check_tasks(&store, book, tally).await;
    check_journals(&store, book, tally).await;
    store.close().await;
    Ok(())
}

async fn check_tasks(store: &DiskStore, book: &mut Book, tally: &mut Tally) {
    let mut there = Vec::new();
    for (id, story) in &mut book.tasks {
        let found = place(store, id).await;
        if !story.may.contains(&found) {
            tally.fault(format!("{id} is {found:?}, and may be {:?}", story.may));
            match (found, story.may.contains(&Place::Absent)) {
                (Place::Absent, _) => tally.lost += 1,
                (_, true) => tally.duplicated += 1,
                _ => tally.wrong += 1,
            }
        }
        story.may = BTreeSet::from([found]);
        if found != Place::Absent {
            there.push(id.clone());
        }
    }
    // Nothing is there that nobody pushed.
    let statistics = store.statistics().await.unwrap();
    let all = statistics.ready + statistics.delayed + statistics.claimed + statistics.dead;
    if all != there.len() as u64 {
        tally.wrong += 1;
        tally.fault(format!("{all} tasks are there, and {} are known", there.len()));
    }
    for letter in store.dead_letters(None, usize::MAX).await.unwrap() {
        if letter.failure.message != letter.task.id.as_str() {
            tally.wrong += 1;
            tally.fault(format!("{letter:?} died of something else"));
        }
    }
    // A task with another content would be a conflict.
    for id in there {
        let again = store.push(task(&id)).await;
        if !matches!(again, Ok(Pushed::Known)) {
            tally.wrong += 1;
            tally.fault(format!("{id} is not what was pushed: {again:?}"));
        }
    }
}

async fn place(store: &DiskStore, id: &str) -> Place {
    match store.find(id.parse().unwrap()).await.unwrap() {
        None => Place::Absent,
        Some(TaskPlace::Dead) => Place::Dead,
        Some(TaskPlace::Queued { due, .. }) if due == far(2) => Place::Moved,
        Some(_) => Place::Queued,
    }
}

async fn check_journals(store: &DiskStore, book: &mut Book, tally: &mut Tally) {
    let known = store.list(JournalQuery::new().with_limit(usize::MAX)).await.unwrap();
    for summary in known {
        if !book.journals.contains_key(summary.task.as_str()) {
            tally.wrong += 1;
            tally.fault(format!("nobody wrote the journal {}", summary.task));
        }
    }
    for id in std::mem::take(&mut book.touched) {
        let Some(story) = book.journals.get_mut(&id) else {
            continue;
        };
        let journal: TaskId = id.parse().unwrap();
        let found = store.read(journal.clone(), Sequence::START, usize::MAX).await.unwrap();
        let last = found.len() as u64;
        let expected: Vec<Event> = if fate(&id) == "both" {
            both_events(&journal).into_iter().take(found.len()).collect()
        } else {
            (1..=last).map(|number| event(&journal, number)).collect()
        };
        if found != expected {
            tally.wrong += 1;
            tally.fault(format!("the journal {id} has other events, or not all: {found:?}"));
        }
        if !story.may.contains(&last) {
            tally.fault(format!("the journal {id} ends at {last}, and may at {:?}", story.may));
            match story.may.first() {
                Some(least) if last < *least => tally.lost += 1,
                Some(least) if last > *least && story.may.len() == 1 => tally.duplicated += 1,
                _ => tally.wrong += 1,
            }
        }
        story.may = BTreeSet::from([last]);
        // A settlement and its events are there together or not at all.
        let settled = fate(&id) == "both" && place(store, &id).await == Place::Absent;
        if fate(&id) == "both" && settled != (last == 2) {
            tally.wrong += 1;
            tally.fault(format!("{id} was settled: {settled}, and its journal ends at {last}"));
        }
    }
}
