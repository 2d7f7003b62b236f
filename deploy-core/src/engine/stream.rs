//! Following the events of one task.

use std::collections::VecDeque;
use std::sync::Arc;

use super::error::NodeError;
use crate::event::{Event, Fact, Sequence};
use crate::journal::Journal;
use crate::model::TaskId;

/// How many events are read at once.
const PAGE: usize = 256;

/// The events of one task, those that are recorded and those to come, up to its end.
///
/// It reads the journal and holds no more than a page of it, so a slow reader costs nobody anything
/// and misses nothing.
#[derive(Debug)]
pub struct EventStream {
    journal: Arc<dyn Journal>,
    task: TaskId,
    last: Sequence,
    page: VecDeque<Event>,
    ended: bool,
}

impl EventStream {
    pub(super) fn new(journal: Arc<dyn Journal>, task: TaskId, after: Sequence) -> Self {
        Self { journal, task, last: after, page: VecDeque::new(), ended: false }
    }

    /// The next event; `None` after the task's last one. Cancel safety: safe.
    ///
    /// # Errors
    ///
    /// [`NodeError::Storage`] when the journal cannot be read. The stream ends then.
    pub async fn next(&mut self) -> Option<Result<Event, NodeError>> {
        if self.ended {
            return None;
        }
        if self.page.is_empty() {
            match self.journal.follow(self.task.clone(), self.last, PAGE).await {
                Ok(page) => self.page = page.into(),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
            }
        }
        let event = self.page.pop_front()?;
        self.last = event.sequence;
        self.ended = matches!(event.fact, Fact::Finished { .. });
        Some(Ok(event))
    }
}
