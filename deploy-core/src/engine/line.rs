//! The line of a project: one deployment rolls out at a time, the others wait behind it.
//!
//! The queue's exclusive key lets one deployment of a project be worked on at a time. It is not held
//! while a rollout stands, for days perhaps, or is put off after a failure. So nobody begins a rollout
//! while another one of the project has begun and is not finished.

use std::time::Duration;

use super::parts::{Parts, Role};
use crate::event::Fact;
use crate::journal::{JournalError, JournalQuery};
use crate::model::{DeploymentId, TaskId};
use crate::queue::QueueError;
use crate::state::{Phase, Subject, TaskState};
use crate::summary::TaskSummary;

/// How long a deployment in line, or one that a person keeps, is left alone before it is looked at
/// again. It is woken when its turn comes or a person says something; this is for what another process
/// does and cannot tell us.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The unfinished deployments of a project that come before this one, the first first.
#[derive(Debug)]
pub(super) struct Line(Vec<TaskSummary>);

impl Line {
    /// Reads the line that a deployment stands in.
    pub(super) async fn before(parts: &Parts, state: &TaskState) -> Result<Self, JournalError> {
        let mut before = parts.unfinished(&state.subject).await?;
        before.retain(|other| other.task != state.task && comes_before(other, state));
        Ok(Self::of(before))
    }

    /// Reads the line that a deployment would stand in that is filed now.
    async fn before_new(parts: &Parts, new: &Subject) -> Result<Self, JournalError> {
        let mut before = parts.unfinished(new).await?;
        let task = TaskId::from(new.deployment());
        before.retain(|other| other.task != task && waits_for_its_turn(other));
        Ok(Self::of(before))
    }

    /// The list has those accepted last first; what has begun comes before everything else.
    fn of(mut before: Vec<TaskSummary>) -> Self {
        before.reverse();
        before.sort_by_key(|other| !has_begun(other));
        Self(before)
    }

    /// Says whether one of them has begun, and so has to be finished first.
    pub(super) fn is_closed(&self) -> bool {
        self.0.iter().any(has_begun)
    }

    /// The fact that a deployment waits in this line.
    pub(super) fn fact(&self) -> Option<Fact> {
        let position = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let behind = self.ids().pop()?;
        Some(Fact::InLine { behind, position })
    }

    /// Their ids.
    pub(super) fn ids(&self) -> Vec<DeploymentId> {
        self.0.iter().filter_map(|other| DeploymentId::try_from(&other.task).ok()).collect()
    }
}

/// Lets those go on that wait in the line of a project, now that one of it is finished: the queue
/// gives them out in the order in which they were accepted.
pub(super) async fn wake(parts: &Parts, subject: &Subject) -> Result<(), JournalError> {
    if parts.role != Role::Control {
        return Ok(());
    }
    for other in parts.unfinished(subject).await? {
        if other.phase != Phase::InLine {
            continue;
        }
        let woken = parts.queue.reschedule(other.task.clone(), other.accepted_at).await;
        if let Err(error) = woken
            && !matches!(error, QueueError::Closed)
        {
            // It is looked at again anyhow.
            tracing::warn!(target: "deploy", task = %other.task, %error, "not woken");
        }
    }
    Ok(())
}

impl Parts {
    /// The unfinished deployments of its project that one would wait for that is filed now, the
    /// first first.
    pub(crate) async fn line_of_new(
        &self,
        new: &Subject,
    ) -> Result<Vec<DeploymentId>, JournalError> {
        Ok(Line::before_new(self, new).await?.ids())
    }

    /// The unfinished deployments of a subject's project, those accepted last first.
    async fn unfinished(&self, subject: &Subject) -> Result<Vec<TaskSummary>, JournalError> {
        let (business, project) = (subject.business().clone(), subject.project().clone());
        let mut query = JournalQuery::new().with_project(business, project).with_finished(false);
        let mut found = Vec::new();
        loop {
            let page = self.journal.list(query.clone()).await?;
            let Some(last) = page.last() else { return Ok(found) };
            query = query.with_after(last.task.clone());
            found.extend(page);
        }
    }
}

fn has_begun(task: &TaskSummary) -> bool {
    task.began || task.phase == Phase::RollingOut
}

/// Says whether an unfinished deployment has begun, or waits for nothing but its turn.
fn waits_for_its_turn(task: &TaskSummary) -> bool {
    has_begun(task) || matches!(task.phase, Phase::Preparing | Phase::InLine)
}

/// Says whether another unfinished deployment comes before this one: it has begun, or it was accepted
/// earlier and waits for nothing but its turn.
fn comes_before(other: &TaskSummary, state: &TaskState) -> bool {
    let earlier = (other.accepted_at, &other.task) < (state.accepted_at, &state.task);
    has_begun(other) || (earlier && waits_for_its_turn(other))
}
