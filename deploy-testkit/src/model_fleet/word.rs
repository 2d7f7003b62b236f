//! What happens on the hosts of a fleet, for whoever watches.

use deploy_core::Step;
use deploy_core::model::{
    DeploymentId, Fence, HookPoint, HostName, HostResult, ProjectName, ReleaseId, TaskId,
};

/// Something that happened on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostEvent {
    /// The host.
    pub host: HostName,
    /// The project.
    pub project: ProjectName,
    /// The task that did it.
    pub task: TaskId,
    /// The deployment that the task belongs to.
    pub deployment: DeploymentId,
    /// The fencing number of the attempt.
    pub fence: Fence,
    /// The number of the program's run: each run in the fleet has its own.
    pub run: u64,
    /// What happened.
    pub effect: HostEffect,
}

/// What happened on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostEffect {
    /// A program has the project's lock: it begins.
    Locked,
    /// A program was refused: another one has the lock, or a newer fencing number was there.
    Refused,
    /// A release that is not whole yet has its place.
    Unpacked,
    /// The release is whole.
    Completed,
    /// A hook has run; while the host goes back, it is that of the release before.
    HookRan {
        /// Which.
        point: HookPoint,
        /// Whether the host was going back.
        back: bool,
    },
    /// `current` points to another release, or to none.
    Switched {
        /// The release.
        to: Option<ReleaseId>,
        /// Whether it is whole.
        whole: bool,
    },
    /// The release was served and proven: nothing can stop it any more.
    Proven,
    /// The release was removed before it was served.
    Discarded,
    /// The program gave the lock back, with this last word, whether anybody hears it or not.
    Ended {
        /// How, in words.
        how: String,
    },
    /// The program was killed. Its lock stays.
    Died,
}

/// What a program says to the node that started it.
#[derive(Debug)]
pub(super) enum Word {
    Begin(Step),
    End(Step),
    Last(Box<HostResult>),
}
