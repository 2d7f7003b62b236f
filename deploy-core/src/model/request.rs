//! What a person or a system files: the task deployment data.

use std::time::Duration;

use serde::Serialize;

use super::{
    AfterBudget, BusinessName, DeploymentId, HostName, Monitor, OnMissed, PackageSource, Person,
    ProjectName, ReleaseSpec, RequirementId, RequirementName, RollbackSpec, RolloutSpec, Target,
    Timestamp, WorkOrder, schedule,
};
use crate::document::{Decode, Node, Table, Value, decode_text, deserialize_by_decode};
use crate::failure::{Failure, FailureCode};

/// A request: what to deploy, for whom, why, when and how.
///
/// Only business, project and package are required. Unknown keys are refused, except those that
/// begin with `x-`, which are the writer's own.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeploymentRequest {
    /// The id of the deployment, when the caller chooses it. The same id filed again is the same
    /// deployment, so a caller that was cut off can ask again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<DeploymentId>,
    /// The business that the project belongs to.
    pub business: BusinessName,
    /// The project to deploy.
    pub project: ProjectName,
    /// The package to deploy.
    pub package: PackageSource,
    /// The number of the work order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_order: Option<WorkOrder>,
    /// The requirement that the deployment delivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirement: Option<Requirement>,
    /// Who asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<Person>,
    /// The scheduled time: no host is touched before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// When it is too late: a rollout that has not begun by then never does, and the deployment
    /// fails as expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What happens when the scheduled time was missed.
    #[serde(skip_serializing_if = "OnMissed::is_run")]
    pub on_missed: OnMissed,
    /// The monitoring address, where the project has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// Only these hosts of the project; all of them when it names none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostName>,
    /// The deployment whose rest this one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<DeploymentId>,
    /// The deployment that this one undoes: hosts are put back to a release that they have, and the
    /// package, which is that of the undone one, is not fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackSpec>,
    /// The order in which hosts are done.
    pub rollout: RolloutSpec,
    /// How the release is laid out and brought to life on each host.
    pub release: ReleaseSpec,
}

impl DeploymentRequest {
    /// Asks for a package to be deployed to a project's hosts, with defaults for all else.
    #[must_use]
    pub fn new(business: BusinessName, project: ProjectName, package: PackageSource) -> Self {
        Self {
            id: None,
            business,
            project,
            package,
            work_order: None,
            requirement: None,
            requested_by: None,
            not_before: None,
            expires_at: None,
            on_missed: OnMissed::Run,
            monitor: None,
            hosts: Vec::new(),
            retry_of: None,
            rollback: None,
            rollout: RolloutSpec::default(),
            release: ReleaseSpec::default(),
        }
    }

