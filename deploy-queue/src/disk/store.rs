//! The store on disk: opening, closing, and its queue.

use std::fmt;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{Claim, Event, LeaseToken, Pushed, Queue, QueueError, Settlement, TaskRecord};
use tokio::sync::oneshot;

use super::directory::Directory;
use super::error::{OpenError, SettleError};
use super::journal::appending;
use super::load;
use super::mark::Mark;
use super::outbox::{Answer, Message, Outbox};
use super::row::Row;
use super::rows;
use super::shared::Shared;
use super::writer::Writer;
use crate::config::QueueConfig;
use crate::desk::Desk;
use crate::failpoint::fail_point;
use crate::ledger::{Fingerprint, Ledger};

/// Tasks and facts in one directory on disk: a queue and a journal that survive kill -9 and power
/// loss.
///
/// What a call has acknowledged is fsynced; calls that are made at the same time share one commit.
/// One process at a time has the store open. After a failed write, or when damage is found, every
/// call ends with an error until the store is opened again: [`StoreError`](crate::StoreError) says
/// which it was.
///
/// A claim writes nothing by itself. The number of the attempt goes to disk with the next commit,
/// and after 100 ms on its own; so a process that is killed within that time after a claim may count
/// the attempt once less. After a restart every task that was claimed can be claimed again.
///
/// ```
/// use deploy_core::{Queue, TaskRecord, model::TaskId};
/// use deploy_queue::{DiskStore, QueueConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("state");
/// let store = DiskStore::open(&path, QueueConfig::new()).await?;
/// store.push(TaskRecord::new(TaskId::new("task-1")?, "note", *b"hello")).await?;
/// store.close().await;
/// # Ok(())
/// # }
/// ```
pub struct DiskStore {
    pub(super) shared: Arc<Shared>,
    messages: mpsc::Sender<Message>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what it holds: there may be a million tasks.
        f.debug_struct("DiskStore").finish_non_exhaustive()
    }
}

