//! A journal in memory: for tests, and for facts that may be lost with the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_core::model::TaskId;
use deploy_core::{Event, Journal, JournalError, JournalQuery, Sequence, TaskSummary};

use crate::catalog::{Catalog, Followers};

/// A journal in memory: for tests, and for facts that may be lost with the process.
#[derive(Default)]
pub struct MemoryJournal {
    state: Mutex<State>,
    followers: Followers,
}

impl fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what it holds: there may be many tasks.
        f.debug_struct("MemoryJournal").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    catalog: Catalog,
    events: HashMap<TaskId, Vec<Event>>,
    closed: bool,
}

impl MemoryJournal {
    /// Makes an empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Closes the journal: every call, also a waiting `follow`, ends with [`JournalError::Closed`].
    pub fn close(&self) {
        self.lock().closed = true;
        self.followers.wake_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, while the journal is open.
    fn open(&self) -> Result<MutexGuard<'_, State>, JournalError> {
        let state = self.lock();
        if state.closed {
            return Err(JournalError::Closed);
        }
        Ok(state)
    }
}

impl State {
    fn read(&self, task: &TaskId, after: Sequence, limit: usize) -> Vec<Event> {
        let events = self.events.get(task).map_or(&[][..], Vec::as_slice);
        // The event with the number n is at n - 1, since the first is 1 and there are no gaps.
        let from = usize::try_from(after.number()).unwrap_or(usize::MAX).min(events.len());
        events[from..].iter().take(limit).cloned().collect()
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, events: Vec<Event>) -> Result<(), JournalError> {
        let task = {
            let mut state = self.open()?;
            let Some(task) = events.first().map(|event| event.task.clone()) else {
                return Ok(());
            };
            let card = state.catalog.card(&task).cloned().unwrap_or_default();
            let card = card.after(&events)?;
            state.catalog.put(task.clone(), card);
            state.events.entry(task.clone()).or_default().extend(events);
            task
        };
        self.followers.wake(&task);
        Ok(())
    }

    async fn read(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        Ok(self.open()?.read(&task, after, limit))
    }

    async fn follow(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        let look = || match self.open() {
            Ok(state) if state.catalog.last(&task) <= after => None,
            Ok(state) => Some(Ok(state.read(&task, after, limit))),
            Err(closed) => Some(Err(closed)),
        };
        self.followers.until(&task, look).await
    }

    async fn list(&self, query: JournalQuery) -> Result<Vec<TaskSummary>, JournalError> {
        Ok(self.open()?.catalog.list(&query))
    }

    async fn remove(&self, task: TaskId) -> Result<bool, JournalError> {
        let mut state = self.open()?;
        state.events.remove(&task);
        Ok(state.catalog.remove(&task).is_some())
    }
}
