//! A unit of queued work.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{DeploymentId, ReleaseTask, TaskId, Timestamp};

/// A unit of queued work: what a queue must know of it, and its content as bytes.
///
/// # Contract
///
/// 1. `id` is the same for the same work: a queue takes a task once.
/// 2. `payload` holds all that a worker needs after a restart of the process.
/// 3. Every method answers the same each time.
///
/// # Implementing
///
/// ```
/// use deploy_core::{Task, model::TaskId};
///
/// #[derive(Debug)]
/// struct Note(TaskId, String);
///
/// impl Task for Note {
///     fn id(&self) -> TaskId { self.0.clone() }
///     fn kind(&self) -> &'static str { "note" }
///     fn payload(&self) -> Vec<u8> { self.1.clone().into_bytes() }
/// }
/// ```
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` is not a task",
        note = "implement `deploy_core::Task`: an id, a kind, and the content as bytes"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Task: fmt::Debug + Send + Sync + 'static {
    /// The id of the task, unique in its queue.
    fn id(&self) -> TaskId;

    /// What kind of task it is, for whoever reads a queue that holds several.
    fn kind(&self) -> &'static str;

    /// The content, as bytes.
    fn payload(&self) -> Vec<u8>;

    /// When it may be claimed for the first time; at once by default.
    fn due(&self) -> Option<Timestamp> {
        None
    }

    /// Tasks with the same key are never claimed at the same time; no key by default.
    fn exclusive_key(&self) -> Option<String> {
        None
    }

    /// Of two due tasks the one with the higher priority is claimed first; 0 by default.
    fn priority(&self) -> i32 {
        0
    }
}

crate::wrappers::forward! {
    Task {
        fn id(&self) -> TaskId;
        fn kind(&self) -> &'static str;
        fn payload(&self) -> Vec<u8>;
        fn due(&self) -> Option<Timestamp>;
        fn exclusive_key(&self) -> Option<String>;
        fn priority(&self) -> i32;
    }
}

/// The task of a deployment on the control node's queue.
///
/// Its content is its id alone: the journal holds everything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeploymentTask {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Business and project: one deployment of a project at a time.
    pub key: String,
}

impl DeploymentTask {
    /// The kind of the task.
    pub const KIND: &'static str = "deployment";

    /// Makes the task of a deployment that excludes others of the same key.
    #[must_use]
    pub fn new(deployment: DeploymentId, key: String) -> Self {
        Self { deployment, key }
    }
}

impl Task for DeploymentTask {
    fn id(&self) -> TaskId {
        TaskId::from(&self.deployment)
    }

    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn payload(&self) -> Vec<u8> {
        to_json(self)
    }

    fn exclusive_key(&self) -> Option<String> {
        Some(self.key.clone())
    }
}

impl ReleaseTask {
    /// The kind of the task.
    pub const KIND: &'static str = "release";
}

impl Task for ReleaseTask {
    fn id(&self) -> TaskId {
        self.id.clone()
    }

    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn payload(&self) -> Vec<u8> {
        to_json(self)
    }
}

/// Writes a value of ours as JSON.
fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    // Our types have text keys and no failing serializer, which is all that could go wrong.
    serde_json::to_vec(value).unwrap_or_else(|error| unreachable!("a task is valid JSON: {error}"))
}

/// A task as a queue holds it: its answers, taken down once. Its content is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The id.
    pub id: TaskId,
    /// The kind.
    pub kind: String,
    /// The content.
    pub payload: Arc<[u8]>,
    /// When it may be claimed for the first time.
    pub due: Option<Timestamp>,
    /// Tasks with the same key are never claimed at the same time.
    pub exclusive_key: Option<String>,
    /// Of two due tasks the one with the higher priority is claimed first.
    pub priority: i32,
}

impl fmt::Debug for TaskRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, payload, due, exclusive_key, priority } = self;
        f.debug_struct("TaskRecord")
            .field("id", id)
            .field("kind", kind)
            // What is in it is nobody's business in a log, and may be long.
            .field("payload", &format_args!("{} bytes", payload.len()))
            .field("due", due)
            .field("exclusive_key", exclusive_key)
            .field("priority", priority)
            .finish()
    }
}

impl TaskRecord {
    /// Makes the record of a task that is due at once, for a queue that reads it back from a store.
    #[must_use]
    pub fn new(id: TaskId, kind: impl Into<String>, payload: impl Into<Arc<[u8]>>) -> Self {
        Self {
            id,
            kind: kind.into(),
            payload: payload.into(),
            due: None,
            exclusive_key: None,
            priority: 0,
        }
    }

    /// Sets when it may be claimed for the first time.
    #[must_use]
    pub fn with_due(mut self, due: Timestamp) -> Self {
        self.due = Some(due);
        self
    }

    /// Sets the key that excludes others.
    #[must_use]
    pub fn with_exclusive_key(mut self, key: impl Into<String>) -> Self {
        self.exclusive_key = Some(key.into());
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Takes down a task.
    #[must_use]
    pub fn of(task: &dyn Task) -> Self {
        Self {
            id: task.id(),
            kind: task.kind().to_owned(),
            payload: task.payload().into(),
            due: task.due(),
            exclusive_key: task.exclusive_key(),
            priority: task.priority(),
        }
    }
}
