//! The order in which hosts are done, and when that stops, as a request asks for it.

mod batch_size;
mod budget;
mod canary;
mod host_count;
mod order;
mod pause;
mod percentage;

use std::time::Duration;

use serde::Serialize;

pub use batch_size::BatchSize;
pub use budget::{AfterBudget, FailureBudget, FailureLimit, RunningHosts};
pub use canary::{Canary, CanaryHold};
pub use host_count::HostCount;
pub use order::HostOrder;
pub use pause::BatchPause;
pub use percentage::Percentage;

use super::span;
use crate::document::{Decode, Node, Table, Value, deserialize_by_decode};

/// The order in which hosts are done, and when that stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RolloutSpec {
    /// The sizes of the batches; the last one repeats until no host is left. One host at a time by
    /// default, because that is the order that breaks least. A rollout has
    /// [`MOST_BATCHES`](Self::MOST_BATCHES) at most; one that would have more fails before it begins.
    pub batches: Vec<BatchSize>,
    /// How many hosts of a batch are done at once at most: 10 by default.
    pub max_parallel: u32,
    /// The order in which hosts come into the batches.
    pub order: HostOrder,
    /// Whether a batch may take a whole zone, where the order is [`HostOrder::Zone`]: no by default,
    /// because a zone is what fails at once.
    ///
    /// When it may not, each batch leaves a host of every zone with two hosts or more, and takes at
    /// most one zone of a single host; a batch is smaller for that where it has to be, never empty.
    /// Hosts without a zone are free.
    pub whole_zones: bool,
    /// The pause between two batches: none by default.
    pub pause: BatchPause,
    /// A first batch that the rest waits for: none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// How many hosts may fail.
    pub failures: FailureBudget,
    /// How long the rollout may take from its beginning: three days by default, because an agent that
    /// lives and never answers must not hold a project for ever. It does not run while the rollout
    /// stands: during pauses, holds, and while it waits for a person.
    #[serde(serialize_with = "span::serialize")]
    pub deadline: Duration,
}

impl Default for RolloutSpec {
    fn default() -> Self {
        Self {
            batches: vec![BatchSize::Hosts(1)],
            max_parallel: 10,
            order: HostOrder::Resolved,
            whole_zones: false,
            pause: BatchPause::default(),
            canary: None,
            failures: FailureBudget::default(),
            deadline: Duration::from_secs(3 * 24 * 60 * 60),
        }
    }
}

impl RolloutSpec {
    /// How many batches a rollout has at most: so many that hosts done one by one, which is the
    /// default, are only too many for a person to watch, and so few that the list stays a small fact.
    pub const MOST_BATCHES: usize = 10_000;

    /// Sets the sizes of the batches.
    #[must_use]
    pub fn with_batches(mut self, batches: Vec<BatchSize>) -> Self {
        self.batches = batches;
        self
    }

    /// Sets how many hosts of a batch are done at once at most; at least 1.
    #[must_use]
    pub fn with_max_parallel(mut self, hosts: u32) -> Self {
        self.max_parallel = hosts;
        self
    }

    /// Sets the order in which hosts come into the batches.
    #[must_use]
    pub fn with_order(mut self, order: HostOrder) -> Self {
        self.order = order;
        self
    }

    /// Sets whether a batch may take a whole zone.
    #[must_use]
    pub fn with_whole_zones(mut self, whole_zones: bool) -> Self {
        self.whole_zones = whole_zones;
        self
    }

    /// Sets the pause between two batches.
    #[must_use]
    pub fn with_pause(mut self, pause: BatchPause) -> Self {
        self.pause = pause;
        self
    }

    /// Sets the first batch that the rest waits for.
    #[must_use]
    pub fn with_canary(mut self, canary: Canary) -> Self {
        self.canary = Some(canary);
        self
    }

    /// Sets how many hosts may fail.
    #[must_use]
    pub fn with_failures(mut self, failures: FailureBudget) -> Self {
        self.failures = failures;
        self
    }

    /// Sets how long the rollout may take from its beginning.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The most hosts that a batch can have, where that does not depend on how many there are.
    fn largest_batch(&self) -> Option<u32> {
        let size = |size: BatchSize| match size {
            BatchSize::Hosts(hosts) => Some(hosts),
            _ => None,
        };
        let canary = self.canary.map(|canary| BatchSize::from(canary.hosts));
        let sizes = self.batches.iter().copied().chain(canary).map(size);
        sizes.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Finds what does not fit together.
    fn check(&self, table: &Table<'_>) {
        if self.batches.is_empty() {
            table.fault("batches", "an empty list", "at least one batch");
        }
        if self.batches.len() > Self::MOST_BATCHES {
            let found = format!("a list of {}", self.batches.len());
            table.fault("batches", found, format!("at most {} batches", Self::MOST_BATCHES));
        }
        if let Some(first) = self.batches.first().filter(|first| first.is_relative()) {
            let allowed = "a number or a percentage: there is no batch before the first";
            table.fault("batches[0]", format!("the growth \"{first}\""), allowed);
        }
        if self.max_parallel == 0 {
            table.fault("max_parallel", "the number 0", "at least 1");
        }
        if self.whole_zones && self.order != HostOrder::Zone {
            table.fault("whole_zones", "true", "false, unless order is \"zone\"");
        }
        if self.deadline.is_zero() {
            table.fault("deadline", "no time at all", "a duration longer than nothing");
        }
        let fewest = self.failures.batch.and_then(FailureLimit::fewest);
        if let (Some(fewest), Some(largest)) = (fewest, self.largest_batch())
            && fewest > largest
        {
            let found = format!("a limit that {fewest} failed hosts pass");
            table.fault("failures.batch", found, format!("one that a batch of {largest} can pass"));
        }
    }
}

impl Decode for RolloutSpec {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let default = Self::default();
        let mut table = node.table()?;
        let batches = match table.node("batches") {
            Some(node) if matches!(node.value(), Value::List(_)) => Vec::decode(&node),
            Some(node) => BatchSize::decode(&node).map(|size| vec![size]),
            None => Some(default.batches.clone()),
        };
        let max_parallel = table.or("max_parallel", default.max_parallel);
        let order = table.or("order", default.order.clone());
        let whole_zones = table.or("whole_zones", default.whole_zones);
        let pause = table.or("pause", default.pause);
        let canary = table.optional("canary");
        let failures = table.or("failures", default.failures);
        let deadline = table.or("deadline", default.deadline);
        // What could not be read has its fault; the rest is checked with the default in its place, of
        // which no fault can come.
        let spec = Self {
            batches: batches.clone().unwrap_or(default.batches),
            max_parallel: max_parallel.unwrap_or(default.max_parallel),
            order: order.clone().unwrap_or(HostOrder::Zone),
            whole_zones: whole_zones.unwrap_or(default.whole_zones),
            pause: pause.unwrap_or(default.pause),
            canary: canary.unwrap_or_default(),
            failures: failures
                .filter(|_| batches.is_some() && canary.is_some())
                .unwrap_or(default.failures),
            deadline: deadline.unwrap_or(default.deadline),
        };
        spec.check(&table);
        table.finish();
        (batches.is_some()
            && max_parallel.is_some()
            && order.is_some()
            && whole_zones.is_some()
            && pause.is_some()
            && canary.is_some()
            && failures.is_some()
            && deadline.is_some())
        .then_some(spec)
    }
}

deserialize_by_decode!(RolloutSpec);

#[cfg(test)]
mod tests;
