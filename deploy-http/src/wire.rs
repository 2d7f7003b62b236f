//! The wire format between control node and agent: routes, problems, event streams.

pub(crate) mod problem;
pub(crate) mod route;
pub(crate) mod sse;

use serde::{Deserialize, Serialize};

/// The content type of documents.
pub(crate) const JSON: &str = "application/json";
/// The content type of event streams.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// The header that says which event was the last one seen.
pub(crate) const LAST_EVENT_ID: &str = "last-event-id";

/// What a cancel request says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelBody {
    pub(crate) reason: String,
}
