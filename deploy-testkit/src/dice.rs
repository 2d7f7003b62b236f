//! Random choices that a seed repeats.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Random choices that a seed repeats: the same calls in the same order give the same answers.
///
/// Clones throw the same dice. Whatever is to be random on its own gets a [`fork`](Self::fork), so
/// that one more throw in one place does not change what is thrown everywhere else.
///
/// ```
/// use deploy_testkit::Dice;
///
/// let (one, other) = (Dice::new(7), Dice::new(7));
/// assert_eq!(one.below(1_000), other.below(1_000));
/// ```
#[derive(Clone, Debug)]
pub struct Dice {
    seed: u64,
    state: Arc<AtomicU64>,
}

/// The step of SplitMix64 (Steele, Lea, Flood, 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn scatter(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Dice {
    /// Makes the dice of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, state: Arc::new(AtomicU64::new(scatter(seed.wrapping_add(STEP)))) }
    }

    /// Dice of their own, which depend on the seed and on the label alone.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        let mix = |seed: u64, byte: u8| scatter(seed ^ u64::from(byte)).wrapping_add(STEP);
        Self::new(label.bytes().fold(self.seed, mix))
    }

    fn next(&self) -> u64 {
        scatter(self.state.fetch_add(STEP, Ordering::Relaxed))
    }

    /// A number from 0 up to, and without, `end`; 0 when that is 0.
    #[must_use]
    pub fn below(&self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// A number of a range; its start when it is empty.
    #[must_use]
    pub fn within(&self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end.saturating_sub(range.start))
    }

    /// Yes, so many times out of a thousand.
    #[must_use]
    pub fn chance(&self, per_mille: u32) -> bool {
        self.below(1_000) < u64::from(per_mille)
    }

    /// One of a list.
    ///
    /// # Panics
    ///
    /// When the list is empty.
    #[must_use]
    pub fn pick<'a, T>(&self, list: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(list.len() as u64)).unwrap_or(0);
        &list[index]
    }

    /// A span of so many milliseconds.
    #[must_use]
    pub fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_depends_on_the_seed_and_the_label_alone() {
        let throw = |dice: &Dice| (0..5).map(|_| dice.below(1_000_000)).collect::<Vec<_>>();
        let (one, other) = (Dice::new(3), Dice::new(3));
        let _ = one.below(10);
        assert_eq!(throw(&one.fork("a")), throw(&other.fork("a")));
        assert_ne!(throw(&one.fork("a")), throw(&other.fork("b")));
        assert_ne!(throw(&one), throw(&Dice::new(4)));
    }

    #[test]
    fn a_chance_is_taken_about_as_often_as_it_says() {
        let dice = Dice::new(1);
        let taken = (0..10_000).filter(|_| dice.chance(250)).count();
        assert!((2_300..2_700).contains(&taken), "{taken}");
        assert!(!dice.chance(0) && dice.chance(1_000));
    }
}
