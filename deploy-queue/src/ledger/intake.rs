//! How tasks come into a ledger: pushed, or read back from where they were kept.

use std::sync::Arc;

use deploy_core::model::Timestamp;
use deploy_core::{QueueError, TaskRecord};

use super::Ledger;
use super::entry::{Change, Entry, Fingerprint, Place};

impl Ledger {
    /// Takes in a task: its order, or `None` when the same task is there already.
    pub(crate) fn push(
        &mut self,
        task: &TaskRecord,
        fingerprint: Fingerprint,
        now: Timestamp,
    ) -> Result<Option<u64>, QueueError> {
        if let Some(known) = self.order(&task.id).and_then(|order| self.tasks.get(&order)) {
            return if known.fingerprint == fingerprint {
                Ok(None)
            } else {
                Err(QueueError::Conflict { id: task.id.clone() })
            };
        }
        let (size, limit) = (task.payload.len() as u64, self.limits.max_payload);
        if size > limit {
            return Err(QueueError::TooLarge { size, limit });
        }
        let limit = self.limits.capacity;
        if self.tasks.len() as u64 >= limit {
            return Err(QueueError::Full { limit });
        }
        let order = self.next_order;
        let due = task.due.unwrap_or(now);
        self.restore(order, task, fingerprint, Change::Waits { order, due, attempts: 0 });
        self.tick_delayed(now);
        Ok(Some(order))
    }

    /// Takes in a task as it was kept, waiting or dead.
    pub(crate) fn restore(
        &mut self,
        order: u64,
        task: &TaskRecord,
        fingerprint: Fingerprint,
        kept: Change,
    ) {
        let (due, attempts, death) = match kept {
            Change::Waits { due, attempts, .. } => (due, attempts, None),
            Change::Dies { due, attempts, death, .. } => (due, attempts, Some(Box::new(death))),
            Change::Goes { .. } => return,
        };
        self.next_order = self.next_order.max(order + 1);
        self.ids.insert(&task.id, order);
        let place = match death {
            Some(death) => {
                self.dead.insert(task.id.clone(), order);
                Place::Dead(death)
            }
            None => {
                self.delayed.insert((due.into(), order));
                Place::Delayed
            }
        };
        let entry = Entry {
            id: task.id.clone(),
            kind: self.ready.share(task),
            key: task.exclusive_key.clone().map(Arc::new),
            priority: task.priority,
            due: due.into(),
            attempts,
            fingerprint,
            place,
        };
        self.tasks.insert(order, Box::new(entry));
    }
}
