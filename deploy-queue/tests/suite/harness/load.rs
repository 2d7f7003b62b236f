//! What a child does with a store: it works as fast as it can, and says each call before and after.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{
    Claim, Failure, FailureCode, Journal, JournalQuery, LeaseToken, Queue, QueueAdmin, QueueError,
    Sequence, Settlement,
};
use deploy_queue::DiskStore;
use deploy_testkit::samples;

use super::child::say;
use super::content::{FATES, both_events, event, far, fate, task};
use super::lane::JournalLane;

const LEASE: Duration = Duration::from_secs(60);

/// A call that failed: nobody knows what became of it.
#[derive(Debug)]
pub(super) struct Failed;

/// Somebody who works on a store.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) store: Arc<DiskStore>,
    pub(super) cycle: String,
    /// Acknowledges before it is true: the planted bug.
    pub(super) early: bool,
}

impl Actor {
    /// Works until it is killed, or until a call fails.
    pub(super) async fn load(&self) {
        let mut work = tokio::task::JoinSet::new();
        for lane in 0..3 {
            let actor = self.clone();
            work.spawn(async move {
                let mut journal = JournalLane::new(&actor.cycle, lane);
                for number in 0.. {
                    actor.produce(&mut journal, lane, number).await?;
                }
                Ok::<_, Failed>(())
            });
        }
        for number in 0..3 {
            let actor = self.clone();
            work.spawn(async move {
                loop {
                    let claim = actor.store.claim(format!("worker-{number}"), vec![], LEASE).await;
                    let Ok(claim) = claim else { return Err(Failed) };
                    actor.work(claim).await?;
                }
            });
        }
        while work.join_next().await.is_some() {}
        self.assert_stopped().await;
    }

    /// Does each thing there is to do a few times, one after the other.
    pub(super) async fn script(&self) {
        if self.steps().await.is_err() {
            self.assert_stopped().await;
        }
        say("end");
    }

    async fn steps(&self) -> Result<(), Failed> {
        let mut journal = JournalLane::new(&self.cycle, 0);
        for number in 0..FATES.len() as u64 {
            self.produce(&mut journal, 0, number).await?;
            let claim = self.store.claim("worker".to_owned(), vec![], LEASE);
            if let Some(claim) = at_once(claim).await {
                self.work(claim.map_err(|_| Failed)?).await?;
            }
        }
        Ok(())
    }

