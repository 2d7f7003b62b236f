//! What both nodes are made of: accepting tasks, answering for them, and stopping.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;

use super::book::Book;
use super::decide::{Next, decide};
use super::fence::Fences;
use super::stream::EventStream;
use super::workers::Workers;
use crate::cancel::CancelToken;
use crate::clock::Clock;
use crate::document::{Decode, Fault, Faults};
use crate::event::{Event, Fact, Sequence};
use crate::executor::Executor;
use crate::failure::Retry;
use crate::gate::Gate;
use crate::journal::{Journal, JournalError, JournalQuery};
use crate::model::{ReleaseTask, TaskId, Timestamp};
use crate::observer::Observer;
use crate::parser::{Format, ParseError};
use crate::queue::{Pushed, Queue, QueueError};
use crate::resolver::AgentResolver;
use crate::retention::Retention;
use crate::state::{Phase, Subject, TaskState};
use crate::summary::TaskSummary;
use crate::task::{DeploymentTask, TaskRecord};
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
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) fences: Fences,
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
}

/// What `accept` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The task is new, and kept.
    New,
    /// The same task was accepted before.
    Known,
}

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The id is taken by a task with another content.
    #[error("the id {id} is taken by a task with another content")]
    Conflict {
        /// The id.
        id: TaskId,
    },
    /// There is no task of this id.
    #[error("no task {id} is known")]
    Unknown {
        /// The id.
        id: TaskId,
    },
    /// The request or the task is not one.
    #[error("{0}")]
    Invalid(Faults),
    /// The node has as much work as it can hold.
    #[error("the node has as much work as it can hold")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The node shuts down and takes nothing new.
    #[error("the node shuts down")]
    ShuttingDown,
    /// The queue or the journal failed.
    #[error("the node's store failed")]
    Storage {
        /// What failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl NodeError {
    /// Whether the same call is worth making again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Conflict { .. } | Self::Unknown { .. } | Self::Invalid(_) => Retry::Never,
            Self::Busy { retry_after } => Retry::After(*retry_after),
            Self::ShuttingDown => Retry::After(Duration::from_secs(5)),
            Self::Storage { .. } => Retry::Never,
        }
    }
}

impl From<JournalError> for NodeError {
    fn from(error: JournalError) -> Self {
        Self::Storage { source: Box::new(error) }
    }
}

impl From<QueueError> for NodeError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Conflict { id } => Self::Conflict { id },
            QueueError::Full { .. } => Self::Busy { retry_after: Duration::from_secs(1) },
            error => Self::Storage { source: Box::new(error) },
        }
    }
}

/// How many tasks can be accepted at once without waiting for each other, about.
const TURNS: usize = 64;

/// A node: its parts, its workers, and the tasks they are at.
#[derive(Debug)]
pub(crate) struct Engine {
    parts: Arc<Parts>,
    active: Active,
    workers: Workers,
    stop: CancelToken,
    turns: Vec<tokio::sync::Mutex<()>>,
}

/// The tasks that are being driven in this process, each with what tells its driver to look at the
/// journal again.
#[derive(Clone, Debug, Default)]
pub(super) struct Active(Arc<Mutex<HashMap<TaskId, Arc<Notify>>>>);

impl Active {
    pub(super) fn enter(&self, task: TaskId, refresh: Arc<Notify>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(task, refresh);
    }

    pub(super) fn leave(&self, task: &TaskId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(task);
    }

    fn refresh(&self, task: &TaskId) {
        let active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refresh) = active.get(task) {
            refresh.notify_one();
        }
    }
}

impl Engine {
    /// Puts what the journal holds unfinished back into the queue, where it is missing, and starts
    /// the workers.
    pub(crate) async fn start(parts: Parts) -> Result<Self, NodeError> {
        let parts = Arc::new(parts);
        recover(&parts).await?;
        let active = Active::default();
        let stop = CancelToken::new();
        let workers = Workers::start(&parts, &active, &stop);
        let turns = std::iter::repeat_with(Default::default).take(TURNS).collect();
        Ok(Self { parts, active, workers, stop, turns })
    }