    /// Chooses the id of the deployment.
    #[must_use]
    pub fn with_id(mut self, id: DeploymentId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the number of the work order.
    #[must_use]
    pub fn with_work_order(mut self, work_order: WorkOrder) -> Self {
        self.work_order = Some(work_order);
        self
    }

    /// Sets the requirement.
    #[must_use]
    pub fn with_requirement(mut self, requirement: Requirement) -> Self {
        self.requirement = Some(requirement);
        self
    }

    /// Sets the scheduled time.
    #[must_use]
    pub fn with_not_before(mut self, not_before: Timestamp) -> Self {
        self.not_before = Some(not_before);
        self
    }

    /// Says who asks for it.
    #[must_use]
    pub fn with_requested_by(mut self, person: Person) -> Self {
        self.requested_by = Some(person);
        self
    }

    /// Sets when it is too late to begin.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// Sets what happens when the scheduled time was missed.
    #[must_use]
    pub fn with_on_missed(mut self, on_missed: OnMissed) -> Self {
        self.on_missed = on_missed;
        self
    }

    /// Sets the monitoring address.
    #[must_use]
    pub fn with_monitor(mut self, monitor: Monitor) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// Names the hosts of the project that it is for.
    #[must_use]
    pub fn with_hosts(mut self, hosts: Vec<HostName>) -> Self {
        self.hosts = hosts;
        self
    }

    /// Sets the order in which hosts are done.
    #[must_use]
    pub fn with_rollout(mut self, rollout: RolloutSpec) -> Self {
        self.rollout = rollout;
        self
    }

    /// Sets how the release is laid out.
    #[must_use]
    pub fn with_release(mut self, release: ReleaseSpec) -> Self {
        self.release = release;
        self
    }

    /// Those of a project's hosts that the request is for: all, unless it names some.
    ///
    /// # Errors
    ///
    /// A failure that names every host of the request that the project has not.
    pub fn select(&self, mut targets: Vec<Target>) -> Result<Vec<Target>, Failure> {
        if self.hosts.is_empty() {
            return Ok(targets);
        }
        let there = |host: &&HostName| targets.iter().any(|target| target.host == **host);
        let missing: Vec<_> = self.hosts.iter().filter(|host| !there(host)).collect();
        if !missing.is_empty() {
            let names: Vec<_> = missing.into_iter().map(HostName::as_str).collect();
            let names = names.join(", ");
            let message = format!("the request is for hosts that the project has not: {names}");
            return Err(Failure::new(FailureCode::Unresolved, message));
        }
        targets.retain(|target| self.hosts.contains(&target.host));
        Ok(targets)
    }
}

impl Decode for DeploymentRequest {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let id = table.optional("id");
        let business = table.required("business");
        let project = table.required("project");
        let package = table.required("package");
        let work_order = table.optional("work_order");
        let requirement = table.optional("requirement");
        let requested_by = table.optional("requested_by");
        let not_before = table.optional("not_before");
        let expires_at = table.optional("expires_at");
        let on_missed = table.or("on_missed", OnMissed::Run);
        if let (Some(not_before), Some(expires_at), Some(on_missed)) =
            (not_before, expires_at, on_missed)
        {
            schedule::check(&table, not_before, expires_at, on_missed);
        }
        let monitor: Option<Option<Monitor>> = table.optional("monitor");
        let hosts = table.or("hosts", Vec::new());
        let retry_of = table.optional("retry_of");
        let rollback: Option<Option<RollbackSpec>> = table.optional("rollback");
        let rollout = table.or("rollout", RolloutSpec::default());
        let release = table.or("release", ReleaseSpec::default());
        if let Some(rollout) = &rollout {
            check_rollback(&table, rollback.as_ref(), rollout);
        }
        if let (Some(Some(monitor)), Some(rollout), Some(release)) = (&monitor, &rollout, &release)
        {
            check_deadlines(&table, monitor, rollout, release);
        }
        table.finish();
        Some(Self {
            id: id?,
            business: business?,
            project: project?,
            package: package?,
            work_order: work_order?,
            requirement: requirement?,
            requested_by: requested_by?,
            not_before: not_before?,
            expires_at: expires_at?,
            on_missed: on_missed?,
            monitor: monitor?,
            hosts: hosts?,
            retry_of: retry_of?,
            rollback: rollback?,
            rollout: rollout?,
            release: release?,
        })
    }
}

/// What goes back does not go back again.
fn check_rollback(
    table: &Table<'_>,
    rollback: Option<&Option<RollbackSpec>>,
    rollout: &RolloutSpec,
) {
    let goes_back = rollback.is_some_and(Option::is_some);
    if goes_back && rollout.failures.then == AfterBudget::RollBack {
        let allowed = "\"stop\" or \"wait\", because the request undoes a deployment itself";
        table.fault("rollout.failures.then", "the text \"roll_back\"", allowed);
    }
}

/// Neither a host nor the rollout may be out of time before a host's health is decided.
fn check_deadlines(
    table: &Table<'_>,
    monitor: &Monitor,
    rollout: &RolloutSpec,
    release: &ReleaseSpec,
) {
    let others = [("release.timeout", release.timeout), ("rollout.deadline", rollout.deadline)];
    // No time at all is a fault already.
    let short = |span: Duration| !span.is_zero() && span <= monitor.deadline;
    for (path, span) in others.into_iter().filter(|(_, span)| short(*span)) {
        let deadline = super::span::format(monitor.deadline);
        let allowed = format!("more than the monitor's deadline of {deadline}");
        table.fault(path, super::span::format(span), allowed);
    }
}

/// The requirement that a deployment delivers. Written as a table, or as its number alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Requirement {
    /// The number of the requirement.
    pub id: RequirementId,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<RequirementName>,
}

impl Requirement {
    /// Names a requirement by its number.
    #[must_use]
    pub fn new(id: RequirementId) -> Self {
        Self { id, name: None }
    }

    /// Sets its name.
    #[must_use]
    pub fn with_name(mut self, name: RequirementName) -> Self {
        self.name = Some(name);
        self
    }
}

impl Decode for Requirement {
    fn decode(node: &Node<'_>) -> Option<Self> {
        if matches!(node.value(), Value::Text(_)) {
            return decode_text(node).map(Self::new);
        }
        let mut table = node.table()?;
        let id = table.required("id");
        let name = table.optional("name");
        table.finish();
        Some(Self { id: id?, name: name? })
    }
}

deserialize_by_decode!(DeploymentRequest, Requirement);
