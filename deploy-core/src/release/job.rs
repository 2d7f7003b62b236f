//! What all hosts of a task share.

use std::sync::Arc;

use super::ask::Asker;
use crate::archive::{PackageContents, UnpackLimits};
use crate::connector::{Connector, Session};
use crate::context::Context;
use crate::model::{Fence, HostStatus, Monitor, ReleaseId, ReleaseTask, RollbackTarget};
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
    /// Its monitoring address is asked.
    Probe,
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
    /// None where the host asks itself.
    pub(crate) prober: Option<Arc<dyn Prober>>,
}

impl Probing {
    /// Who asks about a host that a session reaches.
    pub(crate) fn asker(&self, session: &Arc<dyn Session>) -> Asker {
        self.node().unwrap_or_else(|| Asker::Host(Arc::clone(session)))
    }

    /// The node, where it is the node that asks.
    pub(crate) fn node(&self) -> Option<Asker> {
        self.prober.clone().map(Asker::Node)
    }
}

/// What the builder of the executor was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: UnpackLimits,
    pub(crate) margin: u64,
    pub(crate) node: String,
}

impl Job {
    /// How a host ends that this attempt did not get to: as `status` when it is the first one, and as
    /// unknown when an earlier one may have changed it.
    pub(crate) fn out_of_reach(&self, cx: &Context, status: HostStatus) -> HostStatus {
        let changes = matches!(self.work, JobWork::Install(_) | JobWork::Rollback { .. });
        if changes && cx.attempt > 1 { HostStatus::Unknown } else { status }
    }
}
