//! How long a journal keeps tasks that have come to their end.

use std::time::Duration;

use crate::journal::{Journal, JournalError, JournalQuery};
use crate::model::{TaskId, Timestamp};

/// How many summaries are asked for at once.
const PAGE: usize = 1000;

/// How long a journal keeps tasks that have come to their end, with all their events. A task that is
/// not finished is always kept.
///
/// A task that was forgotten is not known any more: the same id can be submitted again, and is then
/// done again. So keep them for longer than anybody repeats a request.
///
/// ```
/// use deploy_core::Retention;
/// use std::time::Duration;
///
/// let month = Duration::from_secs(30 * 24 * 60 * 60);
/// let retention = Retention::new().with_max_age(month).with_max_tasks(10_000);
/// # assert_eq!(retention.max_tasks, Some(10_000));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// How long after its end a task is kept; for ever when it is not set.
    pub max_age: Option<Duration>,
    /// How many finished tasks are kept, those accepted last; all when it is not set.
    pub max_tasks: Option<usize>,
}

impl Retention {
    /// Keeps everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets a task so long after its end.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Keeps so many finished tasks.
    #[must_use]
    pub fn with_max_tasks(mut self, tasks: usize) -> Self {
        self.max_tasks = Some(tasks);
        self
    }

    /// Whether everything is kept.
    #[must_use]
    pub fn keeps_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Removes from a journal what need not be kept any longer, and says how many tasks that were.
    ///
    /// Cancel safety: when the future is dropped some are removed; doing it again goes on.
    ///
    /// # Errors
    ///
    /// What [`Journal::list`] and [`Journal::remove`] say.
    pub async fn apply(
        &self,
        journal: &dyn Journal,
        now: Timestamp,
    ) -> Result<usize, JournalError> {
        if self.keeps_everything() {
            return Ok(0);
        }
        // Removed only once all are found: the list goes on after a task that has to be there.
        let doomed = self.doomed(journal, now).await?;
        let mut removed = 0;
        for task in doomed {
            removed += usize::from(journal.remove(task).await?);
        }
        Ok(removed)
    }

    async fn doomed(
        &self,
        journal: &dyn Journal,
        now: Timestamp,
    ) -> Result<Vec<TaskId>, JournalError> {
        let mut query = JournalQuery::new().with_finished(true).with_limit(PAGE);
        let (mut doomed, mut kept) = (Vec::new(), 0);
        loop {
            let page = journal.list(query.clone()).await?;
            let Some(last) = page.last() else { return Ok(doomed) };
            query = query.with_after(last.task.clone());
            for summary in page {
                let age = now.since(summary.updated_at);
                let old = self.max_age.is_some_and(|max| age > max);
                if old || self.max_tasks.is_some_and(|max| kept >= max) {
                    doomed.push(summary.task);
                } else {
                    kept += 1;
                }
            }
        }
    }
}
