//! What must stand at a place of a JSON answer.

use std::fmt;

use serde::Serialize;

use crate::document::{Decode, Invalid, Node, Value, deserialize_by_decode};

/// What must stand at a place of the answer's body, which is JSON:
/// `{ pointer = "/status", equals = "UP" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JsonCheck {
    /// The place, as a JSON pointer (RFC 6901): `/components/db/status`; empty for the whole.
    pub pointer: String,
    /// What must stand there.
    pub equals: JsonScalar,
}

/// A plain value of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum JsonScalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl JsonCheck {
    /// Says what must stand at a place.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the place is no JSON pointer.
    pub fn new(pointer: &str, equals: JsonScalar) -> Result<Self, Invalid> {
        let escaped = |part: &str| part.is_empty() || part.starts_with(['0', '1']);
        let good = (pointer.is_empty() || pointer.starts_with('/'))
            && pointer.len() <= 512
            && pointer.split('~').skip(1).all(|part| !part.is_empty() && escaped(part));
        if good {
            return Ok(Self { pointer: pointer.to_owned(), equals });
        }
        Err(Invalid::new(pointer, "a JSON pointer (RFC 6901) such as \"/status\""))
    }

    /// What is wrong with a document, in words.
    #[cfg(feature = "release")]
    pub(crate) fn fault(&self, document: &serde_json::Value) -> Option<String> {
        let place = if self.pointer.is_empty() { "the body" } else { &self.pointer };
        let Some(found) = document.pointer(&self.pointer) else {
            return Some(format!("{place} is not there, and not {}", self.equals));
        };
        if self.equals.is(found) {
            return None;
        }
        let shown = match found {
            serde_json::Value::Array(_) => "a list".to_owned(),
            serde_json::Value::Object(_) => "a table".to_owned(),
            serde_json::Value::String(text) => crate::document::quoted(text),
            plain => plain.to_string(),
        };
        Some(format!("{place} is {shown}, not {}", self.equals))
    }
}

impl JsonScalar {
    #[cfg(feature = "release")]
    fn is(&self, found: &serde_json::Value) -> bool {
        match self {
            Self::Bool(value) => found.as_bool() == Some(*value),
            Self::Integer(value) => found.as_i64() == Some(*value),
            Self::Text(value) => found.as_str() == Some(value),
        }
    }
}

impl fmt::Display for JsonScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
        }
    }
}

impl Decode for JsonCheck {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let pointer: Option<String> = table.required("pointer");
        let equals = table.required("equals");
        if let Some(Err(invalid)) = pointer.as_deref().map(|p| Self::new(p, JsonScalar::Bool(true)))
        {
            table.fault("pointer", invalid.found, invalid.allowed);
        }
        table.finish();
        Self::new(&pointer?, equals?).ok()
    }
}

impl Decode for JsonScalar {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Integer(value) => Some(Self::Integer(*value)),
            Value::Text(value) => Some(Self::Text(value.clone())),
            _ => node.refuse("a text, a whole number, true or false"),
        }
    }
}

deserialize_by_decode!(JsonCheck);

/// The checks of a monitor: one, or a list of them.
pub(super) struct JsonChecks(pub(super) Vec<JsonCheck>);

impl Decode for JsonChecks {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Table(_) => JsonCheck::decode(node).map(|check| Self(vec![check])),
            _ => Vec::decode(node).map(Self),
        }
    }
}
