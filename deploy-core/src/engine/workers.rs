//! Workers: they claim tasks, keep their leases alive, drive them, and settle them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::task::{JoinError, JoinSet};

use super::active::Active;
use super::driver::{Driven, Driver, Leash};
use super::parts::Parts;
use crate::cancel::CancelToken;
use crate::event::Sequence;
use crate::failure::{Failure, FailureCode};
use crate::journal::JournalError;
use crate::model::TaskId;
use crate::queue::{Claim, QueueError, Settlement};
use crate::task::TaskRecord;

/// How long a worker leaves a queue alone that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// How often finished tasks are looked through for those that need not be kept any longer.
const FORGET_AGAIN: Duration = Duration::from_secs(60 * 60);

/// How often a task may be attempted when a part of the host application panics each time.
const PANICS: u32 = 3;

/// The workers of a node. Dropping them lets go of everything at once; nothing is lost by it, since
/// what was not settled is claimed again.
#[derive(Debug)]
pub(super) struct Workers {
    running: Mutex<JoinSet<()>>,
    abort: CancelToken,
}

impl Workers {
    /// Starts as many workers as are configured.
    pub(super) fn start(parts: &Arc<Parts>, active: &Active, stop: &CancelToken) -> Self {
        let abort = CancelToken::new();
        let mut running = JoinSet::new();
        for number in 0..parts.config.workers {
            let worker = Worker {
                name: format!("{}-{number}", parts.config.name),
                parts: Arc::clone(parts),
                active: active.clone(),
                stop: stop.clone(),
                abort: abort.clone(),
            };
            running.spawn(worker.run());
        }
        if !parts.config.retention.keeps_everything() {
            running.spawn(forget(Arc::clone(parts), stop.clone()));
        }
        Self { running: Mutex::new(running), abort }
    }

    /// Waits until every worker has ended; after `drain` they let go of what they are at.
    pub(super) async fn finish(&self, drain: Duration) {
        let mut running = self.running.lock().await;
        let ended = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, ended).await.is_err() {
            self.abort.cancel("the node shuts down");
            while running.join_next().await.is_some() {}
        }
    }
}

/// One worker.
#[derive(Debug)]
struct Worker {
    name: String,
    parts: Arc<Parts>,
    active: Active,
    stop: CancelToken,
    abort: CancelToken,
}

