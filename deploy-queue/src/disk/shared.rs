//! What the callers of a store and its writer share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use deploy_core::model::TaskId;
use deploy_core::{JournalError, QueueError, Sequence};
use redb::Database;
use tokio::sync::watch;

use super::cards::{Cards, Changed};
use super::error::StoreError;
use super::outbox::{Answer, Outbox};
use super::pending::Pending;
use super::row::Row;
use super::rows::Meta;
use crate::catalog::{Card, Catalog, Followers};
use crate::desk::Desk;

/// What the callers of a store and its writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) desk: Desk<Outbox>,
    pub(super) followers: Followers,
    /// The order of the last push that is on disk, `None` once the store has stopped: a task is given
    /// to a worker only once its push is there.
    durable: watch::Sender<Option<u64>>,
    cards: Mutex<Cards>,
    failure: OnceLock<StoreError>,
    /// What is on disk and not yet in the database.
    pending: RwLock<Pending>,
    /// Gone once the store is closed.
    database: RwLock<Option<Database>>,
}

impl Shared {
    pub(super) fn new(
        desk: Desk<Outbox>,
        catalog: Catalog,
        outbox: Outbox,
        durable: u64,
        database: Database,
    ) -> Self {
        Self {
            desk,
            followers: Followers::default(),
            durable: watch::Sender::new(Some(durable)),
            cards: Mutex::new(Cards::new(catalog, outbox)),
            failure: OnceLock::new(),
            pending: RwLock::default(),
            database: RwLock::new(Some(database)),
        }
    }

    /// Waits until a push is on disk. One that the store was closed before never is.
    pub(super) async fn until_durable(&self, order: u64) -> Result<(), QueueError> {
        let mut durable = self.durable.subscribe();
        let done = |durable: &Option<u64>| durable.is_none_or(|last| last >= order);
        let open = durable.wait_for(done).await.is_ok_and(|durable| durable.is_some());
        self.check()?;
        if open { Ok(()) } else { Err(QueueError::Closed) }
    }

    /// Says why the store has stopped, if it has.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// What a caller is told instead of "closed" when the store was closed by a failure.
    pub(super) fn explain(&self, error: QueueError) -> QueueError {
        match (error, self.failure.get()) {
            (QueueError::Closed, Some(failure)) => failure.clone().into(),
            (error, _) => error,
        }
    }

    /// Stops the store: every call from now on ends with this failure, or the first one.
    pub(super) fn fail(&self, failure: StoreError) -> StoreError {
        let first = || {
            tracing::error!(target: "deploy", error = ?failure, "the store has stopped");
            failure
        };
        let failure = self.failure.get_or_init(first).clone();
        self.stop();
        failure
    }

    /// Refuses all further calls, and ends those that wait.
    pub(super) fn stop(&self) {
        self.lock().closed = true;
        self.desk.close();
        self.durable.send_replace(None);
        self.followers.wake_all();
    }

