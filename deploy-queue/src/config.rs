//! What a queue is told: its limits, its pauses and its clock.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::{Clock, SystemClock};

use crate::ledger::Limits;

/// What a queue is told: its limits, its pauses and its clock.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueConfig {
    /// How many tasks it holds at most, those that were set aside included; 1,000,000, because the
    /// index of so many fits into 300 MB of memory.
    pub capacity: u64,
    /// How many bytes the payload of a task has at most; 1 MiB, because a payload says what to do
    /// and the package that it is done with lies elsewhere. A store on disk takes 1 GiB at the very
    /// most.
    pub max_payload: u64,
    /// How long a task that is to be tried again waits when nobody says how long.
    pub backoff: Backoff,
    /// What tells the time; the machine's clock by default.
    pub clock: Arc<dyn Clock>,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            capacity: 1_000_000,
            max_payload: 1024 * 1024,
            backoff: Backoff::default(),
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl QueueConfig {
    /// Takes the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many tasks the queue holds at most.
    #[must_use]
    pub fn with_capacity(mut self, capacity: u64) -> Self {
        self.capacity = capacity;
        self
    }

    /// Sets how many bytes a payload has at most.
    #[must_use]
    pub fn with_max_payload(mut self, bytes: u64) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Sets how long a task that is to be tried again waits when nobody says how long.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets what tells the time: the same as that of the node, when it has one of its own.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { capacity: self.capacity, max_payload: self.max_payload, backoff: self.backoff }
    }
}

/// A pause that doubles with each attempt, spread so that tasks that failed together come back
/// apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The pause after the first attempt; 1 s, about as long as a service takes to come back.
    pub first: Duration,
    /// The longest pause, before it is spread; 5 min, so that a repaired network is noticed before
    /// a person asks.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// Doubles from `first` up to `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The pause after an attempt, the first of which is 1: within a quarter of the doubled pause,
    /// up or down. The same seed gives the same pause.
    #[must_use]
    pub fn pause(&self, attempt: u32, seed: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX / 8);
        let spread = micros / 2 + 1;
        let offset = scatter(seed ^ u64::from(attempt)) % spread;
        Duration::from_micros(micros - micros / 4 + offset)
    }
}

/// Spreads a number over all of 64 bits: the finalizer of SplitMix64 (Steele, Lea, Flood, 2014).
fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_the_longest_and_stays_within_a_quarter() {
        let backoff = Backoff::default();
        for (attempt, seconds) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (4_000_000, 300)] {
            for seed in 0..200 {
                let pause = backoff.pause(attempt, seed);
                let middle = Duration::from_secs(seconds);
                assert!(pause >= middle.mul_f64(0.75), "{attempt} {pause:?}");
                assert!(pause <= middle.mul_f64(1.2501), "{attempt} {pause:?}");
            }
        }
    }

    #[test]
    fn tasks_that_failed_together_come_back_apart() {
        let backoff = Backoff::default();
        let pauses: std::collections::BTreeSet<_> =
            (0..100).map(|seed| backoff.pause(3, seed)).collect();
        assert!(pauses.len() > 90);
    }
}
