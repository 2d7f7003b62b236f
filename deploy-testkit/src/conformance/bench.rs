//! What a case works with: the backend, its clock, and the questions that cases ask.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::Timestamp;
use deploy_core::{
    Claim, Clock, Failure, FailureCode, Journal, Pushed, Queue, QueueAdmin, Settlement, TaskRecord,
};

use crate::samples;
use crate::virtual_clock::VirtualClock;

/// How long a lease of the cases lasts.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// How long a case may take. It is over in milliseconds, so only one that hangs gets there.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs a case on a runtime of its own. A case that hangs fails.
///
/// # Panics
///
/// When the case does, when it hangs, or when there is no thread for it.
pub fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime needs two threads");
    let ended = runtime.block_on(async { tokio::time::timeout(LONGEST, case).await });
    assert!(ended.is_ok(), "the case hangs");
}

/// A queue and its clock.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueBench {
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// Its clock.
    pub clock: VirtualClock,
}

impl QueueBench {
    /// Sets up a queue that takes the time from a clock.
    #[must_use]
    pub fn new(queue: impl Queue, clock: VirtualClock) -> Self {
        let queue = Arc::new(queue);
        Self { queue, clock }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The moment so many seconds from now.
    pub(super) fn later(&self, seconds: u64) -> Timestamp {
        self.now().plus(Duration::from_secs(seconds))
    }

    pub(super) async fn push(&self, task: &TaskRecord) -> Pushed {
        self.queue
            .push(task.clone())
            .await
            .expect("the queue takes a new task")
    }

    /// Claims, and waits for it.
    pub(super) async fn claim(&self) -> Claim {
        let claim = self
            .queue
            .claim("worker".to_owned(), Vec::new(), LEASE)
            .await;
        claim.expect("a claim ends with a task")
    }

    /// Begins a claim on a task of the runtime.
    pub(super) fn begin_claim(&self) -> tokio::task::JoinHandle<Claim> {
        let bench = self.clone();
        tokio::spawn(async move { bench.claim().await })
    }

    /// Claims what can be claimed at this moment, if anything.
    ///
    /// Nobody can see whether a claim would wait for ever. So a task comes after all others in the
    /// order of claims: when the claim gets that one, there was no other.
    pub(super) async fn claim_now(&self) -> Option<Claim> {
        let last =
            TaskRecord::new(samples::task_id("the-last-one"), "last", *b"").with_priority(i32::MIN);
        self.push(&last).await;
        let first = self.claim().await;
        let (last, claim) = if first.task.id == last.id {
            (first, None)
        } else {
            let kinds = vec![last.kind];
            let last = self.queue.claim("worker".to_owned(), kinds, LEASE).await;
            (last.expect("the last task can be claimed"), Some(first))
        };
        self.settle(&last, Settlement::Done).await;
        claim
    }

    /// The id of what can be claimed at this moment; it stays claimed.
    pub(super) async fn next(&self) -> Option<String> {
        Some(self.claim_now().await?.task.id.as_str().to_owned())
    }

    pub(super) async fn settle(&self, claim: &Claim, settlement: Settlement) {
        let settled = self.queue.settle(claim.token.clone(), settlement).await;
        settled.expect("a lease that has not ended can be settled");
    }
}

/// A task due at once.
pub(super) fn task(id: &str) -> TaskRecord {
    TaskRecord::new(samples::task_id(id), "work", id.as_bytes().to_vec())
}

/// A failure.
pub(super) fn failure(message: &str) -> Failure {
    Failure::new(FailureCode::HostFailed, message)
}

/// A queue, its administration and its clock.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdminBench {
    /// The queue and its clock.
    pub queue: QueueBench,
    /// The same queue's administration.
    pub admin: Arc<dyn QueueAdmin>,
}

impl AdminBench {
    /// Sets up a queue that takes the time from a clock.
    #[must_use]
    pub fn new(queue: impl Queue + QueueAdmin, clock: VirtualClock) -> Self {
        let queue = Arc::new(queue);
        let admin = Arc::clone(&queue) as Arc<dyn QueueAdmin>;
        let queue = QueueBench { queue, clock };
        Self { queue, admin }
    }
}

/// A journal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JournalBench {
    /// The journal.
    pub journal: Arc<dyn Journal>,
}

impl JournalBench {
    /// Sets up a journal.
    #[must_use]
    pub fn new(journal: impl Journal) -> Self {
        let journal = Arc::new(journal);
        Self { journal }
    }
}
