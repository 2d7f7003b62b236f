//! An error as data: what crosses a wire, a queue or a journal.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::HostName;
use crate::release_step::Step;

/// Whether the same thing is worth trying again, and when.
///
/// Queues and engines look at this and never at a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retry {
    /// No: the same input fails the same way.
    Never,
    /// Yes, at once.
    Immediately,
    /// Yes, after a pause that the failing side asked for.
    After(Duration),
    /// It was worth it, and was tried as often as allowed.
    Exhausted,
}

impl Retry {
    /// Says whether another try is worth it.
    #[must_use]
    pub fn is_worth_it(self) -> bool {
        matches!(self, Self::Immediately | Self::After(_))
    }
}

/// What kind of failure it was: a closed set, the same on every wire and in every journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureCode {
    /// The request, the task or the inventory says something that is not allowed.
    Invalid,
    /// Business and project resolve to no host, or to hosts that are not known.
    Unresolved,
    /// The package could not be fetched.
    PackageUnavailable,
    /// The package's bytes are not those that were asked for.
    DigestMismatch,
    /// The package is damaged, of an unknown shape, beyond a limit, or reaches out of the release.
    PackageRefused,
    /// The agent could not be reached, or said nothing for too long.
    AgentUnreachable,
    /// The agent refused the task.
    AgentRejected,
    /// The host could not be reached.
    HostUnreachable,
    /// The host refused to let us in, or is not the host we know.
    HostRejected,
    /// Another deployment holds the host's lock, or a newer one has been there.
    HostLocked,
    /// The host has too little free space.
    HostFull,
    /// The host lacks a tool that the release needs.
    ToolMissing,
    /// Something on the host did not work: a directory, a link, a command of ours.
    HostFailed,
    /// A hook ended with an error.
    HookFailed,
    /// A hook ran for longer than it may.
    HookTimedOut,
    /// The monitoring address did not answer as expected in time.
    Unhealthy,
    /// No confirmation came over a new connection in time, and the host went back by itself.
    Unconfirmed,
    /// It took longer than it may.
    TimedOut,
    /// Somebody cancelled it.
    Cancelled,
    /// The connection was lost in the middle; what happened on the other side is not known.
    Unknown,
    /// A gate refused the deployment.
    GateRefused,
    /// The deployment's time to begin ran out before its rollout had begun.
    Expired,
    /// The scheduled time was missed, by more than the request allows.
    Missed,
    /// The rollout stopped before this host's turn.
    RolloutStopped,
    /// The host has no release to go back to, or not the one that was named.
    ReleaseMissing,
    /// Somebody told the deployment to go on without this host.
    Skipped,
    /// A queue, a journal or a cache could not be written or read.
    Storage,
    /// A defect of the engine or of a part that the host application gave it.
    Internal,
}

impl FailureCode {
    /// The name of the code, as documents have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unresolved => "unresolved",
            Self::PackageUnavailable => "package_unavailable",
            Self::DigestMismatch => "digest_mismatch",
            Self::PackageRefused => "package_refused",
            Self::AgentUnreachable => "agent_unreachable",
            Self::AgentRejected => "agent_rejected",
            Self::HostUnreachable => "host_unreachable",
            Self::HostRejected => "host_rejected",
            Self::HostLocked => "host_locked",
            Self::HostFull => "host_full",
            Self::ToolMissing => "tool_missing",
            Self::HostFailed => "host_failed",
            Self::HookFailed => "hook_failed",
            Self::HookTimedOut => "hook_timed_out",
            Self::Unhealthy => "unhealthy",
            Self::Unconfirmed => "unconfirmed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::GateRefused => "gate_refused",
            Self::Expired => "expired",
            Self::Missed => "missed",
            Self::RolloutStopped => "rollout_stopped",
            Self::ReleaseMissing => "release_missing",
            Self::Skipped => "skipped",
            Self::Storage => "storage",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure as data: code, message, retry verdict, and where it happened.
///
/// The message is for people and holds no secret. `output` holds the last lines of a command's
/// output, where a command failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Failure {
    /// What kind of failure it was.
    pub code: FailureCode,
    /// What happened, in words.
    pub message: String,
    /// Whether the same thing is worth trying again.
    pub retry: Retry,
    /// The host on which it happened, if on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The step in which it happened, if in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// The last part of the failed command's output, at most [`Failure::OUTPUT`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl Failure {
    /// How much of a failed command's output travels with the failure, in bytes. The whole stays on
    /// the host. The figure is what AWS CodeDeploy sends upstream.
    pub const OUTPUT: usize = 2048;

    /// Makes a failure that is not worth trying again.
    #[must_use]
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry: Retry::Never,
            host: None,
            step: None,
            output: None,
        }
    }

    /// Makes a failure of an error and its causes, joined by colons.
    #[must_use]
    pub fn of(code: FailureCode, error: &(dyn Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(code, message)
    }

    /// Sets the retry verdict.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the host on which it happened.
    #[must_use]
    pub fn with_host(mut self, host: HostName) -> Self {
        self.host = Some(host);
        self
    }

    /// Sets the step in which it happened.
    #[must_use]
    pub fn with_step(mut self, step: Step) -> Self {
        self.step = Some(step);
        self
    }

    /// Sets the last part of the failed command's output; all but the last [`Failure::OUTPUT`]
    /// bytes are dropped.
    #[must_use]
    pub fn with_output(mut self, output: &str) -> Self {
        let mut start = output.len().saturating_sub(Self::OUTPUT);
        while !output.is_char_boundary(start) {
            start += 1;
        }
        self.output = (!output.is_empty()).then(|| output[start..].to_owned());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}: ")?;
        }
        if let Some(step) = self.step {
            write!(f, "{step}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Error for Failure {}
