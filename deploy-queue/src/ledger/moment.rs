//! A time in half the memory of a timestamp.

use deploy_core::model::Timestamp;

/// A time in microseconds, as a store keeps it: half as large as a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(time.unix_micros())
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        // It was made from a timestamp, so it is in the range of one.
        Self::from_unix_micros(moment.0).unwrap_or_else(|_| unreachable!("{moment:?} is a time"))
    }
}
