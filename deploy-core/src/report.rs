//! How a deployment ended, for people and programs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::model::{DeploymentId, HostName, HostResult, Outcome, PackageDigests, Timestamp};
use crate::state::TaskState;

/// How a deployment ended: its one terminal state, and a result with a reason for every host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeploymentReport {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its terminal state.
    pub outcome: Outcome,
    /// Why it is not a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The package, where it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageDigests>,
    /// The results, one a host, in the order of the rollout.
    pub hosts: Vec<HostResult>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

impl DeploymentReport {
    /// The report of a task that has ended; `None` while it has not.
    #[must_use]
    pub fn of(state: &TaskState) -> Option<Self> {
        Some(Self {
            deployment: state.subject.deployment().clone(),
            outcome: state.outcome?,
            failure: state.failure.clone(),
            package: state.package,
            hosts: state.results().cloned().collect(),
            accepted_at: state.accepted_at,
            finished_at: state.updated_at,
        })
    }

    /// The result of one host.
    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&HostResult> {
        self.hosts.iter().find(|result| result.host == *name)
    }

    /// Says whether every host serves the release.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.outcome == Outcome::Succeeded
    }
}

/// The deployment, how it ended and why, on one line; how its hosts did stands in `hosts`.
impl fmt::Display for DeploymentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.deployment, self.outcome.because(self.failure.as_ref()))
    }
}
