//! Carries out, for one task, what [`decide`] says.

mod dispatch;
mod prepare;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::book::Book;
use super::decide::{Next, decide};
use super::node::Parts;
use super::progress::Progress;
use crate::cancel::CancelToken;
use crate::context::Context;
use crate::event::Fact;
use crate::executor::ExecuteError;
use crate::failure::{Failure, FailureCode};
use crate::journal::JournalError;
use crate::model::{HostResult, HostStatus, Outcome, ReleaseReport, TaskId, Timestamp};
use crate::state::HostState;

/// What came of driving a task.
#[derive(Debug)]
pub(super) enum Driven {
    /// It has reached its terminal state.
    Finished,
    /// It goes on at a time.
    Until(Timestamp),
    /// It goes on in another attempt, because of a failure that may pass.
    Again(Failure),
    /// It is handed back, because the node shuts down or the lease was lost. It was accepted at this
    /// time, which gives it its place in line again: no later deployment of the project overtakes it.
    HandedBack(Timestamp),
}

/// When the driver of a task has to let go.
#[derive(Clone, Debug, Default)]
pub(super) struct Leash {
    /// Nothing new is started; what runs is waited for.
    pub(super) stop: CancelToken,
    /// What runs is let go as well.
    pub(super) abort: CancelToken,
    /// Somebody else has recorded something for the task.
    pub(super) refresh: Arc<Notify>,
}

/// The driver of one task.
#[derive(Debug)]
pub(super) struct Driver {
    parts: Arc<Parts>,
    book: Book,
    leash: Leash,
    attempt: u32,
    progress: Progress,
    running: JoinSet<Result<ReleaseReport, ExecuteError>>,
    parts_running: HashMap<tokio::task::Id, TaskId>,
    cancels: BTreeMap<TaskId, CancelToken>,
}

impl Driver {
    pub(super) fn new(parts: Arc<Parts>, book: Book, leash: Leash, attempt: u32) -> Self {
        Self {
            parts,
            book,
            leash,
            attempt,
            progress: Progress::default(),
            running: JoinSet::new(),
            parts_running: HashMap::new(),
            cancels: BTreeMap::new(),
        }
    }

    /// Drives the task until it is finished, has to wait, or has to be let go.
    pub(super) async fn drive(mut self) -> Result<Driven, JournalError> {
        if self.attempt > self.parts.config.max_attempts {
            return self.give_up().await;
        }
        loop {
            if self.leash.abort.is_cancelled() {
                return Ok(self.hand_back());
            }
            self.record_progress().await?;
            let running: BTreeSet<TaskId> = self.cancels.keys().cloned().collect();
            let next = decide(self.book.state(), self.parts.clock.now(), &running);
            let over = matches!(next, Next::Nothing | Next::Finish(_) | Next::Await { .. });
            if self.leash.stop.is_cancelled() && !over {
                if self.running.is_empty() {
                    return Ok(self.hand_back());
                }
                self.wait(false).await?;
                continue;
            }
            if let Some(driven) = self.carry_out(next).await? {
                return Ok(driven);
            }
        }
    }

    /// Lets go of the task as it is.
    fn hand_back(&self) -> Driven {
        Driven::HandedBack(self.book.state().accepted_at)
    }

    async fn carry_out(&mut self, next: Next) -> Result<Option<Driven>, JournalError> {
        match next {
            Next::Nothing => return Ok(Some(Driven::Finished)),
            Next::Resolve => return self.resolve().await,
            Next::Verify => return self.verify().await,
            Next::WaitUntil(until) => {
                let known = self.book.state().hold.as_ref().is_some_and(|hold| hold.until == until);
                if known || self.book.record_decision(vec![Fact::Waiting { until }]).await? {
                    return Ok(Some(Driven::Until(until)));
                }
            }
            Next::AskGates => return self.ask_gates().await,
            Next::StartBatch(batch) => {
                self.book.record_decision(vec![Fact::BatchStarted { batch }]).await?;
            }
            Next::FinishBatch(batch) => {
                self.book.record_decision(vec![Fact::BatchFinished { batch }]).await?;
            }
            Next::Dispatch { number, hosts } => self.dispatch(number, hosts).await?,
            Next::Resume { number } => self.resume(number),
            Next::Await { cancel } => self.wait(cancel).await?,
            Next::Finish(facts) => {
                self.book.record_decision(facts).await?;
            }
        }
        Ok(None)
    }
    /// Waits for the next thing to happen, and records it.
    async fn wait(&mut self, cancel: bool) -> Result<(), JournalError> {
        if cancel {
            let reason = self.book.state().cancel.clone().unwrap_or_default();
            for token in self.cancels.values().filter(|token| !token.is_cancelled()) {
                token.cancel(&reason);
            }
        }
        tokio::select! {
            () = self.progress.arrived() => {}
            () = self.leash.refresh.notified() => self.book.catch_up().await?,
            () = self.leash.abort.cancelled() => {}
            Some(ended) = self.running.join_next_with_id() => {
                let (id, result) = ended.unwrap_or_else(|error| (error.id(), Err(dispatch::panicked(error))));
                if let Some(part) = self.parts_running.remove(&id) {
                    self.record_part(&part, &result).await?;
                }
            }
        }
        Ok(())
    }

    /// Records that something panicked while the task was driven; comes to the end when it is the
    /// last time.
    pub(super) async fn panicked(
        mut self,
        failure: Failure,
        last: bool,
    ) -> Result<Driven, JournalError> {
        if last {
            return self.give_up().await;
        }
        self.book.record(vec![Fact::AttemptFailed { failure: failure.clone() }]).await?;
        Ok(Driven::Again(failure))
    }

    /// Ends a task that was attempted too often: what its hosts in flight did is not known.
    async fn give_up(&mut self) -> Result<Driven, JournalError> {
        let message = "given up: none of its attempts came to an end".to_owned();
        let failure = Failure::new(FailureCode::Internal, message);
        let mut facts = self.unknown(&failure);
        facts.extend(self.not_started());
        facts.push(Fact::Finished { outcome: Outcome::Failed, failure: Some(failure) });
        self.book.record(facts).await?;
        Ok(Driven::Finished)
    }

    fn unknown(&self, failure: &Failure) -> Vec<Fact> {
        let result = |host: &HostState| {
            let host = host.target.host.clone();
            let result = HostResult::failed(host, HostStatus::Unknown, failure.clone());
            Fact::HostFinished { result }
        };
        self.book.state().in_flight().map(result).collect()
    }

    fn not_started(&self) -> Vec<Fact> {
        let state = self.book.state();
        let open = state.hosts.iter().filter(|h| h.result.is_none() && h.dispatch.is_none());
        let result = |host: &HostState| {
            let host = host.target.host.clone();
            let failure =
                Failure::new(FailureCode::RolloutStopped, "the deployment ended before its turn");
            Fact::HostFinished { result: HostResult::failed(host, HostStatus::NotStarted, failure) }
        };
        open.map(result).collect()
    }

    fn context(&self, task: TaskId) -> Context {
        Context::new(task).with_cancel(CancelToken::new()).with_attempt(self.attempt)
    }
}
