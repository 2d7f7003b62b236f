//! How a deployment and each of its hosts ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{HostFound, HostName, ReleaseId};
use crate::failure::Failure;

/// The terminal state of a deployment. It is reached once and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Every host serves the release.
    Succeeded,
    /// At least one host does not, and nobody asked for the deployment to stop.
    Failed,
    /// It was cancelled before every host served the release.
    Cancelled,
    /// Its hosts were put back to a release from before: because it failed, because somebody asked for
    /// it, or because that was what it was for.
    RolledBack,
}

impl Outcome {
    /// The name of the state, as documents have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::RolledBack => "rolled_back",
        }
    }

    /// The state in a sentence, and why it came to that.
    pub(crate) fn because(self, failure: Option<&Failure>) -> String {
        let state = match self {
            Self::RolledBack => "rolled back",
            other => other.as_str(),
        };
        match failure.map(ToString::to_string) {
            None => state.to_owned(),
            // Of one that was cancelled, the failure says so itself.
            Some(why) if self == Self::Cancelled && why.starts_with(state) => why,
            Some(why) => format!("{state}: {why}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a host ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HostStatus {
    /// It serves the release.
    Succeeded,
    /// The release failed before the switch, or rollback is off: see what it serves.
    Failed,
    /// The host went back to a release from before: the new one failed after the switch, or was to be
    /// undone.
    RolledBack,
    /// The deployment was cancelled before the host served the release.
    Cancelled,
    /// The connection was lost in the middle, and what happened could not be found out.
    Unknown,
    /// The deployment ended before the host's turn; it was not touched.
    NotStarted,
    /// It was looked at, and not changed.
    Checked,
}

impl HostStatus {
    /// The name of the status, as documents have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::NotStarted => "not_started",
            Self::Checked => "checked",
        }
    }

    /// The status in a sentence.
    fn words(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled back",
            Self::NotStarted => "not started",
            other => other.as_str(),
        }
    }
}

/// The host, how it ended and why, what it serves where that is not the release, and what failed
/// afterwards, on one line.
impl fmt::Display for HostResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Which host it was stands in front.
        let why = |Failure { step, message, .. }: &Failure| match step {
            Some(step) => format!("{step}: {message}"),
            None => message.clone(),
        };
        write!(f, "{}: {}", self.host, self.status.words())?;
        if let Some(failure) = &self.failure {
            write!(f, " ({})", why(failure))?;
        }
        if let (Some(serves), true) = (&self.serves, self.status != HostStatus::Succeeded) {
            write!(f, ", serves {serves}")?;
        }
        self.further.iter().try_for_each(|further| write!(f, "; then {}", why(further)))
    }
}

impl fmt::Display for HostStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a host ended, why, and what it serves now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HostResult {
    /// The host.
    pub host: HostName,
    /// How it ended.
    pub status: HostStatus,
    /// The release that `current` points to now, where that is known and there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves: Option<ReleaseId>,
    /// Why it did not succeed: the first failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What failed afterwards, while the host was being put back: a failed hook, a failed rollback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Failure>,
    /// What is there, when the task was to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Box<HostFound>>,
}

impl HostResult {
    /// Says that a host ended in a status.
    #[must_use]
    pub fn new(host: HostName, status: HostStatus) -> Self {
        Self { host, status, serves: None, failure: None, further: Vec::new(), found: None }
    }

    /// Says that a host serves the release.
    #[must_use]
    pub fn succeeded(host: HostName, release: ReleaseId) -> Self {
        Self::new(host, HostStatus::Succeeded).with_serves(release)
    }

    /// Says that a host ended in a status because of a failure.
    #[must_use]
    pub fn failed(host: HostName, status: HostStatus, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::new(host, status) }
    }

    /// Sets the release that the host serves.
    #[must_use]
    pub fn with_serves(mut self, release: ReleaseId) -> Self {
        self.serves = Some(release);
        self
    }
}

/// What an executor reports in the end: one result for each host of the task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReleaseReport {
    /// The results, one a host, in the order of the task's hosts.
    pub hosts: Vec<HostResult>,
}

impl ReleaseReport {
    /// Makes the report of some hosts.
    #[must_use]
    pub fn new(hosts: Vec<HostResult>) -> Self {
        Self { hosts }
    }

    /// Says whether every host serves the release.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.hosts.iter().all(|host| host.status == HostStatus::Succeeded)
    }
}
