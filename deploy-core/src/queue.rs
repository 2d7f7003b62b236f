//! Durable work: tasks that are claimed by one worker at a time.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Retry};
use crate::model::{TaskId, Timestamp};
use crate::task::TaskRecord;

/// Holds tasks until a worker has done them.
///
/// # Contract
///
/// 1. When `push` has answered, the task is kept: on a durable queue it survives kill -9 and power
///    loss from then on.
/// 2. A task id that is in the queue is pushed once: the same task again is [`Pushed::Known`], the
///    same id with another content [`QueueError::Conflict`].
/// 3. A task is claimed by one worker at a time. A claim is a lease: it ends by `settle`, or when it
///    is not renewed in time; then the task can be claimed again, with the next attempt number.
/// 4. A task is not claimed before it is due, nor while another of its exclusive key is claimed.
/// 5. Of the tasks that can be claimed, the one with the highest priority comes first, then the one
///    that has been due the longest.
/// 6. `claim` waits, without polling, until there is something to claim.
/// 7. `renew` and `settle` of a lease that has ended change nothing: [`QueueError::LeaseLost`].
/// 8. [`Settlement::Done`] removes the task, [`Settlement::Dead`] sets it aside with its failure. A
///    queue does neither by itself, however often a task was attempted: the worker that has it sees the
///    attempt, and says when that is enough. Otherwise a deployment could vanish with nobody to record
///    its end.
/// 9. Attempts count claims. [`Settlement::Defer`] takes its attempt back. A queue may count the
///    attempts of a process that was killed right after its claims once less.
/// 10. A queue holds a limited number of tasks, the dead ones included, of a limited size. A new task
///     beyond a limit is [`QueueError::Full`] or [`QueueError::TooLarge`], and changes nothing.
///
/// # Cancellation
///
/// Dropping the future of `claim` claims nothing, or gives the task back at once. Dropping any other
/// leaves it open whether the change was made; doing it again is safe.
///
/// # Concurrency
///
/// All methods may be called at once from any number of tasks. Nothing here assumes that all callers
/// are in one process.
///
/// # Implementing
///
/// deploy-testkit has one test for each clause: `deploy_testkit::queue_conformance!`,
/// `queue_limits_conformance!` for clause 10, and `durable_queue_conformance!` for what a durable queue
/// keeps. `MemoryQueue` of deploy-queue is the smallest one that passes.
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` is not a queue",
        note = "use `MemoryQueue` or `DiskStore` of deploy-queue, or implement `deploy_core::Queue`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Queue: fmt::Debug + Send + Sync + 'static {
    /// Adds a task.
    ///
    /// # Behavior
    ///
    /// Doing it again with the same task changes nothing, wherever that is by then: waiting, claimed or
    /// dead. One that was done is forgotten, and is taken as new.
    ///
    /// # Errors
    ///
    /// `Conflict`, `Full`, `TooLarge`, `Storage`, `Closed`.
    async fn push(&self, task: TaskRecord) -> Result<Pushed, QueueError>;

    /// Waits for a task of one of the `kinds` (of any kind when there are none) and leases it for
    /// `lease` to the worker of that name, which is for people: two workers may have the same.
    ///
    /// # Errors
    ///
    /// `Storage`, `Closed`.
    ///
    /// Cancel safety: a dropped call has claimed nothing, or gives the task back at once, and then it was
    /// no attempt.
    async fn claim(
        &self,
        worker: String,
        kinds: Vec<String>,
        lease: Duration,
    ) -> Result<Claim, QueueError>;

    /// Lets a lease last for `lease` from now: a worker's sign of life, sent several times a lease.
    ///
    /// # Errors
    ///
    /// `LeaseLost`, `Storage`, `Closed`.
    async fn renew(&self, token: LeaseToken, lease: Duration) -> Result<(), QueueError>;

    /// Ends a lease, and says what becomes of the task.
    ///
    /// # Errors
    ///
    /// `LeaseLost`, `Storage`, `Closed`.
    async fn settle(&self, token: LeaseToken, settlement: Settlement) -> Result<(), QueueError>;

    /// Makes a task that is not claimed due at `due`. Says whether there was one; a claimed, a dead
    /// or an unknown task is left as it is.
    ///
    /// # Errors
    ///
    /// `Storage`, `Closed`.
    async fn reschedule(&self, id: TaskId, due: Timestamp) -> Result<bool, QueueError>;
}

crate::wrappers::forward_async! {
    Queue {
        async fn push(&self, task: TaskRecord) -> Result<Pushed, QueueError>;
        async fn claim(&self, worker: String, kinds: Vec<String>, lease: Duration) -> Result<Claim, QueueError>;
        async fn renew(&self, token: LeaseToken, lease: Duration) -> Result<(), QueueError>;
        async fn settle(&self, token: LeaseToken, settlement: Settlement) -> Result<(), QueueError>;
        async fn reschedule(&self, id: TaskId, due: Timestamp) -> Result<bool, QueueError>;
    }
}

/// Looks into a queue, and puts right what went wrong there: for operators and their tools.
///
/// # Contract
///
/// 1. `find` says where a task is; one that was done or withdrawn is nowhere.
/// 2. `withdraw` removes a task that is waiting or dead, and its id is free again. A claimed one stays.
/// 3. `dead_letters` lists the dead tasks in the order of their ids, page by page; the id that a page
///    begins after need not be there. Each is told with its attempts, why and when it was set aside.
/// 4. `replay` makes a dead task due at once, with its attempts counted from the start; any other stays
///    as it is.
/// 5. `statistics` count each task once.
///
/// # Cancellation
///
/// Dropping the future of `withdraw` or `replay` leaves it open whether the change was made; doing it
/// again is safe. Dropping any other changes nothing.
///
/// # Concurrency
///
/// All methods may be called at once from any number of tasks, beside the queue's workers. A task that
/// goes while the dead ones are listed may be left out.
///
/// # Implementing
///
/// deploy-testkit has one test for each clause: `deploy_testkit::queue_admin_conformance!`. Implement
/// it on your [`Queue`]; `MemoryQueue` of deploy-queue is the smallest one that passes.
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` has no administration of a queue",
        note = "use `MemoryQueue` or `DiskStore` of deploy-queue, or implement \
                `deploy_core::QueueAdmin`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait QueueAdmin: fmt::Debug + Send + Sync + 'static {
    /// The place of a task, when the queue has it.
    ///
    /// # Errors
    ///
    /// `Storage`, `Closed`.
    async fn find(&self, id: TaskId) -> Result<Option<TaskPlace>, QueueError>;

    /// Removes a task that is not claimed. Says whether there was one.
    ///
    /// A deployment is cancelled at its node, and not here: the node would queue it again when it
    /// starts the next time.
    ///
    /// # Errors
    ///
    /// `Storage`, `Closed`.
    async fn withdraw(&self, id: TaskId) -> Result<bool, QueueError>;

    /// The dead tasks in the order of their ids, at most `limit`, after the id `after`.
    ///
    /// # Errors
    ///
    /// `Storage`, `Closed`.
    async fn dead_letters(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError>;

    /// Makes a dead task due at once, with its attempts counted from the start. Says whether there
    /// was one.
    ///
    /// # Errors
    ///
    /// `Storage`, `Closed`.
    async fn replay(&self, id: TaskId) -> Result<bool, QueueError>;

    /// How many tasks are where.
    ///
    /// # Errors
    ///
    /// `Storage`, `Closed`.
    async fn statistics(&self) -> Result<QueueStatistics, QueueError>;
}

