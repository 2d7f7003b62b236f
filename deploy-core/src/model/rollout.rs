//! The order in which hosts are done, as a request asks for it.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::document::{Decode, Invalid, Node, Value, decode_text, deserialize_by_decode};

/// A share of 1 % to 100 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(u8);

impl Percentage {
    /// Makes a percentage.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is not from 1 to 100.
    pub fn new(percent: u8) -> Result<Self, Invalid> {
        if (1..=100).contains(&percent) {
            return Ok(Self(percent));
        }
        Err(Invalid::new(&percent.to_string(), "a percentage from 1 to 100"))
    }

    /// The share of `whole`, rounded up, so that a share of something is never nothing.
    #[must_use]
    pub fn of(self, whole: usize) -> usize {
        (whole * usize::from(self.0)).div_ceil(100)
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// How many hosts a batch has.
///
/// Written as `"3"`, `"25%"` or the number 3. A percentage is of all hosts of the deployment,
/// rounded up, and at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchSize {
    /// So many hosts.
    Hosts(u32),
    /// Such a share of all hosts.
    Share(Percentage),
}

impl BatchSize {
    /// The number of hosts, out of `all`.
    #[must_use]
    pub fn hosts(self, all: usize) -> usize {
        match self {
            Self::Hosts(hosts) => hosts as usize,
            Self::Share(share) => share.of(all),
        }
    }
}

const ALLOWED: &str =
    "a number of hosts from 1 to 1000000, or a percentage from \"1%\" to \"100%\"";

impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => hosts.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl FromStr for BatchSize {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(text, ALLOWED);
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
            digits.then(|| text.parse::<u32>().ok()).flatten().ok_or_else(invalid)
        };
        if let Some(share) = text.strip_suffix('%') {
            let share = u8::try_from(number(share)?).map_err(|_| invalid())?;
            return Percentage::new(share).map(Self::Share).map_err(|_| invalid());
        }
        match number(text)? {
            hosts @ 1..=1_000_000 => Ok(Self::Hosts(hosts)),
            _ => Err(invalid()),
        }
    }
}

impl Serialize for BatchSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Decode for BatchSize {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Integer(hosts) => {
                hosts.to_string().parse().map_or_else(|_| node.refuse(ALLOWED), Some)
            }
            Value::Text(_) => decode_text(node),
            _ => node.refuse(ALLOWED),
        }
    }
}

/// The order in which hosts are done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RolloutSpec {
    /// The sizes of the batches; the last one repeats until no host is left. One host at a time by
    /// default, because that is the order that breaks least.
    pub batches: Vec<BatchSize>,
    /// How many hosts of a batch are done at once at most: 10 by default.
    pub max_parallel: u32,
}

impl Default for RolloutSpec {
    fn default() -> Self {
        Self { batches: vec![BatchSize::Hosts(1)], max_parallel: 10 }
    }
}

impl RolloutSpec {
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
}

impl Decode for RolloutSpec {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let default = Self::default();
        let mut table = node.table()?;
        let batches = match table.node("batches") {
            Some(node) if matches!(node.value(), Value::List(_)) => Vec::decode(&node),
            Some(node) => BatchSize::decode(&node).map(|size| vec![size]),
            None => Some(default.batches),
        };
        if batches.as_ref().is_some_and(Vec::is_empty) {
            table.fault("batches", "an empty list", "at least one batch");
        }
        if batches.as_ref().is_some_and(|batches| batches.len() > 500) {
            table.fault("batches", "a list of more than 500", "at most 500 batches");
        }
        let max_parallel = table.or("max_parallel", default.max_parallel);
        if max_parallel == Some(0) {
            table.fault("max_parallel", "the number 0", "at least 1");
        }
        table.finish();
        Some(Self { batches: batches?, max_parallel: max_parallel? })
    }
}

deserialize_by_decode!(BatchSize, RolloutSpec);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_at_least_one() {
        let share = |text: &str, all| text.parse::<BatchSize>().unwrap().hosts(all);
        assert_eq!(share("1%", 3), 1);
        assert_eq!(share("34%", 3), 2);
        assert_eq!(share("50%", 5), 3);
        assert_eq!(share("100%", 7), 7);
        assert_eq!(share("4", 2), 4);
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        for bad in ["", "0", "0%", "101%", "-1", "+1", "1.5", "50 %", "%", "4294967296", "many"] {
            assert!(bad.parse::<BatchSize>().is_err(), "{bad:?}");
        }
    }
}
