//! The tasks that are being driven in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::model::TaskId;
use crate::task::TaskRecord;

/// The tasks that are being driven in this process, each with what tells its driver to look at the
/// journal again.
#[derive(Clone, Debug, Default)]
pub(super) struct Active(Arc<Mutex<HashMap<TaskId, Driven>>>);

/// A task that is being driven.
#[derive(Debug)]
struct Driven {
    refresh: Arc<Notify>,
    key: Option<String>,
}

impl Active {
    pub(super) fn enter(&self, task: &TaskRecord, refresh: Arc<Notify>) {
        let driven = Driven { refresh, key: task.exclusive_key.clone() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(task.id.clone(), driven);
    }

    pub(super) fn leave(&self, task: &TaskId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(task);
    }

    pub(super) fn refresh(&self, task: &TaskId) {
        let active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driven) = active.get(task) {
            driven.refresh.notify_one();
        }
    }

    /// Says whether a task of this exclusive key is being driven.
    pub(super) fn has_key(&self, key: &str) -> bool {
        let active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        active.values().any(|driven| driven.key.as_deref() == Some(key))
    }
}
