//! Reading what a task holds: from the log's copy in memory, or from the database.

use deploy_core::{QueueError, TaskRecord};
use redb::ReadableDatabase;

use super::error::StoreError;
use super::rows::{self, TASKS};
use super::shared::Shared;

impl Shared {
    /// Reads the content of a task; `None` when somebody has ended it meanwhile.
    pub(super) fn task(&self, order: u64) -> Result<Option<TaskRecord>, QueueError> {
        let pending = self.pending(|pending| {
            pending.task(order).map(|row| rows::decode_task(order, row).map(|(task, _)| task))
        });
        if let Some(task) = pending {
            return Ok(Some(task.map_err(|failure| self.fail(failure))?));
        }
        let read = self.read(|database| {
            let transaction = database.begin_read().map_err(StoreError::database)?;
            let tasks = transaction.open_table(TASKS).map_err(StoreError::database)?;
            let row = tasks.get(order).map_err(StoreError::database)?;
            match row {
                Some(row) => Ok(Some(rows::decode_task(order, row.value())?.0)),
                None => Ok(None),
            }
        });
        match read? {
            None => Err(QueueError::Closed),
            Some(Some(task)) => Ok(Some(task)),
            // The ledger forgets a task before its row goes.
            Some(None) if !self.has(order)? => Ok(None),
            Some(None) => {
                let what = format!("the row {order} of the table tasks, which is gone,");
                Err(self.fail(StoreError::Corrupt { what }).into())
            }
        }
    }

    fn has(&self, order: u64) -> Result<bool, QueueError> {
        let has = self.desk.with(|ledger, _, _| ledger.has(order));
        has.map_err(|error| self.explain(error))
    }
}
