//! How long to wait before the next try: longer each time, never at the same moment as others.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Pauses that double from `first` to `longest`, each shortened at random by up to a half, so that
/// many clients that failed together do not come back together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            tries: 0,
        }
    }

    /// The pause before the next try, at least as long as the other side asked for.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.tries.min(16));
        self.tries = self.tries.saturating_add(1);
        let pause = doubled
            .min(self.longest)
            .mul_f64(0.5 + fastrand::f64() / 2.0);
        asked.map_or(pause, |asked| pause.max(asked))
    }

    /// Begins again with the first pause, after something went well.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

/// How long the other side asks to wait, in seconds. Dates are ignored: its clock is not ours.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    /// Nobody makes us wait for longer than this in one go.
    const LONGEST: Duration = Duration::from_secs(60);
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse();
    Some(Duration::from_secs(seconds.ok()?).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_begin_again() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut backoff = Backoff::new(first, longest);
        for expected in [100, 200, 400, 800, 1600, 2000, 2000] {
            let expected = Duration::from_millis(expected);
            let pause = backoff.next(None);
            assert!(pause >= expected / 2 && pause <= expected, "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.next(None) <= first);
        let asked = Duration::from_secs(7);
        assert_eq!(backoff.next(Some(asked)), asked);
    }

    #[test]
    fn only_whole_seconds_are_a_wish_to_wait() {
        let asked = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(asked("3"), Some(Duration::from_secs(3)));
        assert_eq!(asked("86400"), Some(Duration::from_secs(60)));
        assert_eq!(asked("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(asked("-1"), None);
    }
}
