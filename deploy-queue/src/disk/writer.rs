//! The one thread that writes: it commits whatever was queued while the last commit ran.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::directory::Directory;
use super::error::StoreError;
use super::log::Log;
use super::mark::Mark;
use super::names::Names;
use super::outbox::{Message, Outbox};
use super::pending::Pending;
use super::row::Row;
use super::rows::Meta;
use super::shared::Shared;
use crate::failpoint::fail_point;

/// How long what can wait does: the numbers of attempts for another commit to ride on, and the mark
/// for its sync. Long enough that a busy store does nothing for them alone, short enough that a task
/// which kills its worker is counted.
const PATIENCE: Duration = Duration::from_millis(100);

/// How many messages are committed together at most, so that the first does not wait for ever.
const MOST_MESSAGES: usize = 4096;

/// How many bytes of rows are committed together at most, beyond the last message.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How many bytes are kept to put the next group together.
const MOST_BUFFER: usize = 1024 * 1024;

/// The thread's state.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) inbox: Receiver<Message>,
    pub(super) meta: Meta,
    pub(super) mark: File,
    pub(super) log: Log,
    pub(super) names: Names,
    /// Held until the thread ends.
    pub(super) directory: Directory,
    /// When to do what can wait, if anything can.
    pub(super) due: Option<Instant>,
    /// The number of the last commit that the synced mark knows of.
    pub(super) marked: u64,
    /// Where groups are put together.
    pub(super) buffer: Vec<u8>,
}

/// What is committed together.
#[derive(Debug, Default)]
struct Batch {
    rows: Vec<Row>,
    bytes: usize,
    answers: Vec<oneshot::Sender<Result<(), StoreError>>>,
    fetch: bool,
    /// Those who close the store.
    closes: Vec<oneshot::Sender<()>>,
}

impl Writer {
    /// Commits until it is told to close, or nobody can tell it any more.
    pub(super) fn run(mut self) {
        let closes = loop {
            let (mut batch, due) = self.gather();
            // It goes before the batch does: whoever waits for that is told why.
            let _stops = StopsWhenItPanics(Arc::clone(&self.shared));
            // They come as a message, behind what was sent before them.
            let closes = !batch.closes.is_empty();
            let noted = (due || closes) && self.shared.desk.keeper(Outbox::fetch);
            if closes {
                self.inbox.try_iter().for_each(|message| batch.add(message));
            }
            let idle = due && !noted && batch.rows.is_empty();
            self.work(&mut batch);
            if closes {
                break batch.closes;
            }
            self.tidy(idle);
            self.plan(due, noted || batch.fetch);
        };
        let _stops = StopsWhenItPanics(Arc::clone(&self.shared));
        fail_point("close.before");
        self.shared.stop();
        self.settle_down();
        fail_point("close.after");
        drop(self.directory);
        for closed in closes {
            let _ = closed.send(());
        }
    }

    /// Leaves everything in the database.
    fn settle_down(&mut self) {
        // What was acknowledged is on disk; closing well only makes the next opening faster. After
        // a failure nothing is written any more.
        let settled = self.shared.check().and_then(|()| self.checkpoint());
        if let Err(failure) = settled {
            self.shared.fail(failure);
        }
        if let Some(database) = self.shared.take_database() {
            let _ = database.close();
        }
        let _ = self.mark.sync_all();
    }

    /// Waits for something to do, and takes all that is there. Says whether it is time for what can
    /// wait.
    fn gather(&mut self) -> (Batch, bool) {
        let mut batch = Batch::default();
        let first = match self.due {
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => self.inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match first {
            Ok(message) => batch.add(message),
            Err(RecvTimeoutError::Timeout) => return (batch, true),
            Err(RecvTimeoutError::Disconnected) => {
                batch.closes.push(oneshot::channel().0);
                return (batch, true);
            }
        }
        for _ in 1..MOST_MESSAGES {
            // Looked at before the next one is taken: what is taken has to be committed, because what
            // comes behind it may be.
            if batch.bytes >= MOST_BYTES || !batch.closes.is_empty() {
                break;
            }
            match self.inbox.try_recv() {
                Ok(message) => batch.add(message),
                Err(_) => break,
            }
        }
        (batch, self.due.is_some_and(|due| due <= Instant::now()))
    }

    /// Commits a batch, unless there is nothing in it, and tells everybody.
    fn work(&mut self, batch: &mut Batch) {
        let rows = std::mem::take(&mut batch.rows);
        let result = match self.shared.check() {
            // What was asked before is on disk, so there is nothing to wait for.
            Ok(()) if rows.is_empty() => Ok(()),
            Ok(()) => self.commit(rows).map_err(|failure| self.shared.fail(failure)),
            Err(failure) => Err(failure),
        };
        for answer in batch.answers.drain(..) {
            // Whoever dropped their call does not want to know.
            let _ = answer.send(result.clone());
        }
    }

    /// Makes one commit of rows.
    fn commit(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        Log::begin(&mut self.buffer);
        rows.iter().for_each(|row| row.encode(&mut self.buffer));
        let commits = self.meta.commits + 1;
        fail_point("commit.before");
        self.log.append(commits, &mut self.buffer).map_err(StoreError::disk)?;
        self.names.check()?;
        // What one large group took is not kept for the small ones.
        self.buffer.shrink_to(MOST_BUFFER);
        self.meta.commits = commits;
        fail_point("commit.after");
        self.shared.committed(rows);
        Mark { commits }.write(&self.mark).map_err(StoreError::disk)?;
        fail_point("mark.after");
        Ok(())
    }

    /// Brings the rows of the log into the database when there are many, and syncs the mark when
    /// nothing else is to do.
    fn tidy(&mut self, idle: bool) {
        let tidied = self.shared.check().and_then(|()| {
            if self.log.is_long() || self.shared.pending(Pending::is_long) {
                self.checkpoint()?;
            }
            if idle && self.marked < self.meta.commits {
                self.mark.sync_data().map_err(StoreError::disk)?;
                self.marked = self.meta.commits;
            }
            Ok(())
        });
        if let Err(failure) = tidied {
            self.shared.fail(failure);
        }
    }

    /// Decides when to do what can wait.
    fn plan(&mut self, due: bool, notes: bool) {
        if due {
            self.due = None;
        }
        let waits = notes || self.marked < self.meta.commits;
        if self.due.is_none() && waits && self.shared.check().is_ok() {
            self.due = Some(Instant::now() + PATIENCE);
        }
    }

    /// Brings the rows of the log into the database, and begins the log anew.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        fail_point("checkpoint.before");
        self.shared.checkpoint(self.meta)?;
        fail_point("checkpoint.after");
        self.log.rewind().map_err(StoreError::disk)
    }
}

/// Stops the store when the thread that writes panics: nobody waits for it in vain.
struct StopsWhenItPanics(Arc<Shared>);

impl Drop for StopsWhenItPanics {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(StoreError::disk("the thread that writes has panicked"));
        }
    }
}

impl Batch {
    fn add(&mut self, message: Message) {
        match message {
            Message::Rows { rows, answer } => {
                self.bytes += rows.iter().map(Row::size).sum::<usize>();
                self.rows.extend(rows);
                self.answers.extend(answer);
            }
            Message::Fetch => self.fetch = true,
            Message::Close(closed) => self.closes.push(closed),
        }
    }
}
