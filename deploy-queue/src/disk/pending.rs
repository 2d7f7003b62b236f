//! The rows that are in the log and not yet in the database.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::model::TaskId;
use redb::{Database, WriteTransaction};

use super::error::StoreError;
use super::row::Row;
use super::rows::{self, CARDS, EVENTS, META, META_KEY, Meta, STATES, TASKS};
use crate::catalog::Card;

/// So many changes are brought into the database at the latest, so that nobody waits long for it.
const MOST: usize = 8 * 1024;

/// What the log has made of the rows of the database: the new ones, and those that are gone.
///
/// Readers look here first and into the database next: a row leaves here only once it is there.
#[derive(Debug, Default)]
pub(super) struct Pending {
    tasks: BTreeMap<u64, Vec<u8>>,
    states: BTreeMap<u64, Vec<u8>>,
    /// The tasks of the database that are gone.
    gone: BTreeSet<u64>,
    cards: BTreeMap<TaskId, Option<Card>>,
    events: BTreeMap<TaskId, BTreeMap<u64, Option<Vec<u8>>>>,
    changes: usize,
}

impl Pending {
    /// Takes in a row.
    pub(super) fn apply(&mut self, row: Row) {
        self.changes += 1;
        match row {
            Row::Task { order, row } => drop(self.tasks.insert(order, row)),
            Row::State { order, row } => drop(self.states.insert(order, row)),
            Row::Gone { order } => {
                self.states.remove(&order);
                if self.tasks.remove(&order).is_none() {
                    self.gone.insert(order);
                }
            }
            Row::Event { task, number, row } => {
                self.events.entry(task).or_default().insert(number.number(), Some(row));
            }
            Row::Events { task, last } => {
                let events = self.events.entry(task).or_default();
                for number in 1..=last.number() {
                    events.insert(number, None);
                }
                self.changes += events.len();
            }
            Row::Card { task, card, .. } => drop(self.cards.insert(task, card)),
        }
    }

    /// The row of a task.
    pub(super) fn task(&self, order: u64) -> Option<&[u8]> {
        self.tasks.get(&order).map(Vec::as_slice)
    }

    /// The rows of a task's events, `None` for those that are gone, with numbers in `range`.
    pub(super) fn events(
        &self,
        task: &TaskId,
        range: std::ops::RangeInclusive<u64>,
    ) -> Vec<(u64, Option<Vec<u8>>)> {
        let events = self.events.get(task);
        let events = events.into_iter().flat_map(|events| events.range(range.clone()));
        events.map(|(number, row)| (*number, row.clone())).collect()
    }

    /// Says whether it is time to bring the rows into the database.
    pub(super) fn is_long(&self) -> bool {
        self.changes >= MOST
    }

    /// Says whether there is anything to bring into the database.
    pub(super) fn is_empty(&self) -> bool {
        self.changes == 0
    }

    /// Brings the rows into the database.
    pub(super) fn write(&self, database: &Database, meta: Meta) -> Result<(), StoreError> {
        let transaction = transaction(database)?;
        self.fill(&transaction, meta).map_err(StoreError::database)?;
        transaction.commit().map_err(StoreError::database)
    }

    /// Puts the rows into a transaction.
    pub(super) fn fill(
        &self,
        transaction: &WriteTransaction,
        meta: Meta,
    ) -> Result<(), redb::Error> {
        let mut tasks = transaction.open_table(TASKS)?;
        let mut states = transaction.open_table(STATES)?;
        for order in &self.gone {
            tasks.remove(order)?;
            states.remove(order)?;
        }
        for (order, row) in &self.tasks {
            tasks.insert(order, row.as_slice())?;
        }
        for (order, row) in &self.states {
            states.insert(order, row.as_slice())?;
        }
        let mut cards = transaction.open_table(CARDS)?;
        for (task, card) in &self.cards {
            match card {
                Some(card) => {
                    cards.insert(task.as_str(), rows::encode_card(task, card).as_slice())?;
                }
                None => drop(cards.remove(task.as_str())?),
            }
        }
        let mut events = transaction.open_table(EVENTS)?;
        for (task, rows) in &self.events {
            for (number, row) in rows {
                let key = (task.as_str(), *number);
                match row {
                    Some(row) => drop(events.insert(key, row.as_slice())?),
                    None => drop(events.remove(key)?),
                }
            }
        }
        transaction.open_table(META)?.insert(META_KEY, meta.encode().as_slice())?;
        Ok(())
    }
}

/// Begins a transaction with two-phase commit: the old state stays untouched, and is what is found
/// after a crash, until the new one is on disk.
pub(super) fn transaction(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write().map_err(StoreError::database)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}
