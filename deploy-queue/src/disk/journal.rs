//! The journal of a store.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::model::TaskId;
use deploy_core::{Event, Journal, JournalError, JournalQuery, Sequence, TaskSummary};
use redb::ReadableDatabase;

use super::cards::Changed;
use super::error::StoreError;
use super::row::Row;
use super::rows::{self, EVENTS};
use super::shared::Shared;
use super::store::DiskStore;
use crate::catalog::Card;

/// What appends some events to a task: its card after them, and the rows that keep them.
pub(super) fn appending(
    events: Vec<Event>,
) -> Result<impl FnOnce(Option<Card>) -> Changed + Send, JournalError> {
    let row = |event: &Event| {
        let (task, number) = (event.task.clone(), event.sequence);
        match rows::encode_event(event) {
            Ok(row) => Ok(Row::Event { task, number, row }),
            Err(error) => Err(unreadable(&task, number, error)),
        }
    };
    // Before anybody's turn comes, so that nobody waits for it.
    let rows = events.iter().map(row).collect::<Result<_, _>>()?;
    Ok(move |card: Option<Card>| Ok(Some((Some(card.unwrap_or_default().after(&events)?), rows))))
}

fn unreadable(task: &TaskId, sequence: Sequence, error: serde_json::Error) -> JournalError {
    JournalError::Unreadable { task: task.clone(), sequence, source: Box::new(error) }
}

impl DiskStore {
    /// Changes a task's card, and waits until that is on disk, or what refuses it is.
    async fn change_card(
        &self,
        task: &TaskId,
        change: impl FnOnce(Option<Card>) -> Changed + Send,
    ) -> Result<bool, JournalError> {
        let (changed, answer) = self.shared.change_card(task, change)?;
        let Ok(kept) = answer.await else {
            self.shared.check()?;
            return Err(JournalError::Closed);
        };
        kept?;
        changed
    }

    async fn read_events(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || read(&shared, &task, after, limit)).await;
        // The closure does not panic, and is not aborted: only a runtime that ends cuts it off.
        read.unwrap_or(Err(JournalError::Closed))
    }
}

/// Reads the events of a task that are on disk.
fn read(
    shared: &Shared,
    task: &TaskId,
    after: Sequence,
    limit: usize,
) -> Result<Vec<Event>, JournalError> {
    loop {
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        let (seen, removals) = shared.journal(|catalog, pending| {
            let count = catalog.last(task).number().saturating_sub(after.number()).min(most);
            let end = after.plus(count);
            let range = || after.number() + 1..=end.number();
            (count > 0).then(|| (count, end, pending.events(task, range())))
        })?;
        let Some((count, end, pending)) = seen else {
            return Ok(Vec::new());
        };
        // What is no longer pending by now is in the database.
        let events = shared.read(|database| {
            let transaction = database.begin_read().map_err(StoreError::database)?;
            let table = transaction.open_table(EVENTS).map_err(StoreError::database)?;
            let name = task.as_str();
            let range = (name, after.number() + 1)..=(name, end.number());
            let range = table.range(range).map_err(StoreError::database)?;
            let mut rows = BTreeMap::new();
            for entry in range {
                let (key, row) = entry.map_err(StoreError::database)?;
                rows.insert(key.value().1, Some(row.value().to_vec()));
            }
            rows.extend(pending);
            let rows = rows.into_iter().filter_map(|(number, row)| Some((number, row?)));
            let event = |(number, row): (u64, Vec<u8>)| {
                let number = Sequence::new(number);
                Ok((number, rows::decode_event(task, number, &row)?))
            };
            rows.map(event).collect::<Result<Vec<_>, _>>()
        })?;
        let events = events.ok_or(JournalError::Closed)?;
        if shared.removals()? != removals {
            // It may be this task that was removed in between, and even begun anew.
            continue;
        }
        if events.len() as u64 == count {
            let event = |(number, event): (_, serde_json::Result<_>)| {
                event.map_err(|error| unreadable(task, number, error))
            };
            return events.into_iter().map(event).collect();
        }
        let what = format!("the list of events of task {task}");
        return Err(shared.fail(StoreError::Corrupt { what }).into());
    }
}

#[async_trait]
impl Journal for DiskStore {
    async fn append(&self, events: Vec<Event>) -> Result<(), JournalError> {
        let Some(task) = events.first().map(|event| event.task.clone()) else {
            return Ok(());
        };
        self.change_card(&task, appending(events)?).await.map(drop)
    }

    async fn read(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        self.read_events(task, after, limit).await
    }

    async fn follow(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        let look = || match self.shared.last(&task) {
            Ok(last) if last <= after => None,
            Ok(_) => Some(Ok(())),
            Err(closed) => Some(Err(closed)),
        };
        loop {
            self.shared.followers.until(&task, look).await?;
            let events = self.read_events(task.clone(), after, limit).await?;
            // None are there when the task was removed in between.
            if !events.is_empty() || limit == 0 {
                return Ok(events);
            }
        }
    }

    async fn list(&self, query: JournalQuery) -> Result<Vec<TaskSummary>, JournalError> {
        self.shared.catalog(|catalog| catalog.list(&query))
    }

    async fn remove(&self, task: TaskId) -> Result<bool, JournalError> {
        let events = |card: Card| Row::Events { task: task.clone(), last: card.last };
        self.change_card(&task, |card| Ok(card.map(|card| (None, vec![events(card)])))).await
    }
}
