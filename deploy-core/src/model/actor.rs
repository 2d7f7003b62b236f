//! Who did something to a deployment, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who did something to a deployment, and why. It is recorded, and shown to whoever asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Actor {
    /// Who: a person or a system, as the host application names them. Empty where that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl Actor {
    /// How long each of the two is at most, in characters; the engine cuts off what goes beyond, and
    /// drops control characters.
    pub const LONGEST: usize = 512;

    /// Names who, and why.
    #[must_use]
    pub fn new(who: impl Into<String>, why: impl Into<String>) -> Self {
        Self { who: who.into(), why: why.into() }
    }

    /// The same, fit to be recorded and shown.
    pub(crate) fn cleaned(self) -> Self {
        let clean = |text: String| {
            text.chars().filter(|c| !c.is_control()).take(Self::LONGEST).collect::<String>()
        };
        Self { who: clean(self.who), why: clean(self.why) }
    }
}

impl From<&str> for Actor {
    /// Says why, and not who.
    fn from(why: &str) -> Self {
        Self::new("", why)
    }
}

impl From<&String> for Actor {
    /// Says why, and not who.
    fn from(why: &String) -> Self {
        Self::from(why.as_str())
    }
}

impl From<String> for Actor {
    /// Says why, and not who.
    fn from(why: String) -> Self {
        Self::new("", why)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.who.as_str(), self.why.as_str()) {
            ("", why) => f.write_str(why),
            (who, "") => f.write_str(who),
            (who, why) => write!(f, "{who}: {why}"),
        }
    }
}
