//! Workers: they claim tasks, keep their leases alive, drive them, and settle them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use super::book::Book;
use super::driver::{Driven, Driver, Leash};
use super::node::{Active, Parts};
use crate::cancel::CancelToken;
use crate::failure::{Failure, FailureCode};
use crate::queue::{Claim, QueueError, Settlement};

/// How long a worker leaves a queue alone that failed.
const PAUSE: Duration = Duration::from_secs(1);

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
        };
        self.active.enter(task.clone(), Arc::clone(&leash.refresh));
        let mut driving = JoinSet::new();
        driving.spawn(drive(Arc::clone(&self.parts), claim.clone(), leash.clone()));
        let settlement = tokio::select! {
            driven = driving.join_next() => match driven {
                Some(Ok(driven)) => settlement(driven),
                Some(Err(error)) => Some(again(Failure::of(FailureCode::Internal, &error))),
                None => None,
            },
            () = self.keep(&claim) => {
                leash.abort.cancel("the lease was lost");
                while driving.join_next().await.is_some() {}
                None
            }
        };
        self.active.leave(&task);
        let Some(settlement) = settlement else { return };
        match self.parts.queue.settle(claim.token, settlement).await {
            Ok(()) | Err(QueueError::LeaseLost { .. }) => {}
            Err(error) => {
                tracing::error!(target: "deploy", %task, %error, "a task could not be settled");
            }
        }
    }

    /// Renews a lease until it is lost.
    async fn keep(&self, claim: &Claim) {
        let lease = self.parts.config.lease;
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(lease / 3).await;
            match self.parts.queue.renew(claim.token.clone(), lease).await {
                Ok(()) => renewed = tokio::time::Instant::now(),
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

/// Drives a claimed task as far as it goes now.
async fn drive(parts: Arc<Parts>, claim: Claim, leash: Leash) -> Driven {
    let observers = Arc::new(parts.observers.clone());
    let (journal, clock) = (Arc::clone(&parts.journal), Arc::clone(&parts.clock));
    let driven = match Book::open(journal, clock, observers, &claim.task.id).await {
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

fn settlement(driven: Driven) -> Option<Settlement> {
    match driven {
        Driven::Finished => Some(Settlement::Done),
        Driven::Until(until) => Some(Settlement::Defer { until }),
        Driven::Again(failure) => {
            let after = match failure.retry {
                crate::Retry::After(pause) => Some(pause),
                _ => None,
            };
            Some(Settlement::Retry { after, failure })
        }
        Driven::HandedBack => {
            let failure = Failure::new(FailureCode::Internal, "handed back by a node");
            Some(Settlement::Retry { after: Some(Duration::ZERO), failure })
        }
    }
}

fn again(failure: Failure) -> Settlement {
    Settlement::Retry { after: None, failure }
}
