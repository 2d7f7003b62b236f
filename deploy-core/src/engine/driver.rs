//! Carries out, for one task, what [`decide`] says.

mod attend;
mod dispatch;
mod look;
mod prepare;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::book::Book;
use super::decide::{Here, Next, decide, ending};
use super::line::{self, LOOK_AGAIN, Line};
use super::parts::Parts;
use super::progress::Progress;
use crate::cancel::CancelToken;
use crate::context::Context;
use crate::event::Fact;
use crate::executor::ExecuteError;
use crate::failure::{Failure, FailureCode};
use crate::journal::JournalError;
use crate::model::{ReleaseReport, TaskId, Timestamp};
use crate::state::{Hold, Phase};

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
    /// The number of the last event that the driver knew of when it let go.
    pub(super) seen: Arc<AtomicU64>,
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
    room: watch::Receiver<u64>,
    /// When the hosts that are done were last looked at.
    looked: Option<Timestamp>,
}

impl Driver {
    pub(super) fn new(parts: Arc<Parts>, book: Book, leash: Leash, attempt: u32) -> Self {
        let room = parts.room.changes();
        Self {
            room,
            parts,
            book,
            leash,
            attempt,
            progress: Progress::default(),
            running: JoinSet::new(),
            parts_running: HashMap::new(),
            cancels: BTreeMap::new(),
            looked: None,
        }
    }

    /// Drives the task until it is finished, has to wait, or has to be let go.
    pub(super) async fn drive(mut self) -> Result<Driven, JournalError> {
        let driven = self.run().await?;
        self.leash.seen.store(self.book.state().last.number(), Ordering::Relaxed);
        if matches!(driven, Driven::Finished) {
            line::wake(&self.parts, &self.book.state().subject).await?;
        }
        Ok(driven)
    }

    async fn run(&mut self) -> Result<Driven, JournalError> {
        if self.attempt > self.parts.config.max_attempts {
            return self.give_up().await;
        }
        // An attempt that failed may have taken places for hosts that it did not come to hand out.
        self.give_back_places();
        loop {
            if self.leash.abort.is_cancelled() {
                return Ok(self.hand_back());
            }
            self.record_progress().await?;
            let running: BTreeSet<TaskId> = self.cancels.keys().cloned().collect();
            let here = Here { running, looked: self.looked };
            let next = decide(self.book.state(), self.parts.clock.now(), &here);
            if !matches!(next, Next::Dispatch { .. }) {
                self.parts.room.leave_line(&self.book.state().task);
            }
            let over = matches!(next, Next::Nothing | Next::Finish(_) | Next::Await { .. });
            if self.leash.stop.is_cancelled() && !over {
                if self.running.is_empty() {
                    return Ok(self.hand_back());
                }
                self.wait(None).await?;
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
            Next::Resolve => match self.stand_in_line().await? {
                Some(driven) => return Ok(Some(driven)),
                None => return self.resolve().await,
            },
            Next::Verify => return self.verify().await,
            Next::WaitUntil(until) => {
                let waits = |hold: &Hold| hold.reason.is_none() && hold.until == Some(until);
                let known = self.book.state().hold.as_ref().is_some_and(waits);
                if known || self.book.record_decision(vec![Fact::Waiting { until }]).await? {
                    return Ok(Some(Driven::Until(until)));
                }
            }
            Next::AskGates => match self.stand_in_line().await? {
                Some(driven) => return Ok(Some(driven)),
                None => return self.begin().await,
            },
            Next::Record(facts) | Next::Finish(facts) => {
                self.book.record_decision(facts).await?;
            }
            Next::Dispatch { number, hosts } => self.dispatch(number, hosts).await?,
            Next::Resume { number } => self.resume(number),
            Next::Await { cancel, until } => {
                self.cancel_parts(cancel);
                self.wait(until).await?;
            }
            Next::Stand(until) => return self.stand(until).await,
            Next::Look(hosts) => return self.look(hosts).await,
        }
        Ok(None)
    }

    /// Lets go of the task until a time, or until somebody records something for it.
    async fn stand(&mut self, until: Option<Timestamp>) -> Result<Option<Driven>, JournalError> {
        let last = self.book.state().last;
        self.book.catch_up().await?;
        if self.book.state().last != last {
            return Ok(None);
        }
        let again = self.parts.clock.now().plus(LOOK_AGAIN);
        Ok(Some(Driven::Until(until.map_or(again, |until| until.min(again)))))
    }

    /// Lets go of a deployment that may not begin yet, because another one of its project has begun
    /// and is not finished.
    async fn stand_in_line(&mut self) -> Result<Option<Driven>, JournalError> {
        let state = self.book.state();
        if state.rollout().is_none() {
            return Ok(None);
        }
        let line = Line::before(&self.parts, state).await?;
        let Some(fact) = line.fact().filter(|_| line.is_closed()) else {
            return Ok(None);
        };
        let reason = fact.to_string();
        let waits = |hold: &Hold| hold.reason.as_ref() == Some(&reason);
        let known = state.phase == Phase::InLine && state.hold.as_ref().is_some_and(waits);
        if !known && !self.book.record_decision(vec![fact]).await? {
            return Ok(None);
        }
        let again = self.parts.clock.now().plus(LOOK_AGAIN);
        Ok(Some(Driven::Until(again)))
    }

    /// Cancels the parts that were taken back, and all others where that is due.
    fn cancel_parts(&self, all: bool) {
        let state = self.book.state();
        let stop = state.stopped.as_ref().map(|stop| stop.reason.as_str());
        let pause = state.paused.as_ref().map(|pause| pause.reason.as_str());
        let reason = state.cancel.as_deref().or(stop).or(pause).unwrap_or("taken back");
        let recalled = |part: &TaskId| {
            let mut parts = state.dispatches.iter().rev();
            parts.find(|known| known.task == *part).is_some_and(|known| known.recalled)
        };
        for (part, token) in &self.cancels {
            if !token.is_cancelled() && (all || recalled(part)) {
                token.cancel(reason);
            }
        }
    }

    /// Waits for the next thing to happen, at most until a time, and records it.
    async fn wait(&mut self, until: Option<Timestamp>) -> Result<(), JournalError> {
        let clock = Arc::clone(&self.parts.clock);
        let moment = async {
            match until {
                Some(until) => clock.sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let waits = self.parts.room.has_in_line(&self.book.state().task);
        // In a fixed order, so that a run can be repeated. What comes first keeps nothing from its
        // turn: there are finitely many words, parts and facts, and the time is looked at each round.
        tokio::select! {
            biased;
            () = self.leash.abort.cancelled() => {}
            () = self.leash.refresh.notified() => self.book.catch_up().await?,
            Some(ended) = self.running.join_next_with_id() => {
                let (id, result) = ended.unwrap_or_else(|error| (error.id(), Err(dispatch::panicked(error))));
                if let Some(part) = self.parts_running.remove(&id) {
                    self.record_part(&part, &result).await?;
                }
            }
            () = self.progress.arrived() => {}
            _ = self.room.changed(), if waits => {}
            () = moment => {}
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
        let facts = ending::fail(self.book.state(), failure);
        self.book.record(facts).await?;
        Ok(Driven::Finished)
    }

    fn context(&self, task: TaskId) -> Context {
        Context::new(task).with_attempt(self.attempt)
    }
}
