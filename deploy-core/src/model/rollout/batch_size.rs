//! How many hosts a batch has.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::host_count::digits;
use super::{HostCount, Percentage};
use crate::document::{Decode, Invalid, Node, Value, decode_text, deserialize_by_decode};

/// How many hosts a batch has.
///
/// | written | means |
/// |---|---|
/// | `"3"`, or the number 3 | so many hosts |
/// | `"25%"` | such a share of all hosts of the deployment, rounded up, so at least one |
/// | `"+3"` | so many more than the size before |
/// | `"*2"` | so many times the size before |
///
/// The last size of a list repeats, so that a growing one grows on: `["1", "*2"]` makes batches of 1,
/// 2, 4, 8 and so on. The size before is the one that was asked for, also where that batch had to be
/// smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchSize {
    /// So many hosts.
    Hosts(u32),
    /// Such a share of all hosts.
    Share(Percentage),
    /// So many hosts more than the size before.
    Plus(u32),
    /// So many times the size before.
    Times(u32),
}

impl BatchSize {
    /// The number of hosts, out of `all`, after a batch of the size `before`.
    #[must_use]
    pub fn hosts(self, all: usize, before: usize) -> usize {
        match self {
            Self::Hosts(hosts) => hosts as usize,
            Self::Share(share) => share.of(all),
            Self::Plus(more) => before.saturating_add(more as usize),
            Self::Times(times) => before.saturating_mul(times as usize),
        }
    }

    /// Says whether it needs a size before it.
    #[must_use]
    pub fn is_relative(self) -> bool {
        matches!(self, Self::Plus(_) | Self::Times(_))
    }
}

const ALLOWED: &str = "a number of hosts from 1 to 1000000, a percentage from \"1%\" to \"100%\", \
     or a growth such as \"+1\" or \"*2\"";

impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => hosts.fmt(f),
            Self::Share(share) => share.fmt(f),
            Self::Plus(more) => write!(f, "+{more}"),
            Self::Times(times) => write!(f, "*{times}"),
        }
    }
}

impl FromStr for BatchSize {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let least = |text, least| digits(text).filter(|n| (least..=1_000_000).contains(n));
        let size = if let Some(more) = text.strip_prefix('+') {
            least(more, 1).map(Self::Plus)
        } else if let Some(times) = text.strip_prefix('*') {
            least(times, 2).map(Self::Times)
        } else {
            text.parse::<HostCount>().ok().map(Self::from)
        };
        size.ok_or_else(|| Invalid::new(text, ALLOWED))
    }
}

impl From<HostCount> for BatchSize {
    fn from(count: HostCount) -> Self {
        match count {
            HostCount::Hosts(hosts) => Self::Hosts(hosts),
            HostCount::Share(share) => Self::Share(share),
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

deserialize_by_decode!(BatchSize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_at_least_one_and_a_growth_grows() {
        let size = |text: &str, all| text.parse::<BatchSize>().unwrap().hosts(all, 5);
        assert_eq!(size("1%", 3), 1);
        assert_eq!(size("34%", 3), 2);
        assert_eq!(size("50%", 5), 3);
        assert_eq!(size("100%", 7), 7);
        assert_eq!(size("4", 2), 4);
        assert_eq!(size("+3", 100), 8);
        assert_eq!(size("*2", 100), 10);
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        let bad = ["", "0", "0%", "101%", "-1", "+0", "*1", "*0", "+", "*", "+5%", "++1", "1.5"];
        for bad in bad.into_iter().chain(["50 %", "%", "4294967296", "many"]) {
            assert!(bad.parse::<BatchSize>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_size_is_written_as_it_is_read() {
        for text in ["1", "25%", "+3", "*2"] {
            assert_eq!(text.parse::<BatchSize>().unwrap().to_string(), text);
        }
    }
}
