//! A moment in time, read and written as RFC 3339.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::document::{Decode, Invalid, Node, decode_text, deserialize_by_decode};

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// A moment in time, to the microsecond, in UTC.
///
/// Read from RFC 3339 with any offset (`2026-11-23T02:00:00+08:00`), written in UTC. A time without
/// an offset is refused, because nobody can say when it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The present moment of this machine's clock. Engines ask their `Clock` instead.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// The moment a number of microseconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it lies outside of the years -9999 to 9999.
    pub fn from_unix_micros(micros: i64) -> Result<Self, Invalid> {
        // By its own function jiff refuses the last second, all but its beginning.
        let (seconds, rest) = (micros.div_euclid(SECOND), micros.rem_euclid(SECOND));
        let nanos = i32::try_from(rest * 1_000).unwrap_or(0); // Less than a second.
        jiff::Timestamp::new(seconds, nanos).map(Self).map_err(|_| {
            Invalid::new(&micros.to_string(), "microseconds within the years -9999 to 9999")
        })
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// The moment as jiff has it.
    #[cfg(feature = "zones")]
    pub(crate) fn exact(self) -> jiff::Timestamp {
        self.0
    }

    /// This moment, later by `span`; the last representable moment where it would overflow.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let sum = self.unix_micros().saturating_add(micros);
        // It is not before this moment, and not after the last one.
        Self::from_unix_micros(sum.min(jiff::Timestamp::MAX.as_microsecond())).unwrap_or(self)
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.unix_micros().saturating_sub(earlier.unix_micros());
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let exact = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::MAX);
        Self::from_unix_micros(exact.as_microsecond()).unwrap_or(Self(exact))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let exact: jiff::Timestamp = text.parse().map_err(|_| {
            Invalid::new(
                text,
                "a time as of RFC 3339 with its offset, such as 2026-11-23T02:00:00+08:00",
            )
        })?;
        Self::from_unix_micros(exact.as_microsecond())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Decode for Timestamp {
    fn decode(node: &Node<'_>) -> Option<Self> {
        decode_text(node)
    }
}

deserialize_by_decode!(Timestamp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_is_the_same_moment() {
        let there: Timestamp = "2026-11-23T02:00:00+08:00".parse().unwrap();
        let here: Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
        assert_eq!(there, here);
        assert_eq!(there.to_string(), "2026-11-22T18:00:00Z");
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        assert!("2026-11-23T02:00:00".parse::<Timestamp>().is_err());
        assert!("tomorrow".parse::<Timestamp>().is_err());
    }

    #[test]
    fn adding_saturates_and_subtracting_stops_at_zero() {
        let now = Timestamp::now();
        assert!(now.plus(Duration::MAX) > now);
        assert_eq!(now.since(now.plus(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(now.plus(Duration::from_secs(2)).since(now), Duration::from_secs(2));
    }

    #[test]
    fn every_moment_is_read_back_as_it_was_written_also_the_first_and_the_last() {
        let last = Timestamp::now().plus(Duration::MAX);
        let first = Timestamp::from_unix_micros(-377_705_023_201_000_000).unwrap();
        let before = Timestamp::from_unix_micros(-1).unwrap();
        for time in [first, before, Timestamp::now(), last] {
            assert_eq!(Timestamp::from_unix_micros(time.unix_micros()).unwrap(), time);
            assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
        assert_eq!(last.plus(Duration::from_micros(1)), last);
        assert!(Timestamp::from_unix_micros(last.unix_micros() + 1).is_err());
        assert!(Timestamp::from_unix_micros(first.unix_micros() - 1).is_err());
    }
}
