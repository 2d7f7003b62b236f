//! What time it is, and waiting for it to come.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::model::Timestamp;

/// Tells the time and waits for it.
///
/// # Contract
///
/// 1. `sleep_until` ends soon after `now` has reached the time, also when the clock jumped there,
///    and at once when it already has.
/// 2. It does not end before that, unless the clock jumps back while it ends.
///
/// # Cancellation
///
/// Dropping the future of `sleep_until` ends the wait.
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` is not a clock",
        note = "use `deploy_core::SystemClock`, or `VirtualClock` of deploy-testkit in tests"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;

    /// Waits until the present time is `at` or later.
    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>>;
}

crate::wrappers::forward! {
    Clock {
        fn now(&self) -> Timestamp;
        fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>>;
    }
}

/// This machine's clock.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// How long it sleeps at most before it looks at the wall clock again, so that a clock that was
    /// set forward is noticed. Half a minute of delay does not matter to a rollout.
    const LOOK_AGAIN: Duration = Duration::from_secs(30);

    /// Makes the clock.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(async move {
            loop {
                let left = at.since(Timestamp::now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(Self::LOOK_AGAIN)).await;
            }
        })
    }
}
