//! What a node is made of: the parts that a host application gives it, and its figures.

use std::sync::Arc;
use std::time::Duration;

use super::book::Book;
use super::fence::Fences;
use super::room::Room;
use crate::clock::Clock;
use crate::executor::Executor;
use crate::gate::Gate;
use crate::journal::{Journal, JournalError};
use crate::model::{ReleaseTask, TaskId};
use crate::observer::Observer;
use crate::queue::Queue;
use crate::resolver::AgentResolver;
use crate::retention::Retention;
use crate::task::DeploymentTask;
use crate::verifier::Verifier;

/// The parts that a host application gives a node.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) role: Role,
    pub(crate) config: EngineConfig,
    pub(crate) resolver: Arc<dyn AgentResolver>,
    /// Required on a control node; an agent's executor fetches the packages there.
    pub(crate) verifier: Option<Arc<dyn Verifier>>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gates: Vec<Arc<dyn Gate>>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) fences: Fences,
    pub(crate) room: Room,
}

impl Parts {
    /// Reads the book of a task; `None` when the journal has none.
    pub(super) async fn book(&self, task: &TaskId) -> Result<Option<Book>, JournalError> {
        let (journal, clock) = (Arc::clone(&self.journal), Arc::clone(&self.clock));
        Book::open(journal, clock, Arc::clone(&self.observer), task).await
    }
}

/// Which of the two nodes it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Control,
    Agent,
}

impl Role {
    /// The kind of the tasks that the node works on.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Control => DeploymentTask::KIND,
            Self::Agent => ReleaseTask::KIND,
        }
    }
}

/// The figures of a node.
#[derive(Clone, Debug)]
pub(crate) struct EngineConfig {
    /// The name of the node, for leases and locks.
    pub(crate) name: String,
    /// How many tasks are worked on at once.
    pub(crate) workers: usize,
    /// How long a lease lasts when it is not renewed.
    pub(crate) lease: Duration,
    /// How often a task is attempted.
    pub(crate) max_attempts: u32,
    /// How long a shutdown waits for what runs.
    pub(crate) drain: Duration,
    /// How long finished tasks stay in the journal.
    pub(crate) retention: Retention,
    /// How many hosts are done at once, over all tasks.
    pub(crate) max_hosts: Option<usize>,
}
