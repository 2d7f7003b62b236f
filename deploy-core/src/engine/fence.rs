//! Giving out fencing numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{Fence, Timestamp};

/// Gives out fencing numbers: the time in microseconds, and always more than the last one.
#[derive(Debug, Default)]
pub(crate) struct Fences(AtomicU64);

impl Fences {
    /// A number that another process has given out: those that come next are higher.
    pub(crate) fn saw(&self, fence: Fence) {
        self.0.fetch_max(fence.number(), Ordering::Relaxed);
    }

    /// The next number, at the time `now`.
    pub(crate) fn next(&self, now: Timestamp) -> Fence {
        let now = u64::try_from(now.unix_micros()).unwrap_or(0);
        // Room for the attempts of the one before, which count on from its number.
        const ATTEMPTS: u64 = 1_000;
        let next = |last: u64| now.max(last.saturating_add(ATTEMPTS));
        let last =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        Fence::new(next(last.unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_when_the_clock_goes_back() {
        let fences = Fences::default();
        let at = |micros| Timestamp::from_unix_micros(micros).unwrap();
        let first = fences.next(at(5_000_000));
        let second = fences.next(at(1_000_000));
        let third = fences.next(at(9_000_000));
        assert!(first < second && second < third);
        assert_eq!(third, Fence::new(9_000_000));
    }
}
