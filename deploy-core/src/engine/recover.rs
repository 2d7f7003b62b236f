//! Taking up what the journal holds unfinished, at the start of a node.

use super::error::NodeError;
use super::node::exclusive_key;
use super::parts::{Parts, Role};
use crate::event::Sequence;
use crate::journal::{JournalError, JournalQuery};
use crate::model::TaskId;
use crate::queue::QueueError;
use crate::state::{Subject, TaskState};
use crate::summary::TaskSummary;
use crate::task::{DeploymentTask, TaskRecord};

/// Puts every unfinished task of the journal into the queue, in the order in which they were
/// accepted; those that are there stay as they are.
pub(super) async fn recover(parts: &Parts) -> Result<(), NodeError> {
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
    if let Some(book) = parts.book(task).await? {
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
