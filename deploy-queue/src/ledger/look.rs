//! What an operator sees of a ledger.

use deploy_core::model::TaskId;
use deploy_core::{LeaseToken, QueueStatistics, TaskPlace};

use super::Ledger;
use super::entry::{Death, Place};

/// A task that was set aside: which one, how often it was claimed, why and when.
pub(crate) type DeadTask = (u64, u32, Death);

impl Ledger {
    /// Says whether a task is there.
    #[cfg(feature = "disk")]
    pub(crate) fn has(&self, order: u64) -> bool {
        self.tasks.contains_key(&order)
    }

    /// Says whether a lease has not ended.
    pub(crate) fn holds(&self, token: &LeaseToken) -> bool {
        self.leased(token).is_ok()
    }

    /// Where a task is.
    pub(crate) fn find(&self, id: &TaskId) -> Option<TaskPlace> {
        let entry = self.tasks.get(&self.order(id)?)?;
        Some(match &entry.place {
            Place::Ready | Place::Delayed => {
                TaskPlace::Queued { due: entry.due.into(), attempts: entry.attempts }
            }
            Place::Claimed(lease) => {
                TaskPlace::Claimed { worker: lease.worker.clone(), until: lease.until }
            }
            Place::Dead(_) => TaskPlace::Dead,
        })
    }

    /// The dead tasks in the order of their ids.
    pub(crate) fn dead(&self, after: Option<&TaskId>, limit: usize) -> Vec<DeadTask> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let dead = self.dead.range::<TaskId, _>((from, Unbounded)).take(limit);
        dead.filter_map(|(_, &order)| {
            let entry = self.tasks.get(&order)?;
            match &entry.place {
                Place::Dead(death) => Some((order, entry.attempts, (**death).clone())),
                Place::Ready | Place::Delayed | Place::Claimed(_) => None,
            }
        })
        .collect()
    }

    /// How many tasks are where.
    pub(crate) fn statistics(&self) -> QueueStatistics {
        let (delayed, claimed, dead) = (self.delayed.len(), self.leases.len(), self.dead.len());
        let mut statistics = QueueStatistics::default();
        statistics.ready = (self.tasks.len() - delayed - claimed - dead) as u64;
        statistics.delayed = delayed as u64;
        statistics.claimed = claimed as u64;
        statistics.dead = dead as u64;
        statistics
    }
}