    /// Notes that rows are on disk, and tells those who wait for them.
    pub(super) fn committed(&self, rows: Vec<Row>) {
        let mut last = 0;
        let mut recorded = Vec::new();
        // Under both locks: a journal's card and its events are never of two moments.
        let mut cards = self.lock();
        let mut pending = self.pending.write().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            match &row {
                Row::Task { order, .. } => last = last.max(*order),
                Row::Card { task, change, card } => {
                    cards.record(task, *change, card.clone());
                    recorded.push(task.clone());
                }
                _ => {}
            }
            pending.apply(row);
        }
        drop(pending);
        drop(cards);
        self.pushed(last);
        recorded.iter().for_each(|task| self.followers.wake(task));
    }

    /// Looks at what is on disk and not yet in the database.
    pub(super) fn pending<R>(&self, look: impl FnOnce(&Pending) -> R) -> R {
        look(&self.pending.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings what is pending into the database.
    pub(super) fn checkpoint(&self, meta: Meta) -> Result<(), StoreError> {
        if self.pending(Pending::is_empty) {
            return Ok(());
        }
        let write = |database: &_| self.pending(|pending| pending.write(database, meta));
        if self.read(write)?.is_some() {
            // Readers that found nothing there look into the database after this.
            *self.pending.write().unwrap_or_else(PoisonError::into_inner) = Pending::default();
        }
        Ok(())
    }

    /// Notes that pushes up to an order are on disk.
    fn pushed(&self, order: u64) {
        self.durable.send_if_modified(|durable| {
            let newer = durable.is_some_and(|last| order > last);
            if newer {
                *durable = Some(order);
            }
            newer
        });
    }

    /// Looks at the catalog, as it is on disk.
    pub(super) fn catalog<R>(&self, look: impl FnOnce(&Catalog) -> R) -> Result<R, JournalError> {
        Ok(look(&self.cards()?.kept))
    }

    /// Looks at the catalog and at what is not yet in the database, as they are on disk at one
    /// moment. Says as well how many removals there were until then.
    pub(super) fn journal<R>(
        &self,
        look: impl FnOnce(&Catalog, &Pending) -> R,
    ) -> Result<(R, u64), JournalError> {
        let cards = self.cards()?;
        let seen = self.pending(|pending| look(&cards.kept, pending));
        Ok((seen, cards.removals))
    }

    /// How often the events of a task were removed.
    pub(super) fn removals(&self) -> Result<u64, JournalError> {
        Ok(self.cards()?.removals)
    }

    /// Where a task's events end, on disk.
    pub(super) fn last(&self, task: &TaskId) -> Result<Sequence, JournalError> {
        self.catalog(|catalog| catalog.last(task))
    }

    /// Sends rows that change a task's card to the writer. Says whether there was something to
    /// change, or why it is refused.
    ///
    /// The answer comes when all that this was decided on is on disk: nobody is told of what cannot be
    /// read yet, and may never be.
    pub(super) fn change_card(
        &self,
        task: &TaskId,
        change: impl FnOnce(Option<Card>) -> Changed,
    ) -> Result<(Result<bool, JournalError>, Answer), JournalError> {
        let mut cards = self.cards()?;
        let changed = cards.change(task, change).map(|rows| {
            let changed = rows.is_some();
            rows.into_iter().flatten().for_each(|row| cards.outbox.put(row));
            changed
        });
        Ok((changed, cards.outbox.send()))
    }

    /// Like [`Self::change_card`], with the rows sent by somebody else, who may also refuse to.
    pub(super) fn change_card_with<E: From<JournalError>>(
        &self,
        task: &TaskId,
        change: impl FnOnce(Option<Card>) -> Changed,
        send: impl FnOnce(Vec<Row>) -> Result<Answer, E>,
    ) -> Result<(Result<(), E>, Answer), E> {
        let mut cards = self.cards()?;
        let before = cards.coming(task);
        let rows = match cards.change(task, change) {
            Ok(rows) => rows.unwrap_or_default(),
            Err(refused) => return Ok((Err(refused.into()), cards.outbox.send())),
        };
        let sent = send(rows);
        if sent.is_err() {
            cards.take_back(task, before);
        }
        Ok((Ok(()), sent?))
    }

    /// Reads the database. Damage that is found there stops the store.
    pub(super) fn read<R>(
        &self,
        read: impl FnOnce(&Database) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        self.check()?;
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else {
            return Ok(None);
        };
        // The database panics on some kinds of damage.
        let read = catch_unwind(AssertUnwindSafe(|| read(database)));
        let read = read.unwrap_or_else(|_| {
            let what = "a page of the database".to_owned();
            Err(StoreError::Corrupt { what })
        });
        read.map(Some).map_err(|failure| self.fail(failure))
    }

    /// Takes the database away, once nobody reads it.
    pub(super) fn take_database(&self) -> Option<Database> {
        self.database.write().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn cards(&self) -> Result<MutexGuard<'_, Cards>, JournalError> {
        self.check()?;
        let cards = self.lock();
        if cards.closed {
            return Err(JournalError::Closed);
        }
        Ok(cards)
    }

    fn lock(&self) -> MutexGuard<'_, Cards> {
        // Nothing below panics while it holds the lock.
        self.cards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
