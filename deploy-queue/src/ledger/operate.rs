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
        let entry = self.tasks.get(&order)?;
        match entry.place {
            Place::Ready => self.ready.remove(&entry.kind, entry.key.as_ref(), entry.rank(order)),
            Place::Delayed => {
                self.delayed.remove(&(entry.due, order));
            }
            Place::Claimed(_) | Place::Dead(_) => return None,
        }
        Some(self.wait(order, Some(due), now))
    }

    /// Removes a task that no worker has.
    pub(crate) fn withdraw(&mut self, id: &TaskId) -> Option<Change> {
        let order = self.order(id)?;
        let entry = self.tasks.get(&order)?;
        match entry.place {
            Place::Ready => self.ready.remove(&entry.kind, entry.key.as_ref(), entry.rank(order)),
            Place::Delayed => {
                self.delayed.remove(&(entry.due, order));
            }
            Place::Dead(_) => {
                self.dead.remove(id);
            }
            Place::Claimed(_) => return None,
        }
        self.forget(order)
    }

    /// Makes a dead task due at once, as if it had never been claimed.
    pub(crate) fn replay(&mut self, id: &TaskId, now: Timestamp) -> Option<Change> {
        let order = self.dead.remove(id)?;
        self.tasks.get_mut(&order)?.attempts = 0;
        Some(self.wait(order, Some(now), now))
    }
}
