//! A store on a disk that is slow, fails, and survives the processes that use it: what it has said
//! yes to is kept; what it has not said yes to may be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{
    Claim, Clock, Event, Journal, JournalError, JournalQuery, LeaseToken, Pushed, Queue,
    QueueError, Sequence, Settlement, TaskRecord, TaskSummary,
};
use deploy_queue::{MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::Dice;

use super::clock::MachineClock;
use super::flaw::Flaw;
use super::history::{Happening, History};
use super::life::Life;

/// The disk of a store: what processes find there, one after another or side by side.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) name: String,
    pub(super) journal: MemoryJournal,
    queue: Mutex<Arc<MemoryQueue>>,
    /// The claims that were made and not settled, with the time their task was due at.
    claims: Mutex<BTreeMap<TaskId, (LeaseToken, Option<Timestamp>)>>,
    clock: MachineClock,
    dice: Dice,
    pub(super) errors: Mutex<u32>,
    history: History,
    flaw: Option<Flaw>,
    /// The task whose last append a disk with a flaw forgets.
    unsafe_task: Mutex<Option<TaskId>>,
}

fn queue(clock: &MachineClock) -> Arc<MemoryQueue> {
    Arc::new(MemoryQueue::new(QueueConfig::new().with_clock(Arc::new(clock.clone()))))
}

impl Disk {
    pub(super) fn new(
        name: &str,
        clock: MachineClock,
        dice: &Dice,
        history: &History,
        flaw: Option<Flaw>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            journal: MemoryJournal::new(),
            queue: Mutex::new(queue(&clock)),
            claims: Mutex::default(),
            clock,
            dice: dice.fork(&format!("disk {name}")),
            errors: Mutex::default(),
            history: history.clone(),
            flaw,
            unsafe_task: Mutex::default(),
        })
    }

    /// The queue was in the memory of the process: it is gone, and the journal is not.
    pub(super) fn lose_queue(&self) {
        let lost = std::mem::replace(&mut *self.queue.lock().unwrap(), queue(&self.clock));
        lost.close();
        self.claims.lock().unwrap().clear();
    }

    /// The queue is opened again by the next process: whoever had a lease has it no more.
    pub(super) async fn reopen_queue(&self) {
        let claims = std::mem::take(&mut *self.claims.lock().unwrap());
        let queue = Arc::clone(&self.queue.lock().unwrap());
        for (task, (token, due)) in claims {
            let failure = deploy_core::Failure::new(deploy_core::FailureCode::Storage, "reopened");
            let retry = Settlement::Retry { after: Some(Duration::ZERO), failure };
            // A lease that ran out has been given to somebody else, or is settled.
            if queue.settle(token, retry).await.is_ok() {
                queue.reschedule(task, due.unwrap_or(self.clock.now())).await.unwrap();
            }
        }
    }

    /// A power loss: what was said to be kept is, unless the disk has a flaw.
    pub(super) async fn lose_power(&self) {
        let forgets = self.unsafe_task.lock().unwrap().take();
        let Some(task) = forgets.filter(|_| self.flaw == Some(Flaw::ForgetsAppend)) else { return };
        let mut events = self.journal.read(task.clone(), Sequence::START, 100_000).await.unwrap();
        events.pop();
        self.journal.remove(task).await.unwrap();
        if !events.is_empty() {
            self.journal.append(events).await.unwrap();
        }
    }

    fn queue(&self) -> Arc<MemoryQueue> {
        Arc::clone(&self.queue.lock().unwrap())
    }
}

/// A process's way to a disk: a queue and a journal.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) disk: Arc<Disk>,
    pub(super) life: Life,
    pub(super) by: String,
}

/// What becomes of a write.
enum Luck {
    Good,
    /// It is not made, and fails.
    NotMade,
    /// It is made, and fails.
    Unsaid,
}

impl Store {
    /// Before a write: it takes its time, and the process may die.
    async fn before(&self) -> Luck {
        self.life.step().await;
        let dice = &self.disk.dice;
        let errors = *self.disk.errors.lock().unwrap();
        if dice.chance(errors) {
            // A disk that is busy.
            tokio::time::sleep(dice.millis(100..12_000)).await;
        } else if dice.chance(300) {
            tokio::time::sleep(dice.millis(1..4)).await;
        }
        self.life.step().await;
        match dice.chance(errors) {
            true if dice.chance(500) => Luck::NotMade,
            true => Luck::Unsaid,
            false => Luck::Good,
        }
    }

