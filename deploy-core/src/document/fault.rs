//! What is wrong with a document: one fault, and all of them.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How many characters of what was found a fault repeats.
const SHOWN: usize = 80;

/// A value that is not of its type: what was found, and what is allowed.
///
/// The error of every fallible constructor of the model, such as `HostName::new`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalid {
    /// What was found, quoted and shortened.
    pub found: String,
    /// What is allowed, as a clause: "1 to 63 of the characters a-z, 0-9 …".
    pub allowed: String,
}

impl Invalid {
    /// Says that `found` is not what is `allowed`.
    pub fn new(found: &str, allowed: impl Into<String>) -> Self {
        Self { found: quoted(found), allowed: allowed.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}, allowed is {}", self.found, self.allowed)
    }
}

impl Error for Invalid {}

/// One fault of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fault {
    /// The path of the field, such as `rollout.batches[1]`; empty for the document itself.
    pub path: String,
    /// What was found there.
    pub found: String,
    /// What is allowed there.
    pub allowed: String,
    /// The known key that the found one is most like, when it is a misspelt key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

impl Fault {
    /// Makes the fault of the field at `path`.
    pub fn new(
        path: impl Into<String>,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), found: found.into(), allowed: allowed.into(), nearest: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "found {}, allowed is {}", self.found, self.allowed)?;
        if let Some(nearest) = &self.nearest {
            write!(f, " (did you mean {nearest:?}?)")?;
        }
        Ok(())
    }
}

/// All faults of a document, in its order; never empty where it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Says whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults, in the order of the document.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl Error for Faults {}

/// Quotes a text for a message: control characters escaped, long ones cut.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}