crate::wrappers::forward_async! {
    QueueAdmin {
        async fn find(&self, id: TaskId) -> Result<Option<TaskPlace>, QueueError>;
        async fn withdraw(&self, id: TaskId) -> Result<bool, QueueError>;
        async fn dead_letters(&self, after: Option<TaskId>, limit: usize) -> Result<Vec<DeadLetter>, QueueError>;
        async fn replay(&self, id: TaskId) -> Result<bool, QueueError>;
        async fn statistics(&self) -> Result<QueueStatistics, QueueError>;
    }
}

/// What `push` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The task is new, and kept.
    New,
    /// The same task was there already.
    Known,
}

/// The right to work on a task: which one, who, and the number of the claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeaseToken {
    /// The task.
    pub task: TaskId,
    /// The worker that claimed it.
    pub worker: String,
    /// The number of the claim: each claim of a queue has its own.
    pub number: u64,
}

impl LeaseToken {
    /// Makes a token, for a queue that gives out leases.
    #[must_use]
    pub fn new(task: TaskId, worker: String, number: u64) -> Self {
        Self { task, worker, number }
    }
}

/// A claimed task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// What renews and settles the claim.
    pub token: LeaseToken,
    /// The task.
    pub task: TaskRecord,
    /// Which attempt it is; the first is 1.
    pub attempt: u32,
}

