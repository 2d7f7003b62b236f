//! What can be done with a task that no worker has.

use deploy_core::model::{TaskId, Timestamp};

use super::Ledger;
use super::entry::{Change, Place};

impl Ledger {
    /// Makes a task that waits due at another time.
    pub(crate) fn reschedule(
        &mut self,
        id: &TaskId,
        due: Timestamp,
        now: Timestamp,
    ) -> Option<Change> {
        let order = self.order(id)?;
        self.stop_waiting(order).then(|| self.wait(order, Some(due), now))
    }

    /// Removes a task that no worker has.
    pub(crate) fn withdraw(&mut self, id: &TaskId) -> Option<Change> {
        let order = self.order(id)?;
        if self.stop_waiting(order) || self.dead.remove(id).is_some() {
            return self.forget(order);
        }
        None
    }

    /// Makes a dead task due at once, as if it had never been claimed.
    pub(crate) fn replay(&mut self, id: &TaskId, now: Timestamp) -> Option<Change> {
        let order = self.dead.remove(id)?;
        self.tasks.get_mut(&order)?.attempts = 0;
        Some(self.wait(order, Some(now), now))
    }

    /// Takes a task out of those that wait, for its time or for a worker. Says whether it did.
    fn stop_waiting(&mut self, order: u64) -> bool {
        let Some(entry) = self.tasks.get(&order) else {
            return false;
        };
        match entry.place {
            Place::Ready => self.ready.remove(&entry.kind, entry.key.as_ref(), entry.rank(order)),
            Place::Delayed => drop(self.delayed.remove(&(entry.due, order))),
            Place::Claimed(_) | Place::Dead(_) => return false,
        }
        true
    }
}
