//! What both nodes are made of: accepting tasks, answering for them, and stopping.

use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::active::Active;
use super::book::Book;
use super::decide::{Here, Next, decide};
use super::fence::Fences;
use super::line::{self, Line};
use super::room::Room;
use super::stream::EventStream;
use super::verbs::{self, Verb, Wish};
use super::workers::Workers;
use crate::cancel::CancelToken;
use crate::clock::Clock;
use crate::document::{Decode, Fault, Faults};
use crate::event::{Event, Fact, Sequence};
use crate::executor::Executor;
use crate::failure::{Failure, Retry};
use crate::gate::Gate;
use crate::journal::{Journal, JournalError, JournalQuery};
use crate::model::{Actor, DeploymentId, ReleaseTask, TaskId, Timestamp};
use crate::observer::{NullObserver, Observer};
use crate::parser::{Format, ParseError};
use crate::plan::Drift;
use crate::queue::{Pushed, Queue, QueueError};
use crate::resolver::AgentResolver;
use crate::retention::Retention;
use crate::state::{Phase, Subject, TaskState};
use crate::summary::TaskSummary;
use crate::task::{DeploymentTask, TaskRecord};
use crate::verifier::Verifier;
use serde::Serialize;

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
    pub(crate) room: Room,
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
    /// What was asked makes no sense for the task as it is.
    #[error("cannot {verb} {id} while it is {}{}", .phase.as_str(), behind_colon(.reason.as_ref()))]
    NotNow {
        /// The id.
        id: TaskId,
        /// What was asked.
        verb: Verb,
        /// How far the task has come.
        phase: Phase,
        /// Why it makes no sense, in words; none where the phase says it.
        reason: Option<String>,
    },
    /// The request or the task is not one.
    #[error("{0}")]
    Invalid(Faults),
    /// The hosts or the package of a request to plan cannot be had.
    #[error("no plan can be made: {failure}")]
    Unplannable {
        /// Why.
        failure: Box<Failure>,
    },
    /// The world is not any more as it was when the plan was made.
    #[error("the plan does not hold any more: {}", in_words(.drifts))]
    Drifted {
        /// What has changed, all of it.
        drifts: Vec<Drift>,
    },
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
            Self::Conflict { .. }
            | Self::Unknown { .. }
            | Self::NotNow { .. }
            | Self::Invalid(_)
            | Self::Drifted { .. } => Retry::Never,
            Self::Unplannable { failure } => failure.retry,
            Self::Busy { retry_after } => Retry::After(*retry_after),
            Self::ShuttingDown => Retry::After(Duration::from_secs(5)),
            Self::Storage { .. } => Retry::Never,
        }
    }
}