impl Claim {
    /// Makes a claim, for a queue that gives out leases.
    #[must_use]
    pub fn new(token: LeaseToken, task: TaskRecord, attempt: u32) -> Self {
        Self { token, task, attempt }
    }
}

/// What becomes of a claimed task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Settlement {
    /// It is done.
    Done,
    /// It failed and is due again after a pause; the queue's own back-off decides when there is none.
    Retry {
        /// The pause before it is due again.
        after: Option<Duration>,
        /// Why it failed.
        failure: Failure,
    },
    /// It is not to be done now; this was no attempt.
    Defer {
        /// When it is due again.
        until: Timestamp,
    },
    /// It cannot be done and is set aside.
    Dead {
        /// Why.
        failure: Failure,
    },
}

/// Where a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskPlace {
    /// It waits: for its time, for its key, or for a worker.
    Queued {
        /// When it is, or was, due.
        due: Timestamp,
        /// How often it was claimed.
        attempts: u32,
    },
    /// A worker has it.
    Claimed {
        /// The worker.
        worker: String,
        /// When the lease ends.
        until: Timestamp,
    },
    /// It is set aside.
    Dead,
}

/// A task that was set aside.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The task.
    pub task: TaskRecord,
    /// How often it was claimed.
    pub attempts: u32,
    /// Why it was set aside.
    pub failure: Failure,
    /// When.
    pub at: Timestamp,
}

impl DeadLetter {
    /// Makes a dead letter, for a queue that keeps them.
    #[must_use]
    pub fn new(task: TaskRecord, attempts: u32, failure: Failure, at: Timestamp) -> Self {
        Self { task, attempts, failure, at }
    }
}

/// How many tasks are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueueStatistics {
    /// Tasks that could be claimed now, or wait for their exclusive key only.
    pub ready: u64,
    /// Tasks that wait for their time.
    pub delayed: u64,
    /// Tasks that workers have.
    pub claimed: u64,
    /// Tasks that were set aside.
    pub dead: u64,
}

/// Why a queue did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The id is taken by a task with another content.
    #[error("the task id {id} is taken by a task with another content")]
    Conflict {
        /// The id.
        id: TaskId,
    },
    /// The lease has ended: it was settled, or it was not renewed in time.
    #[error("the lease on task {id} has ended")]
    LeaseLost {
        /// The task.
        id: TaskId,
    },
    /// The queue holds as many tasks as it may.
    #[error("the queue is full: it holds its limit of {limit} tasks")]
    Full {
        /// The limit.
        limit: u64,
    },
    /// The task is larger than it may be.
    #[error("the task has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The store behind the queue could not be read or written. Whether the change was made is open.
    #[error("the queue's store failed")]
    Storage {
        /// What failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The queue was closed.
    #[error("the queue is closed")]
    Closed,
}

impl QueueError {
    /// Whether the same call is worth making again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Conflict { .. }
            | Self::LeaseLost { .. }
            | Self::TooLarge { .. }
            | Self::Closed => Retry::Never,
            Self::Full { .. } => Retry::After(Duration::from_secs(1)),
            // After a failed write the store has to be opened anew.
            Self::Storage { .. } => Retry::Never,
        }
    }
}
