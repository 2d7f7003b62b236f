//! What a release task does on its hosts.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{DeploymentId, HostStatus, ReleaseId, Sha256Digest};
use crate::document::{Decode, Node, Value, deserialize_by_decode};

/// What a release task does on its hosts.
///
/// Written as `{ type = "install" }`, `{ type = "rollback", release = "…", to = "last_good" }`,
/// `{ type = "inspect" }` or `{ type = "probe" }`; a task without one installs.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReleaseAction {
    /// Installs the task's package as a new release, which has the deployment's id.
    #[default]
    Install,
    /// Puts the hosts back to a release that they have. Nothing is fetched or sent.
    Rollback {
        /// The release that is undone. A host that does not serve it is left as it is.
        release: ReleaseId,
        /// What the hosts go back to.
        to: RollbackTarget,
    },
    /// Looks at what the hosts have, and changes nothing: see
    /// [`HostResult::found`](super::HostResult::found).
    Inspect,
    /// Asks the monitoring address of each host once, and changes nothing.
    Probe,
}

impl ReleaseAction {
    pub(crate) fn is_install(&self) -> bool {
        *self == Self::Install
    }

    /// How a host ends on which all went well.
    #[must_use]
    pub fn aim(&self) -> HostStatus {
        match self {
            Self::Install => HostStatus::Succeeded,
            Self::Rollback { .. } => HostStatus::RolledBack,
            Self::Inspect | Self::Probe => HostStatus::Checked,
        }
    }
}

impl Decode for ReleaseAction {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let kind: Option<String> = table.required("type");
        let action = match kind?.as_str() {
            "install" => Some(Self::Install),
            "inspect" => Some(Self::Inspect),
            "probe" => Some(Self::Probe),
            "rollback" => {
                let (release, to) = (table.required("release"), table.required("to"));
                table.finish();
                return Some(Self::Rollback { release: release?, to: to? });
            }
            other => {
                let allowed = "\"install\", \"rollback\", \"inspect\" or \"probe\"";
                table.fault("type", format!("the text {other:?}"), allowed);
                return None;
            }
        };
        table.finish();
        action
    }
}

/// What a host goes back to. Written as `"last_good"`, `"previous"` or `{ release = "…" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RollbackTarget {
    /// The newest release before the one that is undone which was proven good there. The default.
    #[default]
    LastGood,
    /// The release that was served right before the one that is undone, proven or not.
    Previous,
    /// This release, which the host has to have as a whole; not one that has failed there.
    Release(ReleaseId),
}

impl fmt::Display for RollbackTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastGood => f.write_str("the last good release"),
            Self::Previous => f.write_str("the release before"),
            Self::Release(release) => write!(f, "the release {release}"),
        }
    }
}

impl Serialize for RollbackTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::LastGood => serializer.serialize_str("last_good"),
            Self::Previous => serializer.serialize_str("previous"),
            Self::Release(release) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("release", release)?;
                map.end()
            }
        }
    }
}

impl Decode for RollbackTarget {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Text(text) if text == "last_good" => Some(Self::LastGood),
            Value::Text(text) if text == "previous" => Some(Self::Previous),
            Value::Table(_) => {
                let mut table = node.table()?;
                let release = table.required("release");
                table.finish();
                Some(Self::Release(release?))
            }
            _ => node.refuse("\"last_good\", \"previous\" or { release = \"…\" }"),
        }
    }
}

/// That a deployment undoes another one: what it puts its hosts back to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RollbackSpec {
    /// The deployment that is undone.
    pub of: DeploymentId,
    /// What the hosts go back to.
    #[serde(default)]
    pub to: RollbackTarget,
}

impl RollbackSpec {
    /// Says that a deployment is undone.
    #[must_use]
    pub fn new(of: DeploymentId, to: RollbackTarget) -> Self {
        Self { of, to }
    }
}

impl Decode for RollbackSpec {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let of = table.required("of");
        let to = table.or("to", RollbackTarget::default());
        table.finish();
        Some(Self { of: of?, to: to? })
    }
}

/// What is on a host, for one project.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HostFound {
    /// The release that `current` points to, where there is one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<ReleaseId>,
    /// The releases that are there, the newest first.
    #[serde(default)]
    pub releases: Vec<FoundRelease>,
    /// How many bytes are free on the file system of the project's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<u64>,
    /// Who holds the project's lock there, in words, while somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<String>,
}

/// A release that is on a host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FoundRelease {
    /// The release.
    pub release: ReleaseId,
    /// What is known of it.
    pub state: ReleaseState,
    /// The SHA-256 of the package that it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Digest>,
    /// The release that was served before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ReleaseId>,
}

impl FoundRelease {
    /// Says that a release is there.
    #[must_use]
    pub fn new(release: ReleaseId, state: ReleaseState) -> Self {
        Self { release, state, sha256: None, previous: None }
    }
}

/// What a host knows of a release that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReleaseState {
    /// It is not whole, and never used.
    Unfinished,
    /// It is whole, and was not proven yet.
    Complete,
    /// It was served and proven.
    Good,
    /// It was found wanting.
    Failed,
}

impl ReleaseState {
    /// The name of the state, as documents have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Complete => "complete",
            Self::Good => "good",
            Self::Failed => "failed",
        }
    }
}

deserialize_by_decode!(ReleaseAction, RollbackTarget, RollbackSpec);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_written_as_they_are_read() {
        let good = [
            r#"{"type":"install"}"#,
            r#"{"type":"rollback","release":"d-1","to":"last_good"}"#,
            r#"{"type":"rollback","release":"d-1","to":"previous"}"#,
            r#"{"type":"rollback","release":"d-1","to":{"release":"d-0"}}"#,
            r#"{"type":"inspect"}"#,
            r#"{"type":"probe"}"#,
        ];
        for text in good {
            let action: ReleaseAction = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&action).unwrap(), text);
        }
    }

    #[test]
    fn an_action_that_is_none_is_refused_with_what_is_allowed() {
        let refused = |text: &str| serde_json::from_str::<ReleaseAction>(text).unwrap_err();
        assert!(refused(r#"{"type":"undo"}"#).to_string().contains("\"rollback\""));
        assert!(refused(r#"{"type":"probe","to":"previous"}"#).to_string().contains("to"));
        let both = refused(r#"{"type":"rollback","release":"/","to":"newest"}"#).to_string();
        assert!(both.contains("release") && both.contains("last_good"), "{both}");
    }
}
