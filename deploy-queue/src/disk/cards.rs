//! The journal's catalog as it is on disk, and what is on the way there.

use std::collections::HashMap;

use deploy_core::JournalError;
use deploy_core::model::TaskId;

use super::outbox::Outbox;
use super::row::Row;
use crate::catalog::{Card, Catalog};

/// What becomes of a card, and the rows that say so beside the card's own; `None` when nothing does.
pub(super) type Changed = Result<Option<(Option<Card>, Vec<Row>)>, JournalError>;

/// A card that is on its way to the disk, `None` when the task will be gone, with the number of the
/// change.
type Coming = (u64, Option<Card>);

/// The journal's catalog as it is on disk, and what is on the way there.
#[derive(Debug)]
pub(super) struct Cards {
    pub(super) kept: Catalog,
    /// The cards that tasks will have.
    coming: HashMap<TaskId, Coming>,
    changes: u64,
    /// How often the events of a task were removed.
    pub(super) removals: u64,
    pub(super) outbox: Outbox,
    pub(super) closed: bool,
}

impl Cards {
    pub(super) fn new(kept: Catalog, outbox: Outbox) -> Self {
        let coming = HashMap::new();
        Self { kept, coming, changes: 0, removals: 0, outbox, closed: false }
    }

    /// Computes the card that a task will have, and the rows that say so.
    pub(super) fn change(
        &mut self,
        task: &TaskId,
        change: impl FnOnce(Option<Card>) -> Changed,
    ) -> Result<Option<Vec<Row>>, JournalError> {
        let card = match self.coming.get(task) {
            Some((_, card)) => card.clone(),
            None => self.kept.card(task).cloned(),
        };
        let Some((card, mut rows)) = change(card)? else {
            return Ok(None);
        };
        self.changes += 1;
        let change = self.changes;
        self.coming.insert(task.clone(), (change, card.clone()));
        let task = task.clone();
        rows.push(Row::Card { task, change, card });
        Ok(Some(rows))
    }

    /// The card that a task will have, if another one than it has.
    pub(super) fn coming(&self, task: &TaskId) -> Option<Coming> {
        self.coming.get(task).cloned()
    }

    /// Forgets a change that was not sent after all: what was coming before it comes again.
    pub(super) fn take_back(&mut self, task: &TaskId, before: Option<Coming>) {
        match before {
            Some(before) => drop(self.coming.insert(task.clone(), before)),
            None => drop(self.coming.remove(task)),
        }
    }

    /// Notes that a card is on disk, or gone from there.
    pub(super) fn record(&mut self, task: &TaskId, change: u64, card: Option<Card>) {
        if self.coming.get(task).is_some_and(|(last, _)| *last == change) {
            self.coming.remove(task);
        }
        match card {
            Some(card) => self.kept.put(task.clone(), card),
            None => {
                self.removals += 1;
                self.kept.remove(task);
            }
        }
    }
}