impl DiskStore {
    /// Opens the store in a directory, which is made when it is not there.
    ///
    /// # Behavior
    ///
    /// Reads and checks everything but the journal's events, whose pages are checked. 100,000 tasks
    /// take less than a second.
    ///
    /// # Errors
    ///
    /// Every variant of [`OpenError`]. What is there stays as it was, as far as that one says.
    ///
    /// Cancel safety: a dropped call goes on by itself, and closes the store once it is open.
    pub async fn open(path: impl AsRef<Path>, config: QueueConfig) -> Result<Self, OpenError> {
        let owned = path.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || Self::open_now(&owned, config)).await;
        opened.unwrap_or_else(|error| {
            let path = path.as_ref().to_owned();
            let source = Box::new(error);
            Err(OpenError::Storage { path, source })
        })
    }

    fn open_now(path: &Path, config: QueueConfig) -> Result<Self, OpenError> {
        let directory = Directory::lock(path)?;
        fail_point("open.locked");
        let files = directory.prepare(load::make)?;
        fail_point("open.prepared");
        let log = files.log.as_deref();
        let (database, now) = (directory.database(), config.clock.now());
        let limits = rows::within(config.limits());
        let loaded = load::load(path, &database, files.mark, log, limits, now)?;
        fail_point("open.loaded");
        let log = directory.log(files.log)?;
        let names = directory.names()?;
        let failed = |error| OpenError::io(path, error);
        let (commits, read) = (loaded.meta.commits, loaded.read);
        let mark = files.mark_file;
        Mark { commits }.write(&mark).map_err(failed)?;
        mark.sync_all().map_err(failed)?;
        fail_point("open.marked");

        let (messages, inbox) = mpsc::channel();
        let outbox = || Outbox::new(messages.clone());
        let desk = Desk::new(read.ledger, outbox(), config.clock);
        let (catalog, database) = (read.catalog, loaded.database);
        let shared = Shared::new(desk, catalog, outbox(), read.last_order, database);
        let shared = Arc::new(shared);
        let writer = Writer {
            shared: Arc::clone(&shared),
            inbox,
            meta: loaded.meta,
            mark,
            log,
            names,
            directory,
            due: None,
            marked: commits,
            buffer: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("deploy-queue".to_owned());
        let thread = thread.spawn(|| writer.run()).map_err(failed)?;
        Ok(Self { shared, messages, writer: Mutex::new(Some(thread)) })
    }

    /// Closes the store: what was asked before is done, everything else ends with `Closed`, and the
    /// directory can be opened again. Dropping the store does the same, and blocks for it.
    ///
    /// Cancel safety: a dropped call closes the store all the same.
    pub async fn close(&self) {
        let (closed, answer) = oneshot::channel();
        if self.messages.send(Message::Close(closed)).is_ok() {
            // An error means that another call has closed it before.
            let _ = answer.await;
        }
    }

    /// Ends a lease and records events, in one commit: both are kept or neither.
    ///
    /// # Behavior
    ///
    /// The events belong to one task, as those of an [append](deploy_core::Journal::append) do; it is
    /// that of the lease as a rule, and need not be. Without events it is a [settlement](Queue::settle).
    ///
    /// # Errors
    ///
    /// What [`Queue::settle`] and [`Journal::append`](deploy_core::Journal::append) say.
    ///
    /// Cancel safety: a dropped call leaves it open whether both were kept; never one of them alone.
    pub async fn settle_with(
        &self,
        token: LeaseToken,
        settlement: Settlement,
        events: Vec<Event>,
    ) -> Result<(), SettleError> {
        let Some(task) = events.first().map(|event| event.task.clone()) else {
            return Ok(self.settle(token, settlement).await?);
        };
        let (changed, answer) =
            self.shared.change_card_with(&task, appending(events)?, |rows| {
                let settled = self.shared.desk.with(|ledger, outbox, now| {
                    let change = ledger.settle(&token, settlement, now)?;
                    outbox.keep(&change);
                    rows.into_iter().for_each(|row| outbox.put(row));
                    Ok(outbox.send())
                });
                let settled = settled.and_then(|settled| settled);
                settled.map_err(|error| SettleError::from(self.shared.explain(error)))
            })?;
        self.answered(answer).await?;
        changed
    }

    /// Adds tasks in one commit: all of them, or none.
    ///
    /// # Behavior
    ///
    /// Like [`push`](Queue::push) of one after the other, with one answer for each, in their order. When
    /// one is refused, none is added.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Queue::push), of the first task that is refused.
    ///
    /// Cancel safety: a dropped call leaves it open whether the tasks were added, all or none; doing
    /// it again is safe.
    pub async fn push_many(&self, tasks: Vec<TaskRecord>) -> Result<Vec<Pushed>, QueueError> {
        let prints: Vec<_> = tasks.iter().map(Fingerprint::of).collect();
        self.keep(|ledger, outbox, now| {
            let mut pushed = Vec::with_capacity(tasks.len());
            let mut rows = Vec::with_capacity(tasks.len());
            for (task, fingerprint) in tasks.iter().zip(prints) {
                match ledger.push(task, fingerprint, now) {
                    Ok(Some(order)) => {
                        let row = rows::encode_task(order, now, task);
                        rows.push(Row::Task { order, row });
                        pushed.push(Pushed::New);
                    }
                    Ok(None) => pushed.push(Pushed::Known),
                    Err(refused) => {
                        // Nobody saw them: the ledger is ours until this returns.
                        let new = tasks.iter().zip(pushed).filter(|(_, is)| *is == Pushed::New);
                        new.for_each(|(task, _)| drop(ledger.withdraw(&task.id)));
                        return Err(refused);
                    }
                }
            }
            rows.into_iter().for_each(|row| outbox.put(row));
            Ok(pushed)
        })
        .await
    }

    /// Does something with the ledger that is to be kept, and waits until it is.
    pub(super) async fn keep<R: Send>(
        &self,
        work: impl FnOnce(&mut Ledger, &mut Outbox, Timestamp) -> Result<R, QueueError> + Send,
    ) -> Result<R, QueueError> {
        let worked = self.shared.desk.with(|ledger, outbox, now| {
            let done = work(ledger, outbox, now)?;
            Ok((done, outbox.send()))
        });
        let worked = worked.and_then(|worked| worked);
        let (done, answer) = worked.map_err(|error| self.shared.explain(error))?;
        self.answered(answer).await?;
        Ok(done)
    }

    /// Looks at the ledger.
    pub(super) fn look<R>(
        &self,
        look: impl FnOnce(&mut Ledger, Timestamp) -> R,
    ) -> Result<R, QueueError> {
        let seen = self.shared.desk.with(|ledger, _, now| look(ledger, now));
        seen.map_err(|error| self.shared.explain(error))
    }

    async fn answered(&self, answer: Answer) -> Result<(), QueueError> {
        match answer.await {
            Ok(result) => Ok(result?),
            Err(_) => Err(self.shared.explain(QueueError::Closed)),
        }
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Close(oneshot::channel().0));
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // The directory is free again when this returns.
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Queue for DiskStore {
    async fn push(&self, task: TaskRecord) -> Result<Pushed, QueueError> {
        let fingerprint = Fingerprint::of(&task);
        self.keep(|ledger, outbox, now| {
            let Some(order) = ledger.push(&task, fingerprint, now)? else {
                // Acknowledged together with the first push of it, which may still be on its way.
                return Ok(Pushed::Known);
            };
            let row = rows::encode_task(order, now, &task);
            outbox.put(Row::Task { order, row });
            Ok(Pushed::New)
        })
        .await
    }

    async fn claim(
        &self,
        worker: String,
        kinds: Vec<String>,
        lease: Duration,
    ) -> Result<Claim, QueueError> {
        loop {
            let held = self.shared.desk.claim(worker.clone(), kinds.clone(), lease).await;
            let held = held.map_err(|error| self.shared.explain(error))?;
            // A worker must not begin what a power loss could still undo.
            self.shared.until_durable(held.order()).await?;
            let Some(task) = self.shared.task(held.order())? else {
                // The lease has ended meanwhile, and another worker has done it.
                continue;
            };
            if let Some(leased) = held.keep() {
                return Ok(Claim::new(leased.token, task, leased.attempt));
            }
        }
    }

    async fn renew(&self, token: LeaseToken, lease: Duration) -> Result<(), QueueError> {
        self.look(|ledger, now| ledger.renew(&token, lease, now))?
    }

    async fn settle(&self, token: LeaseToken, settlement: Settlement) -> Result<(), QueueError> {
        self.keep(|ledger, outbox, now| {
            let change = ledger.settle(&token, settlement, now)?;
            outbox.keep(&change);
            Ok(())
        })
        .await
    }

    async fn reschedule(&self, id: TaskId, due: Timestamp) -> Result<bool, QueueError> {
        self.change(|ledger, now| ledger.reschedule(&id, due, now)).await
    }
}