impl Worker {
    async fn run(self) {
        loop {
            let kinds = vec![self.parts.role.kind().to_owned()];
            let lease = self.parts.config.lease;
            let claimed = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                claimed = self.parts.queue.claim(self.name.clone(), kinds, lease) => claimed,
            };
            match claimed {
                Ok(claim) => self.work(claim).await,
                Err(QueueError::Closed) => return,
                Err(error) => {
                    tracing::error!(target: "deploy", %error, "no task could be claimed");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Drives one task and settles it.
    async fn work(&self, claim: Claim) {
        let task = claim.task.id.clone();
        let leash = Leash {
            stop: self.stop.clone(),
            abort: self.abort.child(),
            refresh: Arc::new(Notify::new()),
            seen: Arc::default(),
        };
        self.active.enter(&claim.task, Arc::clone(&leash.refresh));
        let mut driving = JoinSet::new();
        driving.spawn(drive(Arc::clone(&self.parts), claim.clone(), leash.clone()));
        let settlement = tokio::select! {
            // In a fixed order, so that a run can be repeated. Either of the two is the end.
            biased;
            driven = driving.join_next() => match driven {
                Some(Ok(driven)) => Some(settlement(driven)),
                Some(Err(error)) => Some(self.panicked(&claim, &error).await),
                None => None,
            },
            () = self.keep(&claim, &leash.refresh) => {
                leash.abort.cancel("the lease was lost");
                while driving.join_next().await.is_some() {}
                None
            }
        };
        self.parts.room.leave_line(&task);
        if matches!(settlement, None | Some(Settlement::Done)) {
            self.parts.room.keep(&task, |_| false);
        }
        if let Some(settlement) = settlement {
            self.settle(claim, settlement, &leash).await;
        }
        self.active.leave(&task);
    }

    /// Settles a task. What somebody recorded for it while it was put off is not slept through, in
    /// whatever process: whoever records something makes the task due behind that, and so it is either
    /// seen here, or due there.
    async fn settle(&self, claim: Claim, settlement: Settlement, leash: &Leash) {
        let put_off = matches!(settlement, Settlement::Defer { .. });
        let TaskRecord { id: task, due, .. } = claim.task;
        let mut settled = self.parts.queue.settle(claim.token, settlement).await;
        if put_off && settled.is_ok() && self.has_moved_on(&task, leash).await {
            let due = due.unwrap_or_else(|| self.parts.clock.now());
            settled = self.parts.queue.reschedule(task.clone(), due).await.map(|_| ());
        }
        match settled {
            Ok(()) | Err(QueueError::LeaseLost { .. }) => {}
            Err(error) => {
                tracing::error!(target: "deploy", %task, %error, "a task could not be settled");
            }
        }
    }

    /// Says whether a task's journal goes on behind what its driver knew of.
    async fn has_moved_on(&self, task: &TaskId, leash: &Leash) -> bool {
        let seen = Sequence::new(leash.seen.load(Ordering::Relaxed));
        match self.parts.journal.read(task.clone(), seen, 1).await {
            Ok(events) => !events.is_empty(),
            Err(error) => {
                tracing::error!(target: "deploy", %task, %error, "the journal failed");
                false
            }
        }
    }

    /// Records that a part of the host application panicked while the task was driven. When that
    /// has happened often enough, the task comes to its end.
    async fn panicked(&self, claim: &Claim, error: &JoinError) -> Settlement {
        let failure = Failure::of(FailureCode::Internal, error);
        let parts = Arc::clone(&self.parts);
        let book = parts.book(&claim.task.id).await;
        let recorded = match book {
            Ok(Some(book)) => {
                let driver = Driver::new(parts, book, Leash::default(), claim.attempt);
                driver.panicked(failure.clone(), claim.attempt >= PANICS).await
            }
            Ok(None) => Ok(Driven::Finished),
            Err(error) => Err(error),
        };
        match recorded {
            Ok(driven) => settlement(driven),
            Err(_) => Settlement::Retry { after: None, failure },
        }
    }

    /// Renews a lease until it is lost.
    async fn keep(&self, claim: &Claim, refresh: &Notify) {
        let lease = self.parts.config.lease;
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(lease / 3).await;
            match self.parts.queue.renew(claim.token.clone(), lease).await {
                Ok(()) => {
                    renewed = tokio::time::Instant::now();
                    // Another process may have recorded a wish to cancel.
                    refresh.notify_one();
                }
                Err(QueueError::LeaseLost { .. }) => return,
                Err(error) => {
                    let task = &claim.task.id;
                    tracing::warn!(target: "deploy", %task, %error, "a lease was not renewed");
                    if renewed.elapsed() >= lease {
                        return;
                    }
                }
            }
        }
    }
}

/// Forgets, now and then, the finished tasks that need not be kept any longer.
async fn forget(parts: Arc<Parts>, stop: CancelToken) {
    loop {
        let now = parts.clock.now();
        match parts.config.retention.apply(&*parts.journal, now).await {
            Ok(0) => {}
            Ok(tasks) => tracing::info!(target: "deploy", tasks, "forgot finished tasks"),
            Err(JournalError::Closed) => return,
            Err(error) => {
                tracing::error!(target: "deploy", %error, "finished tasks could not be forgotten");
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = parts.clock.sleep_until(now.plus(FORGET_AGAIN)) => {}
        }
    }
}

/// Drives a claimed task as far as it goes now.
async fn drive(parts: Arc<Parts>, claim: Claim, leash: Leash) -> Driven {
    let driven = match parts.book(&claim.task.id).await {
        // A task that the journal does not know was never accepted.
        Ok(None) => return Driven::Finished,
        Ok(Some(book)) => Driver::new(parts, book, leash, claim.attempt).drive().await,
        Err(error) => Err(error),
    };
    driven.unwrap_or_else(|error| {
        tracing::error!(target: "deploy", task = %claim.task.id, %error, "the journal failed");
        Driven::Again(Failure::of(FailureCode::Storage, &error))
    })
}

fn settlement(driven: Driven) -> Settlement {
    match driven {
        Driven::Finished => Settlement::Done,
        Driven::Until(until) => Settlement::Defer { until },
        Driven::Again(failure) => {
            let after = match failure.retry {
                crate::Retry::After(pause) => Some(pause),
                _ => None,
            };
            Settlement::Retry { after, failure }
        }
        Driven::HandedBack(accepted_at) => Settlement::Defer { until: accepted_at },
    }
}
