//! Work that a driver waits for while it heeds what others record.

use std::future::Future;
use std::pin::pin;

use super::Driver;
use crate::cancel::CancelToken;
use crate::journal::JournalError;

impl Driver {
    /// Runs work other than that of a part, watching for a wish to cancel and for the end of the
    /// leash. Gives `None` when the work had to be dropped.
    pub(super) async fn attend<T>(
        &mut self,
        cancel: &CancelToken,
        work: impl Future<Output = T> + Send,
    ) -> Result<Option<T>, JournalError> {
        let mut work = pin!(work);
        loop {
            // In a fixed order, so that a run can be repeated. Words to look at the journal are few,
            // and each is taken once, so that the work has its turn.
            tokio::select! {
                biased;
                () = self.leash.abort.cancelled() => return Ok(None),
                () = self.leash.stop.cancelled() => return Ok(None),
                () = self.leash.refresh.notified() => {
                    self.book.catch_up().await?;
                    if let Some(reason) = &self.book.state().cancel {
                        cancel.cancel(reason);
                    }
                }
                done = &mut work => return Ok(Some(done)),
            }
        }
    }
}