    /// Makes a call, and says so before and after it.
    pub(super) async fn call<T, E: fmt::Debug>(
        &self,
        call: &str,
        id: &str,
        number: u64,
        done: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failed> {
        say(&format!("try {call} {id} {number}"));
        if self.early {
            say(&format!("ok {call} {id} {number}"));
        }
        match done.await {
            Ok(answer) => {
                if !self.early {
                    say(&format!("ok {call} {id} {number}"));
                }
                Ok(answer)
            }
            Err(error) => {
                let error = format!("{error:?}");
                say(&format!("failed {call} {id} {error}"));
                // Nobody closes the store of a child while calls run.
                if error.contains("Closed") {
                    say(&format!("wrong {call} is told that the store was closed, not why"));
                }
                Err(Failed)
            }
        }
    }

    /// Pushes a task, appends to a journal, and does what a producer does to tasks that wait.
    async fn produce(
        &self,
        journal: &mut JournalLane,
        lane: u64,
        number: u64,
    ) -> Result<(), Failed> {
        let fate = FATES[usize::try_from(number).unwrap() % FATES.len()];
        let id = format!("{}-{lane}-{number}-{fate}", self.cycle);
        let pushed = self.call("push", &id, 0, self.store.push(task(&id)));
        let (pushed, appended) = tokio::join!(pushed, journal.append(self));
        pushed?;
        appended?;
        let task: TaskId = id.parse().unwrap();
        match fate {
            "later" => {
                let moved = self.store.reschedule(task.clone(), far(2));
                self.found(self.call("move", &id, 0, moved).await?, &id);
                if number % 16 < 8 {
                    let gone = self.call("withdraw", &id, 0, self.store.withdraw(task)).await?;
                    self.found(gone, &id);
                }
            }
            "lapse" => self.lapse().await?,
            _ => {}
        }
        Ok(())
    }

    /// Claims a task, if it is still there, with a lease that is over at once.
    async fn lapse(&self) -> Result<(), Failed> {
        let kinds = vec!["lapse".to_owned()];
        let claim = self.store.claim("late".to_owned(), kinds, Duration::ZERO);
        let Some(claim) = at_once(claim).await else {
            return Ok(());
        };
        let claim = claim.map_err(|_| Failed)?;
        match self.store.settle(claim.token, Settlement::Done).await {
            Err(QueueError::LeaseLost { .. }) => Ok(()),
            Err(_) => Err(Failed),
            Ok(()) => {
                say(&format!("wrong {} was settled after its lease", claim.task.id));
                Ok(())
            }
        }
    }

    /// Does with a task as its id and the number of the claim say.
    async fn work(&self, claim: Claim) -> Result<(), Failed> {
        let id = claim.task.id.as_str().to_owned();
        say(&format!("claimed {id}"));
        if claim.task != task(&id) {
            say(&format!("wrong {id} is not what was pushed"));
        }
        let token = claim.token;
        let number = token.number;
        if number.is_multiple_of(3) && self.store.renew(token.clone(), LEASE).await.is_err() {
            return Err(Failed);
        }
        let settle = |settlement| self.store.settle(token.clone(), settlement);
        let failure = Failure::new(FailureCode::HostFailed, &id);
        match (fate(&id), number % 4) {
            ("both", _) => {
                let events = both_events(&token.task);
                let both = self.store.settle_with(token.clone(), Settlement::Done, events);
                self.call("both", &id, number, both).await
            }
            ("retry", 0 | 1) => {
                let retry = Settlement::Retry { after: Some(Duration::ZERO), failure };
                self.call("retry", &id, number, settle(retry)).await
            }
            ("defer", 0 | 1) => {
                let defer = Settlement::Defer { until: Timestamp::now() };
                self.call("defer", &id, number, settle(defer)).await
            }
            ("dead", what @ 1..) => {
                self.call("dead", &id, number, settle(Settlement::Dead { failure })).await?;
                match what {
                    1 => {
                        let again = self.store.replay(token.task.clone());
                        self.found(self.call("replay", &id, number, again).await?, &id);
                    }
                    2 => {
                        let gone = self.store.withdraw(token.task.clone());
                        self.found(self.call("withdraw", &id, number, gone).await?, &id);
                    }
                    _ => {}
                }
                Ok(())
            }
            _ => self.call("done", &id, number, settle(Settlement::Done)).await,
        }
    }

    fn found(&self, found: bool, id: &str) {
        if !found {
            say(&format!("wrong {id} was there and is not found"));
        }
    }

    /// After a failure every call ends with an error.
    async fn assert_stopped(&self) {
        let store = &self.store;
        let id = samples::task_id("never-0-0-done");
        let token = LeaseToken::new(id.clone(), "worker".to_owned(), 1);
        let claim = store.claim("worker".to_owned(), vec![], LEASE);
        let answers = [
            ("push", store.push(task(id.as_str())).await.is_ok()),
            // A claim that waits is as bad as one that is given.
            ("claim", !matches!(at_once(claim).await, Some(Err(_)))),
            ("renew", store.renew(token.clone(), LEASE).await.is_ok()),
            ("settle", store.settle(token, Settlement::Done).await.is_ok()),
            ("reschedule", store.reschedule(id.clone(), far(1)).await.is_ok()),
            ("find", store.find(id.clone()).await.is_ok()),
            ("withdraw", store.withdraw(id.clone()).await.is_ok()),
            ("dead letters", store.dead_letters(None, 1).await.is_ok()),
            ("replay", store.replay(id.clone()).await.is_ok()),
            ("statistics", store.statistics().await.is_ok()),
            ("append", store.append(vec![event(&id, 1)]).await.is_ok()),
            ("read", store.read(id.clone(), Sequence::START, 1).await.is_ok()),
            ("list", store.list(JournalQuery::new()).await.is_ok()),
            ("remove", store.remove(id).await.is_ok()),
        ];
        for (call, _) in answers.iter().filter(|(_, ok)| *ok) {
            say(&format!("wrong {call} goes on after a failure"));
        }
        say("stopped");
    }
}

/// What a future gives when it need not wait for anybody else.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = future => Some(answer),
        () = tokio::task::yield_now() => None,
    }
}
