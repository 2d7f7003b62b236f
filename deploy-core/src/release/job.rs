//! What all hosts of a task share.

use std::sync::Arc;

use crate::archive::{PackageContents, UnpackLimits};
use crate::connector::Connector;
use crate::model::{Fence, Monitor, ReleaseId, ReleaseTask, RollbackTarget};
use crate::prober::Prober;
use crate::verifier::VerifiedPackage;

/// A task and the parts that carry it out.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) task: ReleaseTask,
    pub(crate) fence: Fence,
    pub(crate) work: JobWork,
    pub(crate) connector: Arc<dyn Connector>,
    /// The monitor and who asks it, when the task has one.
    pub(crate) probing: Option<Probing>,
    pub(crate) settings: Settings,
}

/// What is done on each host.
#[derive(Debug)]
pub(crate) enum JobWork {
    /// The release is installed.
    Install(Bundle),
    /// A release is undone.
    Rollback { release: ReleaseId, to: RollbackTarget },
    /// What is there is looked at.
    Inspect,
}

/// A package that was fetched and looked through.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    pub(crate) package: VerifiedPackage,
    pub(crate) contents: PackageContents,
}

/// A monitoring address and who asks it.
#[derive(Debug)]
pub(crate) struct Probing {
    pub(crate) monitor: Monitor,
    pub(crate) prober: Arc<dyn Prober>,
}

/// What the builder of the executor was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: UnpackLimits,
    pub(crate) margin: u64,
    pub(crate) node: String,
}
