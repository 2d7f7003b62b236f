//! What all hosts of a task share.

use std::sync::Arc;

use crate::archive::{PackageContents, UnpackLimits};
use crate::connector::Connector;
use crate::model::{Fence, Monitor, ReleaseTask};
use crate::prober::Prober;
use crate::verifier::VerifiedPackage;

/// A task, its package, and the parts that carry it out.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) task: ReleaseTask,
    pub(crate) fence: Fence,
    pub(crate) package: VerifiedPackage,
    pub(crate) contents: PackageContents,
    pub(crate) connector: Arc<dyn Connector>,
    /// The monitor and who asks it, when the task has one.
    pub(crate) probing: Option<Probing>,
    pub(crate) settings: Settings,
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
