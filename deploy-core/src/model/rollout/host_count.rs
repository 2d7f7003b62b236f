//! A number of hosts, said outright or as a share.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::Percentage;
use crate::document::{Decode, Invalid, Node, Value, decode_text, deserialize_by_decode};

/// A number of hosts, said outright or as a share. Written as `"3"`, `"25%"` or the number 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostCount {
    /// So many hosts.
    Hosts(u32),
    /// Such a share of the hosts that are meant.
    Share(Percentage),
}

impl HostCount {
    /// The number of hosts out of `all`; a share is rounded up.
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

/// Reads digits and nothing else: no sign, no space.
pub(super) fn digits(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for HostCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => hosts.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl FromStr for HostCount {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let count = match text.strip_suffix('%') {
            Some(share) => {
                let share = digits(share).and_then(|share| u8::try_from(share).ok());
                share.and_then(|share| Percentage::new(share).ok()).map(Self::Share)
            }
            None => digits(text).filter(|n| (1..=1_000_000).contains(n)).map(Self::Hosts),
        };
        count.ok_or_else(|| Invalid::new(text, ALLOWED))
    }
}

impl Serialize for HostCount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Decode for HostCount {
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

deserialize_by_decode!(HostCount);
