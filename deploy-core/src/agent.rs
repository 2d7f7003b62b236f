//! The agent node: inside a cloud, with a queue and workers, it installs releases on its hosts.

mod builder;

use std::sync::Arc;

pub use builder::AgentNodeBuilder;

use crate::engine::{Accepted, Engine, EventStream, NodeError, check};
use crate::event::{Fact, Sequence};
use crate::journal::JournalQuery;
use crate::model::{Actor, ReleaseTask, TaskId};
use crate::state::TaskState;
use crate::summary::TaskSummary;
use crate::task::TaskRecord;

/// The agent node: the same engine as the control node's, for release tasks.
///
/// It knows its hosts by its own resolver and does what a task says only on those. Its API over HTTP
/// is `deploy_http::agent_router`. Cheap to clone; when the last clone is dropped its workers let go
/// of what they are at.
#[derive(Clone, Debug)]
pub struct AgentNode {
    engine: Arc<Engine>,
}

impl AgentNode {
    /// Begins to put an agent node together.
    pub fn builder() -> AgentNodeBuilder {
        AgentNodeBuilder::default()
    }

    /// Takes a release task. When this has answered, the task is kept. The same task again is the
    /// same task.
    ///
    /// # Errors
    ///
    /// `Invalid` with all faults at once, `Conflict` when the id is taken by another task, `Busy`,
    /// `ShuttingDown`, `Storage`.
    ///
    /// Cancel safety: when the future is dropped it is open whether the task was taken; give it
    /// again.
    pub async fn accept(&self, task: ReleaseTask) -> Result<Accepted, NodeError> {
        check(&task)?;
        let record = TaskRecord::of(&task);
        self.engine.accept(Fact::TaskAccepted { task: Box::new(task) }, Vec::new(), record).await
    }

    /// How far a task has come.
    ///
    /// # Errors
    ///
    /// `Unknown`, `Storage`.
    pub async fn state(&self, id: &TaskId) -> Result<TaskState, NodeError> {
        self.engine.state(id).await
    }

    /// The events of a task after a number, those that are recorded and those to come, up to its
    /// end. A task that is not there is waited for.
    #[must_use]
    pub fn events(&self, id: &TaskId, after: Sequence) -> EventStream {
        self.engine.events(id, after)
    }

    /// The tasks that match a query, those accepted last first.
    ///
    /// # Errors
    ///
    /// `Storage`.
    pub async fn history(&self, query: JournalQuery) -> Result<Vec<TaskSummary>, NodeError> {
        self.engine.list(query).await
    }

    /// Cancels a task: hosts that have not begun are left alone, the others are stopped where they
    /// stay whole. Doing so again, or after its end, changes nothing.
    ///
    /// # Errors
    ///
    /// `Unknown`, `Storage`.
    pub async fn cancel(&self, id: &TaskId, by: impl Into<Actor> + Send) -> Result<(), NodeError> {
        self.engine.cancel(id, by.into()).await
    }

    /// Shuts down: nothing new is taken; what runs is waited for as long as the builder's `drain`
    /// says; what is left is let go, which puts its hosts back, and handed back to the queue.
    pub async fn shutdown(&self) {
        self.engine.shutdown().await;
    }
}
