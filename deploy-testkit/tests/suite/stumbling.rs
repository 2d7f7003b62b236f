//! A journal that fails once, or forgets what it has listed, when it is told to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use deploy_core::model::TaskId;
use deploy_core::{Event, Journal, JournalError, JournalQuery, Sequence, TaskSummary};
use deploy_queue::MemoryJournal;

/// A journal that fails once, or forgets what it has listed, when it is told to.
#[derive(Debug)]
pub(crate) struct Stumbling {
    inner: Arc<MemoryJournal>,
    fails_at: Mutex<Option<&'static str>>,
    forgets: AtomicBool,
}

impl Stumbling {
    pub(crate) fn new(inner: &Arc<MemoryJournal>) -> Arc<Self> {
        let (inner, fails_at) = (Arc::clone(inner), Mutex::default());
        Arc::new(Self { inner, fails_at, forgets: AtomicBool::new(false) })
    }

    /// Does not record the next fact of this name.
    pub(crate) fn fail_at(&self, name: &'static str) {
        *self.fails_at.lock().unwrap() = Some(name);
    }

    /// Forgets each task that it lists from now on: somebody else cleans up.
    pub(crate) fn forget(&self) {
        self.forgets.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Journal for Stumbling {
    async fn append(&self, events: Vec<Event>) -> Result<(), JournalError> {
        let named = |name: &mut &str| events.iter().any(|event| event.fact.name() == *name);
        if self.fails_at.lock().unwrap().take_if(named).is_some() {
            return Err(JournalError::Storage { source: "planted".into() });
        }
        self.inner.append(events).await
    }

    async fn read(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        self.inner.read(task, after, limit).await
    }

    async fn follow(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        self.inner.follow(task, after, limit).await
    }

    async fn list(&self, query: JournalQuery) -> Result<Vec<TaskSummary>, JournalError> {
        let list = self.inner.list(query).await?;
        for summary in list.iter().filter(|_| self.forgets.load(Ordering::SeqCst)) {
            self.inner.remove(summary.task.clone()).await?;
        }
        Ok(list)
    }

    async fn remove(&self, task: TaskId) -> Result<bool, JournalError> {
        self.inner.remove(task).await
    }
}
