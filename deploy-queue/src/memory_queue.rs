//! A queue in memory: for tests, and for work that may be lost with the process.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{
    Claim, DeadLetter, LeaseToken, Pushed, Queue, QueueAdmin, QueueError, QueueStatistics,
    Settlement, TaskPlace, TaskRecord,
};

use crate::config::QueueConfig;
use crate::desk::{Desk, Keeper};
use crate::ledger::{Change, DeadTask, Fingerprint, Ledger};

/// A queue in memory: for tests, and for work that may be lost with the process.
///
/// ```
/// use deploy_core::{Queue, Settlement, TaskRecord, model::TaskId};
/// use deploy_queue::MemoryQueue;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = MemoryQueue::default();
/// queue.push(TaskRecord::new(TaskId::new("task-1")?, "note", *b"hello")).await?;
/// let claim = queue.claim("worker".to_owned(), vec![], Duration::from_secs(30)).await?;
/// queue.settle(claim.token, Settlement::Done).await?;
/// # Ok(())
/// # }
/// ```
pub struct MemoryQueue {
    desk: Desk<Records>,
}

impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what it holds: there may be a million tasks.
        f.debug_struct("MemoryQueue").finish_non_exhaustive()
    }
}

/// The tasks' contents, by order.
#[derive(Debug, Default)]
struct Records(HashMap<u64, TaskRecord>);

impl Records {
    /// Keeps what became of a task: only one that is gone changes anything here.
    fn keep(&mut self, change: &Change) {
        if let Change::Goes { order } = change {
            self.0.remove(order);
        }
    }
}

impl Keeper for Records {
    fn note(&mut self, _change: Change) {}

    fn flush(&mut self) {}
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::new(QueueConfig::default())
    }
}

impl MemoryQueue {
    /// Makes an empty queue.
    #[must_use]
    pub fn new(config: QueueConfig) -> Self {
        let ledger = Ledger::new(config.limits(), 1);
        Self { desk: Desk::new(ledger, Records::default(), config.clock) }
    }

    /// Closes the queue: every call, also a waiting claim, ends with [`QueueError::Closed`].
    pub fn close(&self) {
        self.desk.close();
    }

    /// Applies what a method of the ledger did to a task, if anything.
    fn change(
        &self,
        work: impl FnOnce(&mut Ledger, Timestamp) -> Option<Change>,
    ) -> Result<bool, QueueError> {
        self.desk.with(|ledger, records, now| {
            let change = work(ledger, now);
            let changed = change.is_some();
            change.iter().for_each(|change| records.keep(change));
            changed
        })
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn push(&self, task: TaskRecord) -> Result<Pushed, QueueError> {
        let fingerprint = Fingerprint::of(&task);
        self.desk.with(|ledger, records, now| {
            let Some(order) = ledger.push(&task, fingerprint, now)? else {
                return Ok(Pushed::Known);
            };
            records.0.insert(order, task);
            Ok(Pushed::New)
        })?
    }

    async fn claim(
        &self,
        worker: String,
        kinds: Vec<String>,
        lease: Duration,
    ) -> Result<Claim, QueueError> {
        loop {
            let held = self.desk.claim(worker.clone(), kinds.clone(), lease).await?;
            let order = held.order();
            let Some(task) = self.desk.keeper(|records| records.0.get(&order).cloned()) else {
                // The lease has ended meanwhile, and another worker has done it.
                continue;
            };
            if let Some(leased) = held.keep() {
                return Ok(Claim::new(leased.token, task, leased.attempt));
            }
        }
    }

    async fn renew(&self, token: LeaseToken, lease: Duration) -> Result<(), QueueError> {
        self.desk.with(|ledger, _, now| ledger.renew(&token, lease, now))?
    }

    async fn settle(&self, token: LeaseToken, settlement: Settlement) -> Result<(), QueueError> {
        self.desk.with(|ledger, records, now| {
            records.keep(&ledger.settle(&token, settlement, now)?);
            Ok(())
        })?
    }

    async fn reschedule(&self, id: TaskId, due: Timestamp) -> Result<bool, QueueError> {
        self.change(|ledger, now| ledger.reschedule(&id, due, now))
    }
}

#[async_trait]
impl QueueAdmin for MemoryQueue {
    async fn find(&self, id: TaskId) -> Result<Option<TaskPlace>, QueueError> {
        self.desk.with(|ledger, _, _| ledger.find(&id))
    }

    async fn withdraw(&self, id: TaskId) -> Result<bool, QueueError> {
        self.change(|ledger, _| ledger.withdraw(&id))
    }

    async fn dead_letters(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        self.desk.with(|ledger, records, _| {
            let letter = |(order, attempts, death): DeadTask| {
                let task = records.0.get(&order)?.clone();
                Some(DeadLetter::new(task, attempts, death.failure, death.at))
            };
            let dead = ledger.dead(after.as_ref(), limit);
            dead.into_iter().filter_map(letter).collect()
        })
    }

    async fn replay(&self, id: TaskId) -> Result<bool, QueueError> {
        self.change(|ledger, now| ledger.replay(&id, now))
    }

    async fn statistics(&self) -> Result<QueueStatistics, QueueError> {
        self.desk.with(|ledger, _, _| ledger.statistics())
    }
}
