//! What every piece of work is told: when to stop, which attempt it is, and where to report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::CancelToken;
use crate::event::{Event, Fact, Sequence};
use crate::model::{HostResult, TaskId, Timestamp};
use crate::observer::{NullObserver, Observer};

/// What every piece of work is told.
///
/// The first argument of every trait method that does long work. New fields never break an
/// implementor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Context {
    /// The task that the work belongs to.
    pub task: TaskId,
    /// Stops the work. Whoever works looks at it wherever it waits.
    pub cancel: CancelToken,
    /// When the work must be over, on this machine's monotonic clock.
    pub deadline: Option<Instant>,
    /// Which attempt at the task it is; the first is 1.
    pub attempt: u32,
    /// Where facts are reported while the work goes on.
    pub observer: Arc<dyn Observer>,
    /// How hosts of the task ended in an earlier attempt. An executor that keeps no record of its
    /// own repeats these results and leaves those hosts alone.
    pub known: Vec<HostResult>,
}

impl Context {
    /// Makes the context of a first attempt, without deadline or observer.
    #[must_use]
    pub fn new(task: TaskId) -> Self {
        Self {
            task,
            cancel: CancelToken::new(),
            deadline: None,
            attempt: 1,
            observer: Arc::new(NullObserver),
            known: Vec::new(),
        }
    }

    /// Sets what cancels the work.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Sets when the work must be over; an earlier deadline that is already set stays.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self
    }

    /// Sets which attempt it is.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets where facts are reported.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Sets how hosts of the task ended in an earlier attempt.
    #[must_use]
    pub fn with_known(mut self, known: Vec<HostResult>) -> Self {
        self.known = known;
        self
    }

    /// Reports a fact, stamped with the present time. It has no sequence number: the engine gives it
    /// one when it records it.
    pub fn report(&self, fact: Fact) {
        self.observer.observe(&Event {
            task: self.task.clone(),
            sequence: Sequence::START,
            at: Timestamp::now(),
            fact,
        });
    }

    /// How long is left until the deadline: `None` without one, zero when it has passed.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits until the deadline has passed; for ever without one. Cancel safety: safe.
    pub async fn deadline_passed(&self) {
        match self.deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    }
}
