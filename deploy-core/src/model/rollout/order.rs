//! The order in which hosts come into the batches.

use serde::Serialize;

use crate::document::{Decode, Node, Value, deserialize_by_decode};
use crate::model::Tag;

/// The order in which hosts come into the batches.
///
/// Written as `"resolved"`, `"name"`, `"zone"`, or `{"tags": ["canary", "edge"]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HostOrder {
    /// As the resolver gave them. The default.
    #[default]
    Resolved,
    /// By their names, compared as text.
    Name,
    /// Those with the first tag, then those with the second, and so on; those with none of them last.
    /// Within each the order is the resolver's.
    Tags(Vec<Tag>),
    /// From each zone in turn, so that every batch is spread over the zones, and so that no batch
    /// takes a whole zone: see [`RolloutSpec::whole_zones`](super::RolloutSpec::whole_zones).
    Zone,
}

const ALLOWED: &str = "\"resolved\", \"name\", \"zone\", or a table with the key tags";

impl Decode for HostOrder {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Text(text) if text == "resolved" => Some(Self::Resolved),
            Value::Text(text) if text == "name" => Some(Self::Name),
            Value::Text(text) if text == "zone" => Some(Self::Zone),
            Value::Table(_) => {
                let mut table = node.table()?;
                let tags: Option<Vec<Tag>> = table.required("tags");
                if tags.as_ref().is_some_and(Vec::is_empty) {
                    table.fault("tags", "an empty list", "at least one tag");
                }
                table.finish();
                Some(Self::Tags(tags?))
            }
            _ => node.refuse(ALLOWED),
        }
    }
}

deserialize_by_decode!(HostOrder);
