//! Why a node did not do what it was asked.

use std::error::Error;
use std::time::Duration;

use super::verbs::Verb;
use crate::document::Faults;
use crate::failure::{Failure, Retry};
use crate::journal::JournalError;
use crate::model::TaskId;
use crate::plan::Drift;
use crate::queue::QueueError;
use crate::state::Phase;

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
    #[error("cannot {verb} {id} while it is {phase}{}", behind_colon(.reason.as_ref()))]
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
