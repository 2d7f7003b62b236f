//! What operators do with the tasks of a store.

use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{DeadLetter, QueueAdmin, QueueError, QueueStatistics, TaskPlace};

use super::store::DiskStore;
use crate::ledger::{Change, DeadTask, Ledger};

impl DiskStore {
    /// Keeps what a method of the ledger did to a task, if anything.
    pub(super) async fn change(
        &self,
        work: impl FnOnce(&mut Ledger, Timestamp) -> Option<Change> + Send,
    ) -> Result<bool, QueueError> {
        self.keep(|ledger, outbox, now| {
            let change = work(ledger, now);
            let changed = change.is_some();
            change.iter().for_each(|change| outbox.keep(change));
            Ok(changed)
        })
        .await
    }
}

#[async_trait]
impl QueueAdmin for DiskStore {
    async fn find(&self, id: TaskId) -> Result<Option<TaskPlace>, QueueError> {
        self.look(|ledger, _| ledger.find(&id))
    }

    async fn withdraw(&self, id: TaskId) -> Result<bool, QueueError> {
        self.change(|ledger, _| ledger.withdraw(&id)).await
    }

    async fn dead_letters(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        // The letters' contents are read after the commits that brought them there.
        let dead = self.keep(|ledger, _, _| Ok(ledger.dead(after.as_ref(), limit))).await?;
        let shared = Arc::clone(&self.shared);
        let letter = move |(order, attempts, death): DeadTask| {
            let task = shared.task(order)?;
            Ok(task.map(|task| DeadLetter::new(task, attempts, death.failure, death.at)))
        };
        // There may be many.
        let read = tokio::task::spawn_blocking(move || {
            dead.into_iter().filter_map(|dead| letter(dead).transpose()).collect()
        });
        // The closure does not panic, and is not aborted: only a runtime that ends cuts it off.
        read.await.unwrap_or(Err(QueueError::Closed))
    }

    async fn replay(&self, id: TaskId) -> Result<bool, QueueError> {
        self.change(|ledger, now| ledger.replay(&id, now)).await
    }

    async fn statistics(&self) -> Result<QueueStatistics, QueueError> {
        self.look(|ledger, _| ledger.statistics())
    }
}
