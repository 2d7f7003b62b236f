//! The child: it works on a store as fast as it can, and says each call before and after.

use std::fmt;
use std::future::Future;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{
    Claim, Failure, FailureCode, Journal, JournalQuery, LeaseToken, Queue, QueueAdmin, QueueError,
    Sequence, Settlement,
};
use deploy_queue::{DiskStore, FailAction, QueueConfig, set_fail_point};
use deploy_testkit::samples;

use super::content::{FATES, both_events, event, far, fate, task};
use super::process::{CYCLE, FAIL_POINT, PLAN, Plan, STORE};

const LEASE: Duration = Duration::from_secs(60);

/// After how many events a journal is left alone, or removed.
const JOURNAL: u64 = 40;

/// A call that failed: nobody knows what became of it.
#[derive(Debug)]
struct Failed;

/// The child, when it was started as one.
#[test]
fn child() {
    let Ok(path) = std::env::var(STORE) else {
        return;
    };
    let plan = Plan::named(&std::env::var(PLAN).unwrap());
    let cycle = std::env::var(CYCLE).unwrap();
    say(&format!("pid {}", std::process::id()));
    let mut builder = match plan {
        Plan::Load | Plan::Early => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.worker_threads(2).enable_time().build().unwrap();
    if let Ok(point) = std::env::var(FAIL_POINT) {
        arm(&point);
    }
    runtime.block_on(async {
        say("opening");
        let store = match DiskStore::open(&path, QueueConfig::new()).await {
            Ok(store) => store,
            Err(error) => return say(&format!("refused {error:?}")),
        };
        say("open");
        let actor = Actor { store: Arc::new(store), cycle, early: plan == Plan::Early };
        match plan {
            Plan::Load | Plan::Early => actor.load().await,
            Plan::Script | Plan::Twice => actor.script().await,
            Plan::Recover => {}
            Plan::Hold => {
                // Until the parent closes its end.
                let _ = std::io::stdin().lock().read_line(&mut String::new());
            }
        }
        actor.store.close().await;
        say("closed");
        // What has failed can be opened again by the same process.
        drop(actor);
        if plan == Plan::Twice {
            match DiskStore::open(&path, QueueConfig::new()).await {
                Ok(_) => say("again"),
                Err(error) => say(&format!("wrong {error:?}, the second time")),
            }
        }
    });
}

/// Sets a fail point: its name, at which time it is reached, and what happens then.
fn arm(point: &str) {
    let [name, times, action] = point.split(' ').collect::<Vec<_>>()[..] else {
        panic!("no such fail point: {point}");
    };
    let action = if action == "panic" { FailAction::Panic } else { FailAction::Abort };
    set_fail_point(name, times.parse().unwrap(), action);
}

/// Says a word, in one write, so that a kill cuts between words.
fn say(word: &str) {
    std::io::stderr().write_all(format!("@{word}\n").as_bytes()).unwrap();
}

/// Somebody who works on a store.
#[derive(Clone, Debug)]
struct Actor {
    store: Arc<DiskStore>,
    cycle: String,
    /// Acknowledges before it is true: the planted bug.
    early: bool,
}

impl Actor {
    /// Works until it is killed, or until a call fails.
    async fn load(&self) {
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
    async fn script(&self) {
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
    async fn call<T, E: fmt::Debug>(
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
                say(&format!("failed {call} {id} {error:?}"));
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

/// A producer's journals, one after the other.
#[derive(Debug)]
struct JournalLane {
    name: String,
    journal: u64,
    last: u64,
}

impl JournalLane {
    fn new(cycle: &str, lane: u64) -> Self {
        Self { name: format!("{cycle}-{lane}"), journal: 0, last: 0 }
    }

    async fn append(&mut self, actor: &Actor) -> Result<(), Failed> {
        let name = format!("{}-{}-journal", self.name, self.journal);
        let id: TaskId = name.parse().unwrap();
        let last = self.last + 1 + self.last % 3;
        let events = (self.last + 1..=last).map(|number| event(&id, number)).collect();
        actor.call("append", &name, last, actor.store.append(events)).await?;
        self.last = last;
        if last >= JOURNAL {
            if self.journal.is_multiple_of(2) {
                actor.call("remove", &name, 0, actor.store.remove(id)).await?;
            }
            (self.journal, self.last) = (self.journal + 1, 0);
        }
        Ok(())
    }
}