    /// After a write: the process may die before it learns of it.
    async fn after(&self) {
        if self.disk.dice.chance(200) {
            tokio::time::sleep(self.disk.dice.millis(1..4)).await;
        }
        self.life.step().await;
    }

    async fn write<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
        failed: impl Fn() -> E,
    ) -> Result<T, E> {
        let luck = self.before().await;
        if matches!(luck, Luck::NotMade) {
            return Err(failed());
        }
        let done = work.await;
        self.after().await;
        if matches!(luck, Luck::Unsaid) { Err(failed()) } else { done }
    }
}

fn journal_failed() -> JournalError {
    JournalError::Storage { source: "the disk failed".into() }
}

fn queue_failed() -> QueueError {
    QueueError::Storage { source: "the disk failed".into() }
}

#[async_trait]
impl Journal for Store {
    async fn append(&self, events: Vec<Event>) -> Result<(), JournalError> {
        let last = events.last().map(|event| (event.task.clone(), event.sequence.number()));
        let disk = &self.disk;
        let work = async {
            disk.journal.append(events.clone()).await?;
            *disk.unsafe_task.lock().unwrap() = last.as_ref().map(|(task, _)| task.clone());
            let (store, by) = (disk.name.clone(), self.by.clone());
            disk.history.note(Happening::Recorded { store, by, events });
            Ok(())
        };
        self.write(work, journal_failed).await?;
        if let Some((task, last)) = last {
            disk.history.note(Happening::Kept { store: disk.name.clone(), task, last });
        }
        Ok(())
    }

    async fn read(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        self.life.step().await;
        let mut events = self.disk.journal.read(task, after, limit).await?;
        events.iter_mut().for_each(|event| super::flaw::forget(self.disk.flaw, event));
        Ok(events)
    }

    async fn follow(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        let events = self.disk.journal.follow(task, after, limit).await;
        if self.life.is_over() {
            std::future::pending::<()>().await;
        }
        events
    }

    async fn list(&self, query: JournalQuery) -> Result<Vec<TaskSummary>, JournalError> {
        self.life.step().await;
        self.disk.journal.list(query).await
    }

    async fn remove(&self, task: TaskId) -> Result<bool, JournalError> {
        let disk = &self.disk;
        let work = async {
            let removed = disk.journal.remove(task.clone()).await?;
            disk.history.note(Happening::Removed { store: disk.name.clone(), task });
            Ok(removed)
        };
        self.write(work, journal_failed).await
    }
}

#[async_trait]
impl Queue for Store {
    async fn push(&self, task: TaskRecord) -> Result<Pushed, QueueError> {
        let queue = self.disk.queue();
        self.write(queue.push(task), queue_failed).await
    }

    async fn claim(
        &self,
        worker: String,
        kinds: Vec<String>,
        lease: Duration,
    ) -> Result<Claim, QueueError> {
        self.life.step().await;
        let queue = self.disk.queue();
        let claim = queue.claim(worker, kinds, lease).await?;
        let held = (claim.token.clone(), claim.task.due);
        self.disk.claims.lock().unwrap().insert(claim.task.id.clone(), held);
        if self.disk.flaw == Some(Flaw::GivesTwice) && claim.attempt == 1 {
            let failure = deploy_core::Failure::new(deploy_core::FailureCode::Internal, "planted");
            let retry = Settlement::Retry { after: Some(Duration::from_secs(1)), failure };
            let _ = queue.settle(claim.token.clone(), retry).await;
        }
        self.after().await;
        Ok(claim)
    }

    async fn renew(&self, token: LeaseToken, lease: Duration) -> Result<(), QueueError> {
        let queue = self.disk.queue();
        match self.write(queue.renew(token, lease), queue_failed).await {
            // Neither of the two workers learns of the other.
            Err(QueueError::LeaseLost { .. }) if self.disk.flaw == Some(Flaw::GivesTwice) => Ok(()),
            renewed => renewed,
        }
    }

    async fn settle(&self, token: LeaseToken, settlement: Settlement) -> Result<(), QueueError> {
        let queue = self.disk.queue();
        let task = token.task.clone();
        let work = async {
            let settled = queue.settle(token.clone(), settlement).await;
            let mut claims = self.disk.claims.lock().unwrap();
            if claims.get(&task).is_some_and(|(held, _)| *held == token) {
                claims.remove(&task);
            }
            settled
        };
        self.write(work, queue_failed).await
    }

    async fn reschedule(&self, id: TaskId, due: Timestamp) -> Result<bool, QueueError> {
        let queue = self.disk.queue();
        self.write(queue.reschedule(id, due), queue_failed).await
    }
}
