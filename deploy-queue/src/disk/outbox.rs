//! Where rows are put on their way to the writer.

use std::sync::mpsc::Sender;

use tokio::sync::oneshot;

use super::error::StoreError;
use super::row::Row;
use super::rows;
use crate::desk::Keeper;
use crate::ledger::Change;

/// Whether a commit was made, once that is known.
pub(super) type Answer = oneshot::Receiver<Result<(), StoreError>>;

/// What is sent to the writer.
#[derive(Debug)]
pub(super) enum Message {
    /// Commit rows.
    Rows {
        /// The rows.
        rows: Vec<Row>,
        /// Who is told.
        answer: Option<oneshot::Sender<Result<(), StoreError>>>,
    },
    /// Ask for the notes soon.
    Fetch,
    /// Commit what came before, and end.
    Close(oneshot::Sender<()>),
}

/// Where rows are put on their way to the writer.
///
/// How often a task was claimed is a note: it waits here for the next rows, so that a claim wakes
/// nobody. The writer fetches the notes for which none came.
#[derive(Debug)]
pub(super) struct Outbox {
    rows: Vec<Row>,
    /// How many of the rows are more than notes.
    urgent: usize,
    /// The writer knows that there are notes, or has yet to see that there are none.
    told: bool,
    writer: Sender<Message>,
}

impl Outbox {
    pub(super) fn new(writer: Sender<Message>) -> Self {
        Self { rows: Vec::new(), urgent: 0, told: false, writer }
    }

    /// Puts in a row.
    pub(super) fn put(&mut self, row: Row) {
        self.rows.push(row);
        self.urgent += 1;
    }

    /// Puts in the row of what became of a task.
    pub(super) fn keep(&mut self, change: &Change) {
        match change {
            Change::Goes { order } => self.rows.push(Row::Gone { order: *order }),
            Change::Waits { .. } | Change::Dies { .. } => self.put_state(change),
        }
        self.urgent += 1;
    }

    /// Sends the rows on their way; the answer comes when they, and all before them, are on disk.
    pub(super) fn send(&mut self) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.post(Some(answer));
        answered
    }

    /// Sends the notes that nothing came for. Says whether there were any; the writer asks again
    /// later then.
    pub(super) fn fetch(&mut self) -> bool {
        self.told = !self.rows.is_empty();
        if self.told {
            self.post(None);
        }
        self.told
    }

    fn post(&mut self, answer: Option<oneshot::Sender<Result<(), StoreError>>>) {
        let rows = std::mem::take(&mut self.rows);
        self.urgent = 0;
        // A writer that has ended answers nobody, and its callers see that the store is closed.
        let _ = self.writer.send(Message::Rows { rows, answer });
    }

    fn put_state(&mut self, change: &Change) {
        if let Some((order, row)) = rows::encode_state(change) {
            self.rows.push(Row::State { order, row });
        }
    }
}

impl Keeper for Outbox {
    fn note(&mut self, change: Change) {
        self.put_state(&change);
    }

    fn flush(&mut self) {
        if self.urgent > 0 {
            self.post(None);
        } else if !self.rows.is_empty() && !self.told {
            self.told = true;
            let _ = self.writer.send(Message::Fetch);
        }
    }
}
