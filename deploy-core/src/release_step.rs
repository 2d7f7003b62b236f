//! The steps of installing a release on a host.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One part of installing a release on a host, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Reach the host.
    Connect,
    /// Take the host's lock for the project, look at what is there and at the free space.
    Lock,
    /// Bring the package to the host, or find it there.
    Transfer,
    /// Check the package's bytes on the host.
    Verify,
    /// Unpack the package into a new release.
    Unpack,
    /// Link the shared paths into the release.
    Link,
    /// Run the hooks before the switch.
    BeforeSwitch,
    /// Make `current` point to the release.
    Switch,
    /// Run the hooks after the switch.
    AfterSwitch,
    /// Wait until the monitoring address answers as expected.
    Probe,
    /// Wait until the release is confirmed over a new connection.
    Confirm,
    /// Go back to the release before, after a failure.
    Rollback,
    /// Run the hooks for a failure.
    OnFailure,
    /// Remove releases that are no longer kept.
    Prune,
}

impl Step {
    /// Every step, in order.
    pub const ALL: &[Self] = &[
        Self::Connect,
        Self::Lock,
        Self::Transfer,
        Self::Verify,
        Self::Unpack,
        Self::Link,
        Self::BeforeSwitch,
        Self::Switch,
        Self::AfterSwitch,
        Self::Probe,
        Self::Confirm,
        Self::Rollback,
        Self::OnFailure,
        Self::Prune,
    ];

    /// The name of the step, as documents have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Lock => "lock",
            Self::Transfer => "transfer",
            Self::Verify => "verify",
            Self::Unpack => "unpack",
            Self::Link => "link",
            Self::BeforeSwitch => "before_switch",
            Self::Switch => "switch",
            Self::AfterSwitch => "after_switch",
            Self::Probe => "probe",
            Self::Confirm => "confirm",
            Self::Rollback => "rollback",
            Self::OnFailure => "on_failure",
            Self::Prune => "prune",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
