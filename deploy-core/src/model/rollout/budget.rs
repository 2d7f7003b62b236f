//! How many hosts may fail before a rollout stops.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::HostCount;
use crate::document::{Decode, Node, Value, deserialize_by_decode};

/// How many hosts may fail before a rollout stops, and what becomes of it then.
///
/// Any one of the limits stops it. When none is given the first failed host does; as soon as one is
/// given only those that are given hold. A host has failed when it ended otherwise than well; one
/// that somebody told the deployment to skip does not count, nor one that was never begun because the
/// rollout was stopping.
///
/// Within its budget a rollout goes on to its end; the deployment still ends as failed, with the
/// counts, because only a deployment whose hosts all serve the release has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureBudget {
    /// It stops when so many hosts of one batch have failed; a share is of the batch.
    pub batch: Option<FailureLimit>,
    /// It stops when so many hosts have failed; a share is of all hosts of the deployment. Written as
    /// `"unlimited"` where no limit is given at all, because that is not the default.
    pub total: Option<FailureLimit>,
    /// It stops when so many hosts have failed one after another, in the order in which they ended.
    pub in_a_row: Option<FailureLimit>,
    /// Whether a host that could not be reached, or whose agent could not, counts as failed. It does
    /// by default, because what cannot be reached does not serve the release.
    pub unreachable_counts: bool,
    /// What becomes of the rollout when the budget is passed.
    pub then: AfterBudget,
    /// What becomes of the hosts that are being done when the budget is passed.
    pub running: RunningHosts,
}

/// From how many failed hosts on a rollout stops. Written as `{"more_than": …}` or
/// `{"at_least": …}`, with a number of hosts or a percentage. A percentage is compared exactly, not
/// rounded: `{"more_than": "10%"}` of 15 hosts is passed by the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureLimit {
    /// It is passed by more than so many.
    MoreThan(HostCount),
    /// It is passed by so many.
    AtLeast(HostCount),
}

impl FailureLimit {
    /// Says whether `failed` hosts out of `all` pass it.
    #[must_use]
    pub fn is_passed(self, failed: usize, all: usize) -> bool {
        let share = |percent: u8| (failed.saturating_mul(100), all.saturating_mul(percent.into()));
        match self {
            Self::MoreThan(HostCount::Hosts(limit)) => failed > limit as usize,
            Self::AtLeast(HostCount::Hosts(limit)) => failed >= limit as usize,
            Self::MoreThan(HostCount::Share(limit)) => {
                let (failed, limit) = share(limit.percent());
                failed > limit
            }
            Self::AtLeast(HostCount::Share(limit)) => {
                let (scaled, limit) = share(limit.percent());
                failed > 0 && scaled >= limit
            }
        }
    }

    /// The fewest failed hosts that pass it, where that does not depend on how many there are.
    pub(super) fn fewest(self) -> Option<u32> {
        match self {
            Self::MoreThan(HostCount::Hosts(limit)) => Some(limit.saturating_add(1)),
            Self::AtLeast(HostCount::Hosts(limit)) => Some(limit),
            _ => None,
        }
    }

    fn count(self) -> HostCount {
        match self {
            Self::MoreThan(count) | Self::AtLeast(count) => count,
        }
    }
}

impl fmt::Display for FailureLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MoreThan(count) => write!(f, "more than {count}"),
            Self::AtLeast(count) => write!(f, "{count} or more"),
        }
    }
}

/// What becomes of a rollout whose failure budget is passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AfterBudget {
    /// Nothing new starts, and the deployment ends as failed. The default.
    #[default]
    Stop,
    /// Nothing new starts until a person resumes it, which forgives the failures so far, retries the
    /// failed hosts, or cancels it.
    Wait,
    /// Nothing new starts, and the hosts that serve the release, or may, are put back to the last good
    /// one, batch by batch. The deployment ends as rolled back.
    RollBack,
}

/// What becomes of the hosts that are being done when the failure budget is passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunningHosts {
    /// They come to their end. The default. Hosts that were handed out and are not known to have
    /// begun are taken back.
    #[default]
    Finish,
    /// They are stopped where that leaves them whole.
    Cancel,
}

impl Default for FailureBudget {
    fn default() -> Self {
        Self {
            batch: None,
            total: Some(FailureLimit::AtLeast(HostCount::Hosts(1))),
            in_a_row: None,
            unreachable_counts: true,
            then: AfterBudget::Stop,
            running: RunningHosts::Finish,
        }
    }
}

impl FailureBudget {
    /// Stops at the first failed host: the default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets when failed hosts of one batch stop the rollout.
    #[must_use]
    pub fn with_batch(mut self, limit: FailureLimit) -> Self {
        self.batch = Some(limit);
        self
    }

    /// Sets when failed hosts stop the rollout; with `None` they do not, however many there are.
    #[must_use]
    pub fn with_total(mut self, limit: Option<FailureLimit>) -> Self {
        self.total = limit;
        self
    }

    /// Sets when hosts that failed one after another stop the rollout.
    #[must_use]
    pub fn with_in_a_row(mut self, limit: FailureLimit) -> Self {
        self.in_a_row = Some(limit);
        self
    }

    /// Sets whether a host that could not be reached counts as failed.
    #[must_use]
    pub fn with_unreachable_counts(mut self, counts: bool) -> Self {
        self.unreachable_counts = counts;
        self
    }

    /// Sets what becomes of the rollout when the budget is passed.
    #[must_use]
    pub fn with_then(mut self, then: AfterBudget) -> Self {
        self.then = then;
        self
    }

    /// Sets what becomes of running hosts when the budget is passed.
    #[must_use]
    pub fn with_running(mut self, running: RunningHosts) -> Self {
        self.running = running;
        self
    }
}

