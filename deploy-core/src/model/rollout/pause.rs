//! The pause between two batches.

use std::time::Duration;

use serde::Serialize;

use crate::document::{Decode, Node, Value, deserialize_by_decode};
use crate::model::span;

/// The pause between two batches. Written as a duration, or as `{"fixed": "30s", "jitter": "10s"}`.
///
/// The jitter is drawn once for each pause, and recorded: a process that goes on with the rollout
/// does not draw anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatchPause {
    /// How long it is at least.
    #[serde(serialize_with = "span::serialize")]
    pub fixed: Duration,
    /// How much longer it is at most, so that many rollouts do not go on in step.
    #[serde(serialize_with = "span::serialize")]
    pub jitter: Duration,
}

impl BatchPause {
    /// A pause of always the same length.
    #[must_use]
    pub fn new(fixed: Duration) -> Self {
        Self { fixed, jitter: Duration::ZERO }
    }

    /// Sets how much longer it is at most.
    #[must_use]
    pub fn with_jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Says whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.fixed.is_zero() && self.jitter.is_zero()
    }
}

impl Decode for BatchPause {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Table(_) => {
                let mut table = node.table()?;
                let fixed = table.or("fixed", Duration::ZERO);
                let jitter = table.or("jitter", Duration::ZERO);
                table.finish();
                Some(Self { fixed: fixed?, jitter: jitter? })
            }
            _ => Duration::decode(node).map(Self::new),
        }
    }
}

deserialize_by_decode!(BatchPause);