fn behind_colon(reason: Option<&String>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn in_words(drifts: &[Drift]) -> String {
    drifts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
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
    ///
    /// `more` are facts that are recorded together with the acceptance.
    pub(crate) async fn accept(
        &self,
        fact: Fact,
        more: Vec<Fact>,
        record: TaskRecord,
    ) -> Result<Accepted, NodeError> {
        if self.stop.is_cancelled() {
            return Err(NodeError::ShuttingDown);
        }
        let id = record.id.clone();
        let _turn = self.turn(&id).lock().await;
        let now = self.parts.clock.now();
        let event = |(number, fact)| Event::new(id.clone(), Sequence::new(number), now, fact);
        let first = event((1, fact.clone()));
        let events: Vec<_> = (1..).zip(std::iter::once(fact).chain(more)).map(event).collect();
        match self.parts.journal.append(events.clone()).await {
            Ok(()) => {
                // Before a worker can have it, so that this comes first.
                events.iter().for_each(|event| self.parts.observers.observe(event));
                let busy = record.exclusive_key.as_ref().is_some_and(|k| self.active.has_key(k));
                match self.parts.queue.push(record.with_due(now)).await {
                    Ok(Pushed::New | Pushed::Known) => {
                        if busy {
                            self.record_line(&id, Sequence::new(events.len() as u64)).await;
                        }
                        Ok(Accepted::New)
                    }
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

    /// Records, for people, that a task was accepted behind another one that is being worked on, unless
    /// it has gone on already. It is accepted in any case.
    async fn record_line(&self, id: &TaskId, accepted: Sequence) {
        let record = async {
            let Some(mut book) = self.open(id).await?.filter(|b| b.state().last == accepted) else {
                return Ok(());
            };
            let line = Line::before(&self.parts, book.state()).await?;
            book.record_decision(line.fact().into_iter().collect()).await.map(|_| ())
        };
        if let Err(error) = record.await {
            let error: JournalError = error;
            tracing::warn!(target: "deploy", task = %id, %error, "its place in line is not recorded");
        }
    }

    /// The unfinished deployments of the project that come before this one, the first first.
    pub(crate) async fn line(&self, id: &TaskId) -> Result<Vec<DeploymentId>, NodeError> {
        let state = self.state(id).await?;
        if state.began || state.phase == Phase::Finished {
            return Ok(Vec::new());
        }
        Ok(Line::before(&self.parts, &state).await?.ids())
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
    pub(crate) async fn cancel(&self, id: &TaskId, by: Actor) -> Result<(), NodeError> {
        let Some(mut book) = self.open(id).await? else {
            return Err(NodeError::Unknown { id: id.clone() });
        };
        if book.state().cancel.is_none() {
            let Actor { who, why, .. } = by.cleaned();
            let who = Some(who).filter(|who| !who.is_empty());
            book.record(vec![Fact::CancelRequested { reason: why, who }]).await?;
        }
        // A driver that hands hosts out in the meantime records it, and so this decision fails; one
        // that comes later finds the end recorded.
        while let Next::Finish(facts) =
            decide(book.state(), self.parts.clock.now(), &Here::default())
        {
            if book.record_decision(facts).await? {
                // It need not stay in the queue until its time.
                self.parts.queue.reschedule(id.clone(), self.parts.clock.now()).await?;
                line::wake(&self.parts, &book.state().subject).await?;
                return Ok(());
            }
        }
        self.go_on(&book).await
    }

    /// Records what a person wants, on the state that it makes sense for, and lets the task go on from
    /// there.
    pub(crate) async fn intervene(
        &self,
        id: &TaskId,
        wish: &Wish,
        by: Actor,
    ) -> Result<(), NodeError> {
        let Some(mut book) = self.open(id).await? else {
            return Err(NodeError::Unknown { id: id.clone() });
        };
        let by = by.cleaned();
        loop {
            let facts = verbs::facts(book.state(), wish, &by).map_err(|reason| {
                let (verb, phase) = (wish.verb(), book.state().phase);
                NodeError::NotNow { id: id.clone(), verb, phase, reason }
            })?;
            if facts.is_empty() {
                return Ok(());
            }
            // What somebody else has recorded in the meantime may have changed what makes sense.
            if book.record_decision(facts).await? {
                return self.go_on(&book).await;
            }
        }
    }

    /// Tells whoever drives a task to look at its journal, or lets it be driven when nobody does.
    async fn go_on(&self, book: &Book) -> Result<(), NodeError> {
        let state = book.state();
        self.active.refresh(&state.task);
        // With its place in line. Where it is being driven this changes nothing, and its worker sees
        // to it that what was recorded is not slept through.
        self.parts.queue.reschedule(state.task.clone(), state.accepted_at).await?;
        Ok(())
    }

    /// Makes a task due that waits for its time or for a gate.
    pub(crate) async fn recheck(&self, id: &TaskId) -> Result<(), NodeError> {
        if self.state(id).await?.phase != Phase::Finished {
            self.parts.queue.reschedule(id.clone(), self.now()).await?;
        }
        Ok(())
    }

    /// The parts that the node was given.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
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
        unfinished.extend(page);
    }
    for TaskSummary { task, accepted_at, began, .. } in unfinished.into_iter().rev() {
        let first = parts.journal.read(task.clone(), Sequence::START, 1).await?;
        let state = first.first().and_then(TaskState::of);
        if began && parts.room.is_limited() {
            take_places(parts, &task).await?;
        }
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

/// Takes the places of the hosts that are being done for a task, before anybody else can have them.
async fn take_places(parts: &Parts, task: &TaskId) -> Result<(), JournalError> {
    let (journal, clock) = (Arc::clone(&parts.journal), Arc::clone(&parts.clock));
    if let Some(book) = Book::open(journal, clock, Arc::new(NullObserver), task).await? {
        let hosts: Vec<_> = book.state().in_flight().map(|h| h.target.host.clone()).collect();
        parts.room.take(task, &hosts);
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
