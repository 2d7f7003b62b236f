//! A clock that stands still until a test moves it.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::Clock;
use deploy_core::model::Timestamp;
use tokio::sync::watch;

/// A clock that stands still until a test moves it. Clones show the same time.
///
/// A node and its queue have a clock each: give both the same one, by `clock` of the node's builder and
/// `QueueConfig::with_clock` of deploy-queue. Otherwise what waits for a time never comes to it.
///
/// ```
/// use deploy_core::Clock;
/// use deploy_testkit::VirtualClock;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = VirtualClock::new();
/// let start = clock.now();
/// let sleeper = tokio::spawn(clock.sleep_until(start.plus(Duration::from_secs(3600))));
/// // Waits until somebody sleeps, then jumps to the moment they sleep for.
/// clock.advance_to_next().await;
/// sleeper.await.unwrap();
/// assert_eq!(clock.now().since(start), Duration::from_secs(3600));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct VirtualClock(Arc<watch::Sender<State>>);

#[derive(Debug)]
struct State {
    now: Timestamp,
    sleepers: BTreeSet<(Timestamp, u64)>,
    next_sleeper: u64,
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtualClock {
    /// Makes a clock that shows 2026-01-01T00:00:00Z.
    ///
    /// # Panics
    ///
    /// Never: the moment is a valid one.
    #[must_use]
    pub fn new() -> Self {
        const NEW_YEAR_2026: i64 = 1_767_225_600_000_000;
        let start = Timestamp::from_unix_micros(NEW_YEAR_2026);
        Self::starting_at(start.expect("a moment of the year 2026 is valid"))
    }

    /// Makes a clock that shows a moment.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        let sleepers = BTreeSet::new();
        Self(Arc::new(watch::Sender::new(State { now, sleepers, next_sleeper: 0 })))
    }

    /// Moves the clock forward, and wakes whoever slept for a moment up to the new one.
    pub fn advance(&self, span: Duration) {
        self.0.send_modify(|state| state.now = state.now.plus(span));
    }

    /// Sets the clock to a moment, also to an earlier one.
    pub fn set(&self, now: Timestamp) {
        self.0.send_modify(|state| state.now = now);
    }

    /// The earliest moment that somebody sleeps for.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.0.borrow().next_wake()
    }

    /// Waits until somebody sleeps: the earliest moment that they sleep for.
    pub async fn sleeping(&self) -> Timestamp {
        let mut states = self.0.subscribe();
        loop {
            if let Some(at) = states.borrow_and_update().next_wake() {
                return at;
            }
            // The sender lives as long as this clock, so there is always a next state.
            let _ = states.changed().await;
        }
    }

    /// Waits until somebody sleeps, and jumps to the earliest moment that they sleep for.
    pub async fn advance_to_next(&self) -> Timestamp {
        let at = self.sleeping().await;
        self.0.send_modify(|state| state.now = state.now.max(at));
        at
    }
}

impl State {
    /// The earliest moment that somebody sleeps for and that has not come.
    fn next_wake(&self) -> Option<Timestamp> {
        let mut sleepers = self.sleepers.iter().map(|(at, _)| *at);
        sleepers.find(|at| *at > self.now)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.borrow().now
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let clock = self.clone();
        Box::pin(async move {
            let _sleeper = Sleeper::new(clock.clone(), at);
            // Ends with an error only when the sender is gone, and `clock` holds it.
            let _ = clock.0.subscribe().wait_for(|state| state.now >= at).await;
        })
    }
}

/// Somebody who sleeps; dropped when they wake or give up.
struct Sleeper {
    clock: VirtualClock,
    at: Timestamp,
    number: u64,
}

impl Sleeper {
    fn new(clock: VirtualClock, at: Timestamp) -> Self {
        let mut number = 0;
        clock.0.send_modify(|state| {
            number = state.next_sleeper;
            state.next_sleeper += 1;
            state.sleepers.insert((at, number));
        });
        Self { clock, at, number }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let key = (self.at, self.number);
        self.clock.0.send_modify(|state| {
            state.sleepers.remove(&key);
        });
    }
}
