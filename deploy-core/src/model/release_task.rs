//! The task that installs one release on some hosts: what travels to an agent or an executor.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    BusinessName, DeploymentId, DeploymentRequest, Monitor, PackageSource, ProjectName,
    ReleaseAction, ReleaseSpec, Requirement, Target, TaskId, WorkOrder,
};
use crate::document::{Decode, Node, deserialize_by_decode};

/// A fencing number: of two claims on a host, the one with the higher number is the newer.
///
/// It is given out with a task and grows with every attempt. The host remembers the highest one it
/// saw and refuses to act for a lower one, so that a holder who lost its lock while it was asleep
/// changes nothing. Its value is the time of the attempt in microseconds since 1970, made strictly
/// larger than all before it, so that numbers of one control node stay ordered over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(u64);

impl Fence {
    /// Makes a fencing number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The number of a later attempt at the same task, so that an earlier attempt which is still
    /// asleep somewhere is fenced off too. The first attempt is 1.
    #[must_use]
    pub const fn for_attempt(self, attempt: u32) -> Self {
        Self(self.0.saturating_add(attempt.saturating_sub(1) as u64))
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Decode for Fence {
    fn decode(node: &Node<'_>) -> Option<Self> {
        u64::decode(node).map(Self)
    }
}

/// The task to install, undo or look at a release on some hosts that share an endpoint.
///
/// It is pushed to an agent's queue or handed to an executor. Its id is made from the deployment's,
/// so that a control node that lost the answer asks with the same id and gets the same task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReleaseTask {
    /// The id of this task.
    pub id: TaskId,
    /// The deployment it belongs to, which also names the release that it installs.
    pub deployment: DeploymentId,
    /// What it does on the hosts.
    #[serde(skip_serializing_if = "ReleaseAction::is_install")]
    pub action: ReleaseAction,
    /// The business.
    pub business: BusinessName,
    /// The project.
    pub project: ProjectName,
    /// The package of the release, pinned to SHA-256 and size. Only an installation fetches it.
    pub package: PackageSource,
    /// The number of the work order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_order: Option<WorkOrder>,
    /// The requirement that the deployment delivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirement: Option<Requirement>,
    /// The monitoring address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// How the release is laid out.
    pub release: ReleaseSpec,
    /// The hosts to install on. An agent finds the way to each in its own inventory, by name.
    pub hosts: Vec<Target>,
    /// How many hosts are done at once at most.
    pub max_parallel: u32,
    /// The fencing number of the deployment's attempt.
    pub fence: Fence,
}

impl ReleaseTask {
    /// Makes the task of a deployment for some of its hosts.
    #[must_use]
    pub fn new(
        id: TaskId,
        deployment: DeploymentId,
        request: &DeploymentRequest,
        package: PackageSource,
        hosts: Vec<Target>,
        fence: Fence,
    ) -> Self {
        Self {
            id,
            deployment,
            action: ReleaseAction::Install,
            business: request.business.clone(),
            project: request.project.clone(),
            package,
            work_order: request.work_order.clone(),
            requirement: request.requirement.clone(),
            monitor: request.monitor.clone(),
            release: request.release.clone(),
            hosts,
            max_parallel: request.rollout.max_parallel,
            fence,
        }
    }

    /// Sets what it does on the hosts.
    #[must_use]
    pub fn with_action(mut self, action: ReleaseAction) -> Self {
        self.action = action;
        self
    }
}

impl Decode for ReleaseTask {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let id = table.required("id");
        let deployment = table.required("deployment");
        let action = table.or("action", ReleaseAction::Install);
        let business = table.required("business");
        let project = table.required("project");
        let package = table.required("package");
        let work_order = table.optional("work_order");
        let requirement = table.optional("requirement");
        let monitor = table.optional("monitor");
        let release = table.required("release");
        let hosts: Option<Vec<Target>> = table.required("hosts");
        let max_parallel = table.required("max_parallel");
        let fence = table.required("fence");
        if hosts.as_ref().is_some_and(Vec::is_empty) {
            table.fault("hosts", "an empty list", "at least one host");
        }
        if max_parallel == Some(0) {
            table.fault("max_parallel", "the number 0", "at least 1");
        }
        table.finish();
        Some(Self {
            id: id?,
            deployment: deployment?,
            action: action?,
            business: business?,
            project: project?,
            package: package?,
            work_order: work_order?,
            requirement: requirement?,
            monitor: monitor?,
            release: release?,
            hosts: hosts?,
            max_parallel: max_parallel?,
            fence: fence?,
        })
    }
}

deserialize_by_decode!(ReleaseTask);
