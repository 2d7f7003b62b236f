//! The append-only record of each task's facts.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use async_trait::async_trait;

use crate::event::{Event, Sequence};
use crate::failure::Retry;
use crate::model::{BusinessName, Outcome, ProjectName, TaskId, Timestamp, WorkOrder};
use crate::state::Phase;
use crate::summary::TaskSummary;

/// Records the facts of each task, in order, for good.
///
/// A journal holds one numbered list of events for each task: a deployment on the control node, a
/// release task on an agent.
///
/// # Contract
///
/// 1. When `append` has answered, all its events are kept, or none of them: on a durable journal
///    they survive kill -9 and power loss from then on.
/// 2. The events of an append belong to one task and are numbered on from its last event. When they
///    are not, [`JournalError::Conflict`] says what the last number is, and nothing is kept. What there
///    is up to that number can be read by then: whoever loses reads on and repeats.
/// 3. `read` gives the events after a number, in order, without gaps, never more than `limit`.
/// 4. `follow` is `read` that waits until there is at least one event to give. A task that is not
///    there yet, or not any more, is waited for.
/// 5. `list` gives the tasks that match, those accepted last first; of equals the one with the larger
///    id comes first; so many at most as the query's `limit` says, 100 when it is not set. A page after
///    a task that is not there is empty. A task whose first event is not one that accepts a task is not
///    listed.
/// 6. `remove` forgets a task and all its events.
///
/// # Cancellation
///
/// Dropping the future of `append` leaves it open whether the events are kept; `read` tells.
/// Dropping any other changes nothing.
///
/// # Concurrency
///
/// All methods may be called at once from any number of tasks. Two appends with the same number:
/// one is kept, the other is a conflict. Nothing here assumes that all callers are in one process.
///
/// # Implementing
///
/// deploy-testkit has one test for each clause: `deploy_testkit::journal_conformance!`, and
/// `durable_journal_conformance!` for what a durable journal keeps. `MemoryJournal` of deploy-queue is
/// the smallest one that passes.
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` is not a journal",
        note = "use `MemoryJournal` or `DiskStore` of deploy-queue, or implement `deploy_core::Journal`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Records events of one task, all of them or none. No events are recorded without an error.
    ///
    /// # Errors
    ///
    /// `Conflict`, `Unreadable`, `Storage`, `Closed`.
    async fn append(&self, events: Vec<Event>) -> Result<(), JournalError>;

    /// The events of a task after `after`, at most `limit`; none for an unknown task.
    ///
    /// # Errors
    ///
    /// `Unreadable`, `Storage`, `Closed`.
    async fn read(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError>;

    /// The events of a task after `after`, at most `limit`, as soon as there is one.
    ///
    /// # Errors
    ///
    /// `Unreadable`, `Storage`, `Closed`.
    async fn follow(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError>;

    /// The tasks that match a query, those accepted last first.
    ///
    /// # Errors
    ///
    /// `Storage`, `Closed`.
    async fn list(&self, query: JournalQuery) -> Result<Vec<TaskSummary>, JournalError>;

    /// Forgets a task. Says whether it was there.
    ///
    /// # Errors
    ///
    /// `Storage`, `Closed`.
    async fn remove(&self, task: TaskId) -> Result<bool, JournalError>;
}

crate::wrappers::forward_async! {
    Journal {
        async fn append(&self, events: Vec<Event>) -> Result<(), JournalError>;
        async fn read(&self, task: TaskId, after: Sequence, limit: usize) -> Result<Vec<Event>, JournalError>;
        async fn follow(&self, task: TaskId, after: Sequence, limit: usize) -> Result<Vec<Event>, JournalError>;
        async fn list(&self, query: JournalQuery) -> Result<Vec<TaskSummary>, JournalError>;
        async fn remove(&self, task: TaskId) -> Result<bool, JournalError>;
    }
}

/// Which tasks of a journal are wanted. What is not set matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalQuery {
    /// Of this business.
    pub business: Option<BusinessName>,
    /// Of this project.
    pub project: Option<ProjectName>,
    /// Of this work order.
    pub work_order: Option<WorkOrder>,
    /// Finished, or not.
    pub finished: Option<bool>,
    /// As far as this.
    pub phase: Option<Phase>,
    /// Finished in this way.
    pub outcome: Option<Outcome>,
    /// Accepted at this time or later.
    pub since: Option<Timestamp>,
    /// Accepted before this time.
    pub until: Option<Timestamp>,
    /// Those that come after this task in the list, to go on where the last page ended.
    pub after: Option<TaskId>,
    /// So many at most; 100 when it is not set.
    pub limit: Option<usize>,
}

impl JournalQuery {
    /// How many tasks a query gives when it does not say.
    pub const LIMIT: usize = 100;

    /// Asks for all tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for those that are, or are not, finished.
    #[must_use]
    pub fn with_finished(mut self, finished: bool) -> Self {
        self.finished = Some(finished);
        self
    }

    /// Asks for those that have come as far as this: those that are held, say.
    #[must_use]
    pub fn with_phase(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
        self
    }

    /// Asks for those that finished in this way.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Asks for those accepted from a time on, and before another one.
    #[must_use]
    pub fn with_accepted(mut self, times: Range<Timestamp>) -> Self {
        (self.since, self.until) = (Some(times.start), Some(times.end));
        self
    }

    /// Asks for those of a project.
    #[must_use]
    pub fn with_project(mut self, business: BusinessName, project: ProjectName) -> Self {
        self.business = Some(business);
        self.project = Some(project);
        self
    }

    /// Asks for those of a work order.
    #[must_use]
    pub fn with_work_order(mut self, work_order: WorkOrder) -> Self {
        self.work_order = Some(work_order);
        self
    }

    /// Asks for those that come after a task in the list.
    #[must_use]
    pub fn with_after(mut self, after: TaskId) -> Self {
        self.after = Some(after);
        self
    }

    /// Asks for so many at most.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Says whether a task matches, its place in the list (`after`, `limit`) aside.
    #[must_use]
    pub fn matches(&self, summary: &TaskSummary) -> bool {
        let wanted = |wanted: Option<bool>| wanted.unwrap_or(true);
        wanted(self.business.as_ref().map(|b| *b == summary.business))
            && wanted(self.project.as_ref().map(|p| *p == summary.project))
            && wanted(self.work_order.as_ref().map(|w| Some(w) == summary.work_order.as_ref()))
            && wanted(self.finished.map(|f| f == summary.outcome.is_some()))
            && wanted(self.phase.map(|p| p == summary.phase))
            && wanted(self.outcome.map(|o| Some(o) == summary.outcome))
            && wanted(self.since.map(|s| summary.accepted_at >= s))
            && wanted(self.until.map(|u| summary.accepted_at < u))
    }
}

/// Why a journal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The events are not numbered on from the task's last one.
    #[error(
        "the journal of task {task} ends at {last}, and event {found} does not go on from there"
    )]
    Conflict {
        /// The task.
        task: TaskId,
        /// The number of its last event.
        last: Sequence,
        /// The number of the first of the events that does not go on from there.
        found: Sequence,
    },
    /// An event says what cannot be read from the journal. One that is appended holds a value that
    /// a builder took and that is not allowed, and nothing is kept; one that is read was recorded
    /// by a newer version.
    #[error("event {sequence} of task {task} says what cannot be read from a journal")]
    Unreadable {
        /// The task.
        task: TaskId,
        /// The number of the event.
        sequence: Sequence,
        /// What it is that is not allowed, or not known.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store behind the journal could not be read or written. Whether the change was made is
    /// open.
    #[error("the journal's store failed")]
    Storage {
        /// What failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

impl JournalError {
    /// Whether the same call is worth making again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Never
    }
}
