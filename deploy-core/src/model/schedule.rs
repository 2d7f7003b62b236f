//! When a deployment may begin, when it is too late, and what a missed time means.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{DeploymentRequest, Timestamp, span};
use crate::document::{Decode, Fault, Faults, Node, Table, Value, deserialize_by_decode};
use crate::failure::{Failure, FailureCode};

/// What happens when the scheduled time was missed: the node was down when it came, or busy with
/// another deployment of the project, or a gate held the deployment.
///
/// Written as `"run"`, `"fail"`, or `{ fail_after = "10m" }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnMissed {
    /// The rollout begins as soon as it can.
    #[default]
    Run,
    /// A rollout that has not begun this long after the scheduled time never does: the deployment
    /// fails as missed.
    Fail {
        /// How long after the scheduled time the rollout may still begin.
        after: Duration,
    },
}

impl OnMissed {
    /// Fails when the rollout has not begun 5 minutes after the scheduled time. That outlasts a
    /// restart of the node, the lease of a process that died (30 s) and the half minute in which a
    /// set clock is noticed, and is still what people call on time.
    pub const FAIL: Self = Self::Fail { after: Duration::from_secs(5 * 60) };

    pub(super) fn is_run(&self) -> bool {
        *self == Self::Run
    }
}

impl Serialize for OnMissed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Run => serializer.serialize_str("run"),
            &Self::FAIL => serializer.serialize_str("fail"),
            Self::Fail { after } => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("fail_after", &span::format(*after))?;
                map.end()
            }
        }
    }
}

impl Decode for OnMissed {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Text(text) if text == "run" => Some(Self::Run),
            Value::Text(text) if text == "fail" => Some(Self::FAIL),
            Value::Table(_) => {
                let mut table = node.table()?;
                let after = table.required("fail_after");
                if after == Some(Duration::ZERO) {
                    table.fault("fail_after", "no time at all", "more than \"0s\"");
                }
                table.finish();
                Some(Self::Fail { after: after? })
            }
            _ => node.refuse("\"run\", \"fail\" or { fail_after = \"10m\" }"),
        }
    }
}

deserialize_by_decode!(OnMissed);

/// Records the faults of times that contradict each other.
pub(super) fn check(
    table: &Table<'_>,
    not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    on_missed: OnMissed,
) {
    if let (Some(not_before), Some(expires_at)) = (not_before, expires_at)
        && expires_at <= not_before
    {
        let allowed = format!("a time after not_before, {not_before}");
        table.fault("expires_at", expires_at.to_string(), allowed);
    }
    if not_before.is_none() && !on_missed.is_run() {
        table.fault("on_missed", "no not_before that could be missed", "\"run\" without one");
    }
}

impl DeploymentRequest {
    /// Says whether the scheduled time has come.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|due| now >= due)
    }

    /// The moment from which on the rollout may not begin any more, where there is one.
    pub(crate) fn too_late_at(&self) -> Option<Timestamp> {
        self.expires_at.into_iter().chain(self.missed_at()).min()
    }

    fn missed_at(&self) -> Option<Timestamp> {
        match self.on_missed {
            OnMissed::Run => None,
            OnMissed::Fail { after } => self.not_before.map(|due| due.plus(after)),
        }
    }

    /// Why the rollout may not begin any more.
    pub(crate) fn too_late(&self, now: Timestamp) -> Option<Failure> {
        if let Some(expires_at) = self.expires_at.filter(|at| now >= *at) {
            let message = format!("expired: its rollout had not begun by {expires_at}");
            return Some(Failure::new(FailureCode::Expired, message));
        }
        let missed_at = self.missed_at().filter(|at| now >= *at)?;
        let due = self.not_before.unwrap_or(missed_at);
        let span = span::format(missed_at.since(due));
        let message = format!("missed: its rollout had not begun {span} after {due}");
        Some(Failure::new(FailureCode::Missed, message))
    }

    /// The faults of a request that is filed when its time is over already.
    pub(crate) fn late(&self, now: Timestamp) -> Faults {
        let mut faults = Faults::default();
        if let Some(missed_at) = self.missed_at().filter(|at| now >= *at) {
            let due = self.not_before.unwrap_or(missed_at);
            let span = span::format(missed_at.since(due));
            let allowed = format!("a time no more than {span} before now, {now}, as of on_missed");
            faults.push(Fault::new("not_before", due.to_string(), allowed));
        }
        if let Some(expires_at) = self.expires_at.filter(|at| now >= *at) {
            let allowed = format!("a time after now, {now}");
            faults.push(Fault::new("expires_at", expires_at.to_string(), allowed));
        }
        faults
    }
}
