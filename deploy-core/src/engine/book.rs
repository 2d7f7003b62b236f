//! The book of one task: its state, and the only way to add facts to it.

use std::sync::Arc;

use crate::clock::Clock;
use crate::event::{Event, Fact, Sequence};
use crate::journal::{Journal, JournalError};
use crate::model::{TaskId, Timestamp};
use crate::observer::Observer;
use crate::state::{Phase, TaskState};

/// How many events are read at once.
const PAGE: usize = 1_000;

/// The state of a task together with the journal it is folded from.
#[derive(Debug)]
pub(super) struct Book {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    state: TaskState,
}

impl Book {
    /// Reads the book of a task; `None` when the journal has none.
    pub(super) async fn open(
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        task: &TaskId,
    ) -> Result<Option<Self>, JournalError> {
        let first = journal.read(task.clone(), Sequence::START, PAGE).await?;
        let Some(state) = TaskState::fold(&first) else {
            return Ok(None);
        };
        let mut book = Self { journal, clock, observer, state };
        book.catch_up().await?;
        Ok(Some(book))
    }

    /// The task's state, as of the last event read or recorded.
    pub(super) fn state(&self) -> &TaskState {
        &self.state
    }

    /// Reads what others have recorded.
    pub(super) async fn catch_up(&mut self) -> Result<(), JournalError> {
        loop {
            let task = self.state.task.clone();
            let events = self.journal.read(task, self.state.last, PAGE).await?;
            for event in &events {
                self.state.apply(event);
            }
            if events.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Records what happened, all or none. Says whether it was recorded: nothing is after the end.
    ///
    /// When somebody else recorded something in the meantime it is read first, and the facts follow
    /// it: what happened stays true.
    pub(super) async fn record(&mut self, facts: Vec<Fact>) -> Result<bool, JournalError> {
        while self.state.phase != Phase::Finished {
            if self.append(&facts).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Records what was decided, all or none. Says whether it was recorded.
    ///
    /// When somebody else recorded something in the meantime it is read, and nothing is recorded:
    /// the decision has to be made again.
    pub(super) async fn record_decision(&mut self, facts: Vec<Fact>) -> Result<bool, JournalError> {
        Ok(self.state.phase != Phase::Finished && self.append(&facts).await?)
    }

    /// Appends facts behind the last event that is known; reads on when that is not the last one.
    async fn append(&mut self, facts: &[Fact]) -> Result<bool, JournalError> {
        if facts.is_empty() {
            return Ok(true);
        }
        let now = self.now();
        let number = |(index, fact): (usize, &Fact)| {
            let sequence = self.state.last.plus(index as u64 + 1);
            Event::new(self.state.task.clone(), sequence, now, fact.clone())
        };
        let events: Vec<_> = facts.iter().enumerate().map(number).collect();
        match self.journal.append(events.clone()).await {
            Ok(()) => {
                for event in &events {
                    self.state.apply(event);
                    self.observer.observe(event);
                }
                Ok(true)
            }
            Err(JournalError::Conflict { .. }) => {
                self.catch_up().await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
