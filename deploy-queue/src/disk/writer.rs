//! The one thread that writes: it commits whatever was queued while the last commit ran.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use deploy_core::Sequence;
use deploy_core::model::TaskId;
use redb::{Database, WriteTransaction};
use tokio::sync::oneshot;

use super::directory::Directory;
use super::error::StoreError;
use super::mark::Mark;
use super::rows::{self, CARDS, EVENTS, META, META_KEY, Meta, STATES, TASKS};
use super::shared::Shared;
use crate::catalog::Card;
use crate::desk::Keeper;
use crate::failpoint::fail_point;
use crate::ledger::Change;

/// How long a claim's attempt number waits for another commit to ride on. Long enough that a busy
/// store commits nothing for it alone, short enough that a task which kills its worker is counted.
const NOTE_DELAY: Duration = Duration::from_millis(100);

/// How many messages are committed together at most, so that the first does not wait for ever.
const MOST_MESSAGES: usize = 4096;

/// A change of one row, or of the rows of one thing.
#[derive(Debug)]
pub(super) enum Row {
    Task {
        order: u64,
        row: Vec<u8>,
    },
    State {
        order: u64,
        row: Vec<u8>,
    },
    /// A state that waits for another commit to ride on.
    Note {
        order: u64,
        row: Vec<u8>,
    },
    Gone {
        order: u64,
    },
    Event {
        task: TaskId,
        number: Sequence,
        row: Vec<u8>,
    },
    Events {
        task: TaskId,
        last: Sequence,
    },
    Card {
        task: TaskId,
        change: u64,
        card: Option<Card>,
    },
}

/// Whether a commit was made, once that is known.
pub(super) type Answer = oneshot::Receiver<Result<(), StoreError>>;

/// What is sent to the writer.
#[derive(Debug)]
pub(super) enum Message {
    Rows {
        rows: Vec<Row>,
        answer: Option<oneshot::Sender<Result<(), StoreError>>>,
    },
    /// Commit what came before, and end.
    Close(oneshot::Sender<()>),
}

/// Where rows are put on their way to the writer.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) rows: Vec<Row>,
    writer: Sender<Message>,
}

impl Outbox {
    pub(super) fn new(writer: Sender<Message>) -> Self {
        let rows = Vec::new();
        Self { rows, writer }
    }

    /// Sends the rows on their way; the answer comes when they, and all before them, are on disk.
    pub(super) fn send(&mut self) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.post(Some(answer));
        answered
    }

    fn post(&mut self, answer: Option<oneshot::Sender<Result<(), StoreError>>>) {
        let rows = std::mem::take(&mut self.rows);
        // A writer that has ended answers nobody, and its callers see that the store is closed.
        let _ = self.writer.send(Message::Rows { rows, answer });
    }
}

impl Keeper for Outbox {
    fn keep(&mut self, change: Change) {
        if let Change::Goes { order } = change {
            self.rows.push(Row::Gone { order });
        } else if let Some((order, row)) = rows::encode_state(&change) {
            self.rows.push(Row::State { order, row });
        }
    }

    fn note(&mut self, change: Change) {
        if let Some((order, row)) = rows::encode_state(&change) {
            self.rows.push(Row::Note { order, row });
        }
    }

    fn flush(&mut self) {
        if !self.rows.is_empty() {
            self.post(None);
        }
    }
}

/// The thread's state.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) inbox: Receiver<Message>,
    pub(super) meta: Meta,
    pub(super) mark: File,
    /// Held until the thread ends.
    pub(super) directory: Directory,
    pub(super) notes: Notes,
}

/// States that wait for another commit to ride on.
#[derive(Debug, Default)]
pub(super) struct Notes {
    states: HashMap<u64, Vec<u8>>,
    due: Option<Instant>,
}

/// What is committed together.
#[derive(Debug, Default)]
struct Batch {
    rows: Vec<Row>,
    answers: Vec<oneshot::Sender<Result<(), StoreError>>>,
    close: Option<oneshot::Sender<()>>,
}

impl Writer {
    /// Commits until it is told to close, or nobody can tell it any more.
    pub(super) fn run(mut self) {
        let _stops = StopsWhenItPanics(Arc::clone(&self.shared));
        let closed = loop {
            let (mut batch, due) = self.gather();
            self.notes.take(&mut batch.rows);
            let notes = (due || batch.close.is_some()) && !self.notes.states.is_empty();
            self.work(&mut batch, notes);
            if let Some(closed) = batch.close {
                break closed;
            }
        };
        fail_point("close.before");
        self.shared.stop();
        if let Some(database) = self.shared.take_database() {
            // What was acknowledged is on disk; closing well only makes the next opening faster.
            let _ = database.close();
        }
        let _ = self.mark.sync_all();
        fail_point("close.after");
        drop(self.directory);
        let _ = closed.send(());
    }

