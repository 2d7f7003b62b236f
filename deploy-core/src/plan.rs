//! A plan: what a request would do, as data to look at, to keep, and to apply.

mod drift;
mod host;

use serde::{Deserialize, Serialize};

pub use drift::Drift;
pub(crate) use host::hooks;
pub use host::{PlannedChange, PlannedHook, PlannedHost};

use crate::model::{DeploymentId, DeploymentRequest, HostName, PackageDigests, Timestamp};

/// What a request would do, as of a moment: made by [`ControlNode::plan`](crate::ControlNode::plan),
/// carried out by [`ControlNode::apply`](crate::ControlNode::apply), which refuses it when the world has
/// moved since.
///
/// It is data: written as JSON it can be kept, shown to whoever approves it, and applied by another
/// process over the same queue and journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Plan {
    /// When it was made.
    pub made_at: Timestamp,
    /// Until when it may be applied: for 12 hours, so that what was planned by day can be done at night,
    /// and yesterday's plan is looked at again.
    pub valid_until: Timestamp,
    /// The request, with the id that its deployment has, and its package pinned to the bytes that were
    /// found.
    pub request: DeploymentRequest,
    /// The package, as it was found; none where the request undoes a deployment and needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageDigests>,
    /// Why it would not begin at once: its time, the gates, the deployments of the project before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
    /// Why a gate would refuse it, if one would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The hosts of each batch, in order.
    pub batches: Vec<Vec<HostName>>,
    /// The hosts, how they are reached, and what would change there, in the order of the inventory.
    pub hosts: Vec<PlannedHost>,
    /// The commands that would run on each host, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<PlannedHook>,
}

impl Plan {
    /// The id that its deployment has.
    #[must_use]
    pub fn deployment(&self) -> Option<&DeploymentId> {
        self.request.id.as_ref()
    }

    /// A host of the plan.
    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&PlannedHost> {
        self.hosts.iter().find(|host| host.target.host == *name)
    }
}
