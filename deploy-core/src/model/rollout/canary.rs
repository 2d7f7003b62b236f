//! The canary: a first batch that the rest waits for.

use std::time::Duration;

use serde::Serialize;

use super::HostCount;
use crate::document::{Decode, Node, Value, deserialize_by_decode};
use crate::model::span;

/// A first batch that the rest of the rollout waits for, for a time or for a person.
///
/// It comes before the batches of the list. When it takes all hosts, nothing is held after it. A canary
/// with a host that failed is held for a person, however it was to be held and whatever the failure
/// budget allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Canary {
    /// Its hosts: so many, or such a share of all hosts, rounded up.
    pub hosts: HostCount,
    /// What the rest waits for.
    pub hold: CanaryHold,
}

/// What the rest of a rollout waits for after its canary. Written as a duration, or as `"promote"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CanaryHold {
    /// So long, or for a person who promotes it earlier.
    For(Duration),
    /// A person who promotes it, however long that takes.
    Promotion,
}

impl Canary {
    /// Makes a canary.
    #[must_use]
    pub fn new(hosts: HostCount, hold: CanaryHold) -> Self {
        Self { hosts, hold }
    }
}

impl Serialize for CanaryHold {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(span) => span::serialize(span, serializer),
            Self::Promotion => serializer.serialize_str("promote"),
        }
    }
}

const ALLOWED: &str = "\"promote\", or a duration longer than nothing, such as \"10m\"";

impl Decode for CanaryHold {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Text(text) if text == "promote" => Some(Self::Promotion),
            Value::Text(text) => match span::parse(text) {
                Ok(span) if !span.is_zero() => Some(Self::For(span)),
                _ => node.refuse(ALLOWED),
            },
            _ => node.refuse(ALLOWED),
        }
    }
}

impl Decode for Canary {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let hosts = table.required("hosts");
        let hold = table.required("hold");
        if let Some(HostCount::Share(share)) = hosts
            && share.percent() == 100
        {
            table.fault("hosts", "all hosts", "fewer, so that there is something to hold back");
        }
        table.finish();
        Some(Self { hosts: hosts?, hold: hold? })
    }
}

deserialize_by_decode!(CanaryHold, Canary);
