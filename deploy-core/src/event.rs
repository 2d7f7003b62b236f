//! Facts, and the events that record them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::model::{
    DeploymentId, DeploymentRequest, Fence, HostName, HostResult, Outcome, PackageDigests,
    ReleaseTask, Target, TaskId, Timestamp,
};
use crate::release_step::Step;

/// The number of an event within its task's journal: the first is 1, without gaps.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sequence(u64);

impl Sequence {
    /// Before the first event. Also the sequence of a fact that is not recorded.
    pub const START: Self = Self(0);

    /// Makes a sequence number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The number after `count` more events.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One fact of a task, with its place in the journal and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Event {
    /// The task that the fact belongs to. On the control node it has the deployment's id.
    pub task: TaskId,
    /// Its number in the task's journal; [`Sequence::START`] while it is not recorded.
    pub sequence: Sequence,
    /// When it was recorded, or reported while it is not.
    pub at: Timestamp,
    /// What happened.
    pub fact: Fact,
}

impl Event {
    /// Makes an event of a fact.
    #[must_use]
    pub fn new(task: TaskId, sequence: Sequence, at: Timestamp, fact: Fact) -> Self {
        Self {
            task,
            sequence,
            at,
            fact,
        }
    }
}

/// What happened.
///
/// A deployment's state is a fold over its facts, see [`TaskState`](crate::TaskState).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fact {
    /// The control node accepted a request.
    Accepted {
        /// The deployment's id.
        deployment: DeploymentId,
        /// The request.
        request: Box<DeploymentRequest>,
    },
    /// An agent accepted a release task.
    TaskAccepted {
        /// The task.
        task: Box<ReleaseTask>,
    },
    /// Business and project were resolved to hosts.
    Resolved {
        /// The hosts.
        hosts: Vec<Target>,
    },
    /// The package was fetched and is what it should be.
    Verified {
        /// Its digests and size.
        package: PackageDigests,
    },
    /// The deployment waits for its scheduled time.
    Waiting {
        /// The scheduled time.
        until: Timestamp,
    },
    /// A gate holds the deployment.
    Held {
        /// Why, in words.
        reason: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// The rollout began: the batches, in order.
    RolloutStarted {
        /// The hosts of each batch.
        batches: Vec<Vec<HostName>>,
    },
    /// A batch began.
    BatchStarted {
        /// Which one; the first is 0.
        batch: u32,
    },
    /// Hosts were handed to an executor, as one task.
    Dispatched {
        /// The id of the release task.
        task: TaskId,
        /// Its hosts.
        hosts: Vec<HostName>,
        /// The fencing number.
        fence: Fence,
    },
    /// Work on a host began.
    HostStarted {
        /// The host.
        host: HostName,
    },
    /// A step on a host began.
    StepStarted {
        /// The host.
        host: HostName,
        /// The step.
        step: Step,
    },
    /// A step on a host ended well.
    StepFinished {
        /// The host.
        host: HostName,
        /// The step.
        step: Step,
        /// What it found or did, in words, where there is something to say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A hook on a host wrote something.
    Output {
        /// The host.
        host: HostName,
        /// The step.
        step: Step,
        /// What it wrote: whole lines where possible, invalid UTF-8 replaced.
        text: String,
    },
    /// A host ended.
    HostFinished {
        /// How, and why.
        result: HostResult,
    },
    /// A batch ended: all its hosts have.
    BatchFinished {
        /// Which one; the first is 0.
        batch: u32,
    },
    /// Somebody asked for the task to be cancelled.
    CancelRequested {
        /// Why, and by whom, in words.
        reason: String,
    },
    /// An attempt failed and will be made again.
    AttemptFailed {
        /// Why.
        failure: Failure,
    },
    /// The task reached its one terminal state.
    Finished {
        /// The state.
        outcome: Outcome,
        /// Why it is not a success.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
}

impl Fact {
    /// The fact's name, as documents have it in `type`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::TaskAccepted { .. } => "task_accepted",
            Self::Resolved { .. } => "resolved",
            Self::Verified { .. } => "verified",
            Self::Waiting { .. } => "waiting",
            Self::Held { .. } => "held",
            Self::RolloutStarted { .. } => "rollout_started",
            Self::BatchStarted { .. } => "batch_started",
            Self::Dispatched { .. } => "dispatched",
            Self::HostStarted { .. } => "host_started",
            Self::StepStarted { .. } => "step_started",
            Self::StepFinished { .. } => "step_finished",
            Self::Output { .. } => "output",
            Self::HostFinished { .. } => "host_finished",
            Self::BatchFinished { .. } => "batch_finished",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::Finished { .. } => "finished",
        }
    }
}
