//! What a journal's list says of each task.

use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact, Sequence};
use crate::model::{BusinessName, Outcome, ProjectName, Requirement, TaskId, Timestamp, WorkOrder};
use crate::state::Phase;

/// A task in a line: what it is, and how far it has come. A fold over its events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskSummary {
    /// The task. On the control node it has the deployment's id.
    pub task: TaskId,
    /// The business.
    pub business: BusinessName,
    /// The project.
    pub project: ProjectName,
    /// The number of the work order.
    pub work_order: Option<WorkOrder>,
    /// The requirement.
    pub requirement: Option<Requirement>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When its last event was recorded.
    pub updated_at: Timestamp,
    /// How far it has come. Where it was recorded before phases were, it is not known, and said to
    /// be the first one until the next event.
    #[serde(default)]
    pub phase: Phase,
    /// Whether its rollout has begun. Where it was recorded before this was, it is said that it has
    /// not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub began: bool,
    /// Its terminal state, when it has reached one.
    pub outcome: Option<Outcome>,
    /// The number of its last event.
    pub last: Sequence,
}

impl TaskSummary {
    /// Begins with a task's first event; `None` when that is not one that accepts a task.
    #[must_use]
    pub fn of(first: &Event) -> Option<Self> {
        let (business, project, work_order, requirement) = match &first.fact {
            Fact::Accepted { request, .. } => {
                (&request.business, &request.project, &request.work_order, &request.requirement)
            }
            Fact::TaskAccepted { task } => {
                (&task.business, &task.project, &task.work_order, &task.requirement)
            }
            _ => return None,
        };
        Some(Self {
            task: first.task.clone(),
            business: business.clone(),
            project: project.clone(),
            work_order: work_order.clone(),
            requirement: requirement.clone(),
            accepted_at: first.at,
            updated_at: first.at,
            phase: Phase::Preparing,
            began: false,
            outcome: None,
            last: first.sequence,
        })
    }

    /// Takes the next event.
    pub fn apply(&mut self, event: &Event) {
        self.updated_at = event.at;
        self.last = event.sequence;
        self.phase = self.phase.after(&event.fact);
        self.began |= matches!(event.fact, Fact::RolloutStarted { .. });
        if let Fact::Finished { outcome, .. } = &event.fact {
            self.outcome = Some(*outcome);
        }
    }
}