    /// Records a task and queues it. When this has answered, the task is kept.
    ///
    /// The journal comes first: a task that is in the journal and not in the queue is put there by
    /// the next start, so that nothing which was answered is lost. Two calls for one id come one
    /// after the other, so that none is told of a task that another takes back.
    pub(crate) async fn accept(
        &self,
        fact: Fact,
        record: TaskRecord,
    ) -> Result<Accepted, NodeError> {
        if self.stop.is_cancelled() {
            return Err(NodeError::ShuttingDown);
        }
        let id = record.id.clone();
        let _turn = self.turn(&id).lock().await;
        let first = Event::new(id.clone(), Sequence::new(1), self.parts.clock.now(), fact);
        match self.parts.journal.append(vec![first.clone()]).await {
            Ok(()) => {
                // Before a worker can have it, so that this comes first.
                self.parts.observers.observe(&first);
                match self.parts.queue.push(record.with_due(first.at)).await {
                    Ok(Pushed::New | Pushed::Known) => Ok(Accepted::New),
                    // The queue certainly does not have it.
                    Err(error @ (QueueError::Full { .. } | QueueError::TooLarge { .. })) => {
                        self.parts.journal.remove(id).await?;
                        Err(error.into())
                    }
                    // Whether the queue has it is open: it stays recorded, and is queued by the next
                    // start, or when it is accepted again.
                    Err(error) => Err(error.into()),
                }
            }
            Err(JournalError::Conflict { .. }) => {
                let known = self.parts.journal.read(id.clone(), Sequence::START, 1).await?;
                let Some(known) = known.first().filter(|known| known.fact == first.fact) else {
                    return Err(NodeError::Conflict { id });
                };
                if self.state(&id).await?.phase != Phase::Finished {
                    let pushed = self.parts.queue.push(record.with_due(known.at)).await;
                    let (Pushed::New | Pushed::Known) = pushed?;
                }
                Ok(Accepted::Known)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What lets calls for one id come one after the other.
    fn turn(&self, id: &TaskId) -> &tokio::sync::Mutex<()> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let index = hasher.finish() % self.turns.len() as u64;
        &self.turns[usize::try_from(index).unwrap_or(0)]
    }

    /// The state of a task.
    pub(crate) async fn state(&self, id: &TaskId) -> Result<TaskState, NodeError> {
        match self.open(id).await? {
            Some(book) => Ok(book.state().clone()),
            None => Err(NodeError::Unknown { id: id.clone() }),
        }
    }

    async fn open(&self, id: &TaskId) -> Result<Option<Book>, JournalError> {
        let observers = Arc::new(self.parts.observers.clone());
        let (journal, clock) = (Arc::clone(&self.parts.journal), Arc::clone(&self.parts.clock));
        Book::open(journal, clock, observers, id).await
    }

    /// The events of a task after a number, up to its end.
    pub(crate) fn events(&self, id: &TaskId, after: Sequence) -> EventStream {
        EventStream::new(Arc::clone(&self.parts.journal), id.clone(), after)
    }

    /// The tasks that match a query.
    pub(crate) async fn list(&self, query: JournalQuery) -> Result<Vec<TaskSummary>, NodeError> {
        Ok(self.parts.journal.list(query).await?)
    }

    /// Records that a task is to be cancelled. When nothing is being done for it, it ends here and
    /// now, wherever it waits; otherwise its driver is told.
    pub(crate) async fn cancel(&self, id: &TaskId, reason: &str) -> Result<(), NodeError> {
        let Some(mut book) = self.open(id).await? else {
            return Err(NodeError::Unknown { id: id.clone() });
        };
        if book.state().cancel.is_none() {
            let reason = reason.chars().filter(|c| !c.is_control()).take(512).collect();
            book.record(vec![Fact::CancelRequested { reason }]).await?;
        }
        // A driver that hands hosts out in the meantime records it, and so this decision fails; one
        // that comes later finds the end recorded.
        while let Next::Finish(facts) =
            decide(book.state(), self.parts.clock.now(), &BTreeSet::new())
        {
            if book.record_decision(facts).await? {
                // It need not stay in the queue until its time.
                self.parts.queue.reschedule(id.clone(), self.parts.clock.now()).await?;
                break;
            }
        }
        self.active.refresh(id);
        Ok(())
    }

    /// Makes a task due that waits for its time or for a gate.
    pub(crate) async fn recheck(&self, id: &TaskId) -> Result<(), NodeError> {
        if self.state(id).await?.phase != Phase::Finished {
            self.parts.queue.reschedule(id.clone(), self.now()).await?;
        }
        Ok(())
    }

    /// The present time of the node's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// Takes nothing new, waits for what runs as long as configured, hands back what is left.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel("the node shuts down");
        self.workers.finish(self.parts.config.drain).await;
    }
}

/// Checks a value whose fields the host application has set by hand as if it had been read from a
/// document, so that what is not allowed there is refused here too.
pub(crate) fn check<T: Serialize + Decode>(value: &T) -> Result<(), NodeError> {
    let written = serde_json::to_vec(value).map_err(|e| NodeError::Storage { source: e.into() })?;
    match Format::Json.read::<T>(&written) {
        Ok(_) => Ok(()),
        Err(ParseError::Invalid(faults)) => Err(NodeError::Invalid(faults)),
        Err(error) => {
            let fault = Fault::new("", error.to_string(), "a document of ordinary size");
            Err(NodeError::Invalid(fault.into()))
        }
    }
}

/// Puts every unfinished task of the journal into the queue, in the order in which they were
/// accepted; those that are there stay as they are.
async fn recover(parts: &Parts) -> Result<(), NodeError> {
    let mut query = JournalQuery::new().with_finished(false);
    let mut unfinished = Vec::new();
    loop {
        let page = parts.journal.list(query.clone()).await?;
        let Some(last) = page.last() else { break };
        query = query.with_after(last.task.clone());
        unfinished.extend(page.into_iter().map(|summary| (summary.task, summary.accepted_at)));
    }
    for (task, accepted_at) in unfinished.into_iter().rev() {
        let first = parts.journal.read(task, Sequence::START, 1).await?;
        let state = first.first().and_then(TaskState::of);
        let record = state.and_then(|state| record_of(parts.role, &state.subject));
        let Some(record) = record else { continue };
        match parts.queue.push(record.with_due(accepted_at)).await {
            // A task of the same id is there: it is this one.
            Ok(_) | Err(QueueError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The queued form of a task; `None` when it belongs to the other kind of node.
fn record_of(role: Role, subject: &Subject) -> Option<TaskRecord> {
    match (role, subject) {
        (Role::Control, Subject::Deployment { id, .. }) => {
            let key = exclusive_key(subject);
            Some(TaskRecord::of(&DeploymentTask::new(id.clone(), key)))
        }
        (Role::Agent, Subject::Release { task }) => Some(TaskRecord::of(&**task)),
        _ => None,
    }
}

/// One deployment of a project at a time. Names hold no slash.
pub(crate) fn exclusive_key(subject: &Subject) -> String {
    format!("{}/{}", subject.business(), subject.project())
}