impl Decode for FailureLimit {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let more_than = table.optional("more_than");
        let at_least = table.optional("at_least");
        table.finish();
        match (more_than?, at_least?) {
            (Some(HostCount::Share(share)), None) if share.percent() == 100 => {
                node.refuse("less than \"100%\": more than all hosts never fail")
            }
            (Some(count), None) => Some(Self::MoreThan(count)),
            (None, Some(count)) => Some(Self::AtLeast(count)),
            _ => node.refuse("a table with either more_than or at_least"),
        }
    }
}

macro_rules! decode_words {
    ($name:ident, $allowed:literal, $($word:literal => $value:ident),*) => {
        impl Decode for $name {
            fn decode(node: &Node<'_>) -> Option<Self> {
                match node.value() {
                    $(Value::Text(text) if text == $word => Some(Self::$value),)*
                    _ => node.refuse($allowed),
                }
            }
        }
    };
}
decode_words!(
    AfterBudget, "\"stop\", \"wait\" or \"roll_back\"",
    "stop" => Stop, "wait" => Wait, "roll_back" => RollBack
);
decode_words!(RunningHosts, "\"finish\" or \"cancel\"", "finish" => Finish, "cancel" => Cancel);

/// The word for hosts that may fail in any number.
const UNLIMITED: &str = "unlimited";

impl Serialize for FailureBudget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let limits = [("batch", self.batch), ("total", self.total), ("in_a_row", self.in_a_row)];
        for (name, limit) in limits {
            match limit {
                Some(limit) => map.serialize_entry(name, &limit)?,
                None if name == "total" && limits.iter().all(|(_, limit)| limit.is_none()) => {
                    map.serialize_entry(name, UNLIMITED)?;
                }
                None => {}
            }
        }
        map.serialize_entry("unreachable_counts", &self.unreachable_counts)?;
        map.serialize_entry("then", &self.then)?;
        map.serialize_entry("running", &self.running)?;
        map.end()
    }
}

/// The limit of all hosts, as it is written.
#[derive(Clone, Copy)]
enum Total {
    Limit(FailureLimit),
    Unlimited,
}

impl Decode for Total {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Text(text) if text == UNLIMITED => Some(Self::Unlimited),
            Value::Table(_) => FailureLimit::decode(node).map(Self::Limit),
            _ => node.refuse("a table with either more_than or at_least, or \"unlimited\""),
        }
    }
}

impl Decode for FailureBudget {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let default = Self::default();
        let mut table = node.table()?;
        let batch: Option<Option<FailureLimit>> = table.optional("batch");
        let total: Option<Option<Total>> = table.optional("total");
        let in_a_row: Option<Option<FailureLimit>> = table.optional("in_a_row");
        let unreachable_counts = table.or("unreachable_counts", default.unreachable_counts);
        let then = table.or("then", default.then);
        let running = table.or("running", default.running);
        if let Some(Some(limit)) = in_a_row
            && let HostCount::Share(share) = limit.count()
        {
            table.fault("in_a_row", format!("the share {share}"), "a number of hosts");
        }
        table.finish();
        let (batch, total, in_a_row) = (batch?, total?, in_a_row?);
        let any = batch.is_some() || total.is_some() || in_a_row.is_some();
        let total = match total {
            Some(Total::Limit(limit)) => Some(limit),
            None if !any => default.total,
            Some(Total::Unlimited) | None => None,
        };
        Some(Self {
            batch,
            total,
            in_a_row,
            unreachable_counts: unreachable_counts?,
            then: then?,
            running: running?,
        })
    }
}

deserialize_by_decode!(FailureLimit, FailureBudget, RunningHosts);

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(json: &str) -> FailureLimit {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_limit_means_what_it_says() {
        let first = |limit: FailureLimit, all| (0..=all).find(|n| limit.is_passed(*n, all));
        assert_eq!(first(limit(r#"{"at_least": 2}"#), 10), Some(2));
        assert_eq!(first(limit(r#"{"more_than": 2}"#), 10), Some(3));
        assert_eq!(first(limit(r#"{"at_least": "10%"}"#), 10), Some(1));
        assert_eq!(first(limit(r#"{"more_than": "10%"}"#), 10), Some(2));
        assert_eq!(first(limit(r#"{"more_than": "10%"}"#), 15), Some(2));
        assert_eq!(first(limit(r#"{"at_least": "10%"}"#), 15), Some(2));
        assert_eq!(first(limit(r#"{"at_least": "1%"}"#), 3), Some(1));
        assert_eq!(first(limit(r#"{"at_least": "100%"}"#), 3), Some(3));
        assert_eq!(first(limit(r#"{"at_least": 5}"#), 3), None);
        assert!(!limit(r#"{"at_least": "1%"}"#).is_passed(0, 0));
    }

    #[test]
    fn a_budget_without_limits_stops_at_the_first_failure_and_a_limit_replaces_that() {
        let budget: FailureBudget = serde_json::from_str(r#"{"then": "wait"}"#).unwrap();
        assert_eq!(budget, FailureBudget::new().with_then(AfterBudget::Wait));
        let budget: FailureBudget =
            serde_json::from_str(r#"{"in_a_row": {"at_least": 3}}"#).unwrap();
        assert_eq!(budget.total, None);
        let written = serde_json::to_string(&budget).unwrap();
        assert_eq!(serde_json::from_str::<FailureBudget>(&written).unwrap(), budget);
    }

    #[test]
    fn a_budget_without_any_limit_is_read_as_it_is_written() {
        let budget = FailureBudget::new().with_total(None);
        let written = serde_json::to_string(&budget).unwrap();
        assert!(written.contains(r#""total":"unlimited""#), "{written}");
        assert_eq!(serde_json::from_str::<FailureBudget>(&written).unwrap(), budget);
    }
}