    /// Waits for something to do, and takes all that is there. Says whether notes have come due.
    fn gather(&mut self) -> (Batch, bool) {
        let mut batch = Batch::default();
        let first = match self.notes.due {
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => self.inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match first {
            Ok(message) => batch.add(message),
            Err(RecvTimeoutError::Timeout) => return (batch, true),
            Err(RecvTimeoutError::Disconnected) => {
                batch.close = Some(oneshot::channel().0);
                return (batch, true);
            }
        }
        for _ in 1..MOST_MESSAGES {
            match self.inbox.try_recv() {
                Ok(message) if batch.close.is_none() => batch.add(message),
                _ => break,
            }
        }
        (batch, false)
    }

    /// Commits a batch, unless there is nothing in it, and tells everybody.
    fn work(&mut self, batch: &mut Batch, notes: bool) {
        let result = match self.shared.check() {
            // What was asked before is on disk, so there is nothing to wait for.
            Ok(()) if batch.rows.is_empty() && !notes => Ok(()),
            Ok(()) => self.commit(&batch.rows).map_err(|failure| self.shared.fail(failure)),
            Err(failure) => Err(failure),
        };
        if result.is_ok() {
            for row in batch.rows.drain(..) {
                match row {
                    Row::Task { order, .. } => self.shared.pushed(order),
                    Row::Card { task, change, card } => self.shared.recorded(&task, change, card),
                    _ => {}
                }
            }
        }
        for answer in batch.answers.drain(..) {
            // Whoever dropped their call does not want to know.
            let _ = answer.send(result.clone());
        }
    }

    /// Makes one commit of the rows and of the notes that ride on it.
    fn commit(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        let meta = Meta { commits: self.meta.commits + 1, ..self.meta };
        let notes = &self.notes.states;
        fail_point("commit.before");
        let written = self.shared.read(|database| write(database, meta, rows, notes))?;
        if written.is_some() {
            self.notes = Notes::default();
            self.meta = meta;
            fail_point("commit.after");
            let mark = Mark { commits: meta.commits };
            mark.write(&self.mark).map_err(StoreError::disk)?;
            fail_point("mark.after");
        }
        Ok(())
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
                self.rows.extend(rows);
                self.answers.extend(answer);
            }
            Message::Close(closed) => self.close = Some(closed),
        }
    }
}

impl Notes {
    /// Takes the notes out of a batch. A later row of the same task makes its note void.
    fn take(&mut self, rows: &mut Vec<Row>) {
        rows.retain_mut(|row| match row {
            Row::Note { order, row } => {
                self.states.insert(*order, std::mem::take(row));
                self.due.get_or_insert_with(|| Instant::now() + NOTE_DELAY);
                false
            }
            Row::State { order, .. } | Row::Gone { order } => {
                self.states.remove(order);
                true
            }
            _ => true,
        });
        if self.states.is_empty() {
            self.due = None;
        }
    }
}

/// Writes rows in one transaction, with two-phase commit.
pub(super) fn write(
    database: &Database,
    meta: Meta,
    rows: &[Row],
    notes: &HashMap<u64, Vec<u8>>,
) -> Result<(), StoreError> {
    let mut transaction = database.begin_write().map_err(StoreError::database)?;
    transaction.set_two_phase_commit(true);
    fill(&transaction, meta, rows, notes).map_err(StoreError::database)?;
    transaction.commit().map_err(StoreError::database)
}

fn fill(
    transaction: &WriteTransaction,
    meta: Meta,
    rows: &[Row],
    notes: &HashMap<u64, Vec<u8>>,
) -> Result<(), redb::Error> {
    let mut tasks = transaction.open_table(TASKS)?;
    let mut states = transaction.open_table(STATES)?;
    let mut cards = transaction.open_table(CARDS)?;
    let mut events = transaction.open_table(EVENTS)?;
    for row in rows {
        match row {
            Row::Task { order, row } => drop(tasks.insert(order, row.as_slice())?),
            Row::State { order, row } | Row::Note { order, row } => {
                states.insert(order, row.as_slice())?;
            }
            Row::Gone { order } => {
                tasks.remove(order)?;
                states.remove(order)?;
            }
            Row::Event { task, number, row } => {
                events.insert((task.as_str(), number.number()), row.as_slice())?;
            }
            Row::Events { task, last } => {
                for number in 1..=last.number() {
                    events.remove((task.as_str(), number))?;
                }
            }
            Row::Card { task, card: Some(card), .. } => {
                cards.insert(task.as_str(), rows::encode_card(task, card).as_slice())?;
            }
            Row::Card { task, card: None, .. } => drop(cards.remove(task.as_str())?),
        }
    }
    for (order, row) in notes {
        states.insert(order, row.as_slice())?;
    }
    transaction.open_table(META)?.insert(META_KEY, meta.encode().as_slice())?;
    Ok(())
}
