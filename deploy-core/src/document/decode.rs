//! Building typed values from a [`Value`] tree, collecting every fault on the way.

use std::cell::RefCell;
use std::str::FromStr;
use std::time::Duration;

use super::nearest::nearest;
use super::{Fault, Faults, Invalid, Value};

/// A type that can be built from a place in a document.
pub trait Decode: Sized {
    /// Builds the value, or records the faults and gives `None`.
    fn decode(node: &Node<'_>) -> Option<Self>;
}

/// Builds a `T` from a whole document.
///
/// # Errors
///
/// All faults of the document at once, in its order.
pub fn decode<T: Decode>(value: &Value) -> Result<T, Faults> {
    let faults = RefCell::new(Faults::default());
    let decoded = T::decode(&Node { value, path: String::new(), faults: &faults });
    let faults = faults.into_inner();
    match decoded {
        Some(decoded) if faults.is_empty() => Ok(decoded),
        Some(_) => Err(faults),
        None if faults.is_empty() => {
            Err(Fault::new("", value.describe(), "another document").into())
        }
        None => Err(faults),
    }
}

/// A place in a document: a value, its path, and where its faults go.
#[derive(Debug)]
pub struct Node<'a> {
    value: &'a Value,
    path: String,
    faults: &'a RefCell<Faults>,
}

impl<'a> Node<'a> {
    /// The value at this place.
    #[must_use]
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Records that what stands here is not what is `allowed`.
    pub fn refuse<T>(&self, allowed: &str) -> Option<T> {
        self.fault(Fault::new(&self.path, self.value.describe(), allowed));
        None
    }

    /// Records the refusal of a constructor of the model.
    pub fn invalid<T>(&self, invalid: Invalid) -> Option<T> {
        self.fault(Fault::new(&self.path, invalid.found, invalid.allowed));
        None
    }

    /// The text that stands here.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        match self.value {
            Value::Text(text) => Some(text),
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) => {
                self.refuse("a text, in quotes")
            }
            Value::Null | Value::List(_) | Value::Table(_) => self.refuse("a text"),
        }
    }

    /// The table that stands here. Call [`Table::finish`] after its last key.
    #[must_use]
    pub fn table(&self) -> Option<Table<'a>> {
        match self.value {
            Value::Table(entries) => Some(Table {
                entries,
                path: self.path.clone(),
                faults: self.faults,
                known: Vec::new(),
            }),
            _ => self.refuse("a table"),
        }
    }

    /// The items of the list that stands here.
    #[must_use]
    pub fn list(&self) -> Option<Vec<Self>> {
        match self.value {
            Value::List(items) => Some(self.items(items)),
            _ => self.refuse("a list"),
        }
    }

    fn items(&self, items: &'a [Value]) -> Vec<Self> {
        let item = |(index, value)| Self {
            value,
            path: format!("{}[{index}]", self.path),
            faults: self.faults,
        };
        items.iter().enumerate().map(item).collect()
    }

    fn fault(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }
}

/// A table of a document, read key by key.
#[derive(Debug)]
pub struct Table<'a> {
    entries: &'a [(String, Value)],
    path: String,
    faults: &'a RefCell<Faults>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// Reads a key that must be there.
    pub fn required<T: Decode>(&mut self, key: &'static str) -> Option<T> {
        let Some(node) = self.node(key) else {
            let fault = Fault::new(self.path_of(key), "nothing", "a value: it is required");
            self.faults.borrow_mut().push(fault);
            return None;
        };
        T::decode(&node)
    }

    /// Reads a key that may be absent or null: `Some(None)` then, `None` only after a fault.
    pub fn optional<T: Decode>(&mut self, key: &'static str) -> Option<Option<T>> {
        match self.node(key) {
            Some(node) => T::decode(&node).map(Some),
            None => Some(None),
        }
    }

    /// Reads a key that has a default.
    pub fn or<T: Decode>(&mut self, key: &'static str, default: T) -> Option<T> {
        self.optional(key).map(|found| found.unwrap_or(default))
    }

    /// The place of a key, when the key is there and not null.
    pub fn node(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        let (_, value) = self.entries.iter().find(|(found, _)| found == key)?;
        if *value == Value::Null {
            return None;
        }
        Some(Node { value, path: self.path_of(key), faults: self.faults })
    }

    /// Records a fault of one key, or of a path below one, for rules that span several.
    pub fn fault(&self, key: &str, found: impl Into<String>, allowed: impl Into<String>) {
        self.faults.borrow_mut().push(Fault::new(self.path_of(key), found, allowed));
    }

    /// Refuses every key that was not asked for. Keys that begin with `x-` are the writer's own.
    pub fn finish(self) {
        for (key, _) in self.entries {
            if self.known.contains(&key.as_str()) || key.starts_with("x-") {
                continue;
            }
            let allowed = format!("one of the keys {}", self.known.join(", "));
            let path = self.path_of(&shown_key(key));
            let mut fault = Fault::new(path, "an unknown key", allowed);
            fault.nearest = nearest(key, &self.known).map(str::to_owned);
            self.faults.borrow_mut().push(fault);
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// A key of the document's own, for a path: as it is where it is plain, quoted otherwise.
fn shown_key(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.len() <= 64 && key.chars().all(plain) {
        key.to_owned()
    } else {
        super::fault::quoted(key)
    }
}

/// Builds a value from a text, through its `FromStr`.
pub(crate) fn decode_text<T: FromStr<Err = Invalid>>(node: &Node<'_>) -> Option<T> {
    node.text()?.parse().map_or_else(|invalid| node.invalid(invalid), Some)
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let items = node.list()?;
        let wanted = items.len();
        let decoded: Self = items.iter().filter_map(T::decode).collect();
        (decoded.len() == wanted).then_some(decoded)
    }
}

impl Decode for String {
    fn decode(node: &Node<'_>) -> Option<Self> {
        node.text().map(str::to_owned)
    }
}

impl Decode for bool {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Bool(value) => Some(*value),
            _ => node.refuse("true or false"),
        }
    }
}

macro_rules! decode_whole_number {
    ($($number:ty),*) => {$(
        impl Decode for $number {
            fn decode(node: &Node<'_>) -> Option<Self> {
                let Value::Integer(value) = node.value() else {
                    return node.refuse("a whole number, not negative");
                };
                match Self::try_from(*value) {
                    Ok(value) => Some(value),
                    Err(_) => node.refuse(&format!("a whole number from 0 to {}", Self::MAX)),
                }
            }
        }
    )*};
}
decode_whole_number!(u16, u32, u64);

impl Decode for Duration {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let text = node.text()?;
        crate::model::span::parse(text).map_or_else(|invalid| node.invalid(invalid), Some)
    }
}

/// Implements `Deserialize` through [`Decode`], so that what a person writes, what a wire carries
/// and what a journal holds are read by one piece of code.
macro_rules! deserialize_by_decode {
    ($($name:ty),* $(,)?) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = <$crate::document::Value as serde::Deserialize>::deserialize(deserializer)?;
                $crate::document::decode(&value).map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use deserialize_by_decode;
