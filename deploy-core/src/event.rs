//! Facts, and the events that record them.

mod text;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::model::{
    Actor, AfterBudget, DeploymentId, DeploymentRequest, Fence, HostName, HostResult, Outcome,
    PackageDigests, ReleaseTask, RollbackTarget, Target, TaskId, Timestamp,
};
use crate::release_step::Step;
use crate::state::Phase;

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

    /// The number after `count` more events; the largest one where there is none.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
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
        Self { task, sequence, at, fact }
    }
}

/// Why a rollout stands before a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BatchHold {
    /// It pauses between two batches.
    Pause,
    /// The canary is done, and the rest is held back.
    Canary,
    /// A host of the canary has failed. The rest does not follow by itself, whatever the failure budget
    /// allows: a person promotes the canary nonetheless, or has it retried, or cancels.
    FailedCanary,
}

impl fmt::Display for BatchHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => "a pause between two batches",
            Self::Canary => "the canary is done, and the rest is held back",
            Self::FailedCanary => {
                "the canary has failed, and the rest is held back for a person to decide"
            }
        })
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
    /// The deployment waits in line: another one of the project is not finished.
    InLine {
        /// The deployment right before it.
        behind: DeploymentId,
        /// How many come before it, as of then.
        position: u32,
    },
    /// The rollout began: the batches, in order.
    RolloutStarted {
        /// The hosts of each batch.
        batches: Vec<Vec<HostName>>,
        /// When it has to be over, unless it stands in between.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// The rollout stands before a batch.
    BatchHeld {
        /// The batch that comes next; the first is 0.
        batch: u32,
        /// Why.
        hold: BatchHold,
        /// Until when; none where it waits for a person to promote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
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
    /// A part that is not known to have begun is taken back. Its hosts that were not touched, or were
    /// stopped, have their turn again when the rollout goes on.
    Recalled {
        /// The id of the release task.
        task: TaskId,
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
    /// More hosts failed than the failure budget allows. Where it then waits for a person, that is a
    /// pause, without a fact `Paused`, which is what a person does.
    BudgetPassed {
        /// Which limit was passed, and by what, in words.
        reason: String,
        /// What becomes of the rollout.
        then: AfterBudget,
    },
    /// A host that had succeeded was found unhealthy while the rollout stood before a batch. It counts
    /// as failed from now on.
    HostFailedLater {
        /// How it stands now, and why.
        result: HostResult,
    },
    /// Somebody filed this deployment to undo another one.
    RollbackFiled {
        /// Who, and why.
        by: Actor,
    },
    /// Somebody wants the hosts put back: nothing new starts, what runs comes to its end, and then they
    /// are.
    RollbackRequested {
        /// Who, and why.
        by: Actor,
        /// What the hosts go back to.
        to: RollbackTarget,
    },
    /// The hosts that serve the release, or may, are put back. What comes after this is told of the
    /// rollback: its batches, its parts, how its hosts end.
    RollbackStarted {
        /// Why: what failed, or who wanted it.
        failure: Failure,
        /// What the hosts go back to.
        to: RollbackTarget,
        /// The hosts of each batch.
        batches: Vec<Vec<HostName>>,
        /// When it has to be over, unless it stands in between.
        deadline: Timestamp,
    },
    /// The rollout is not over at its deadline.
    DeadlinePassed,
    /// Somebody paused the deployment: nothing new starts.
    Paused {
        /// Who, and why.
        by: Actor,
    },
    /// Somebody let the deployment go on. Where its failure budget had paused it, what failed so far
    /// counts no more.
    Resumed {
        /// Who, and why.
        by: Actor,
        /// How far it has come.
        phase: Phase,
    },
    /// Somebody promoted the canary: the rest follows.
    Promoted {
        /// Who, and why.
        by: Actor,
    },
    /// Somebody let failed hosts be done again, and the deployment go on.
    Retried {
        /// Who, and why.
        by: Actor,
        /// The hosts.
        hosts: Vec<HostName>,
    },
    /// Somebody told the deployment to go on without a host.
    Skipped {
        /// Who, and why.
        by: Actor,
        /// The host.
        host: HostName,
    },
    /// Somebody gave the rollout more time.
    Extended {
        /// Who, and why.
        by: Actor,
        /// When it has to be over now.
        deadline: Timestamp,
    },
    /// Somebody asked for the task to be cancelled.
    CancelRequested {
        /// Why, in words.
        reason: String,
        /// Who, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        who: Option<String>,
    },
    /// An attempt at something failed and is made again: at a step of the task, at reaching an agent,
    /// or, where the failure names one, at reaching a host.
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
    /// The host that an executor reports it of; none of a fact that is not an executor's.
    pub(crate) fn host(&self) -> Option<&HostName> {
        match self {
            Self::HostStarted { host }
            | Self::StepStarted { host, .. }
            | Self::StepFinished { host, .. }
            | Self::Output { host, .. } => Some(host),
            Self::HostFinished { result } => Some(&result.host),
            Self::AttemptFailed { failure } => failure.host.as_ref(),
            _ => None,
        }
    }

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
            Self::InLine { .. } => "in_line",
            Self::RolloutStarted { .. } => "rollout_started",
            Self::BatchHeld { .. } => "batch_held",
            Self::BatchStarted { .. } => "batch_started",
            Self::Dispatched { .. } => "dispatched",
            Self::Recalled { .. } => "recalled",
            Self::HostStarted { .. } => "host_started",
            Self::StepStarted { .. } => "step_started",
            Self::StepFinished { .. } => "step_finished",
            Self::Output { .. } => "output",
            Self::HostFinished { .. } => "host_finished",
            Self::BatchFinished { .. } => "batch_finished",
            Self::BudgetPassed { .. } => "budget_passed",
            Self::HostFailedLater { .. } => "host_failed_later",
            Self::RollbackFiled { .. } => "rollback_filed",
            Self::RollbackRequested { .. } => "rollback_requested",
            Self::RollbackStarted { .. } => "rollback_started",
            Self::DeadlinePassed => "deadline_passed",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::Promoted { .. } => "promoted",
            Self::Retried { .. } => "retried",
            Self::Skipped { .. } => "skipped",
            Self::Extended { .. } => "extended",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::Finished { .. } => "finished",
        }
    }
}
