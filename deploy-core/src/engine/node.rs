//! What both nodes are made of: accepting tasks, answering for them, and stopping.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;

use super::active::Active;
use super::book::Book;
use super::decide::{Here, Next, decide};
use super::error::NodeError;
use super::line::{self, Line};
use super::parts::Parts;
use super::recover::recover;
use super::stream::EventStream;
use super::verbs::{self, Wish};
use super::workers::Workers;
use crate::cancel::CancelToken;
use crate::document::{Decode, Fault};
use crate::event::{Event, Fact, Sequence};
use crate::journal::{JournalError, JournalQuery};
use crate::model::{Actor, DeploymentId, TaskId, Timestamp};
use crate::parser::{Format, ParseError};
use crate::queue::{Pushed, QueueError};
use crate::state::{Phase, Subject, TaskState};
use crate::summary::TaskSummary;
use crate::task::TaskRecord;

/// What `accept` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The task is new, and kept.
    New,
    /// The same task was accepted before.
    Known,
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
                events.iter().for_each(|event| self.parts.observer.observe(event));
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
            let Some(mut book) = self.parts.book(id).await?.filter(|b| b.state().last == accepted)
            else {
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
        match self.parts.book(id).await? {
            Some(book) => Ok(book.state().clone()),
            None => Err(NodeError::Unknown { id: id.clone() }),
        }
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
        let Some(mut book) = self.parts.book(id).await? else {
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
        let Some(mut book) = self.parts.book(id).await? else {
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

/// One deployment of a project at a time. Names hold no slash.
pub(crate) fn exclusive_key(subject: &Subject) -> String {
    format!("{}/{}", subject.business(), subject.project())
}
