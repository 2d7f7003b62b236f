//! Named points at which a test lets a store panic or abort. Nothing of it is there without the
//! feature `failpoints`.

#[cfg(feature = "failpoints")]
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "failpoints")]
use std::sync::{Mutex, PoisonError};

/// Every point, in the order in which a new store comes by.
#[cfg(feature = "failpoints")]
pub const FAIL_POINTS: [&str; 16] = [
    "open.locked",
    "make.database",
    "make.mark",
    "make.log",
    "make.format",
    "open.prepared",
    "open.loaded",
    "open.marked",
    "commit.before",
    "log.written",
    "commit.after",
    "mark.after",
    "close.before",
    "checkpoint.before",
    "checkpoint.after",
    "close.after",
];

/// What happens at a point.
#[cfg(feature = "failpoints")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailAction {
    /// The thread panics.
    Panic,
    /// The process aborts.
    Abort,
}

#[cfg(feature = "failpoints")]
static NEXT: Mutex<Option<(String, u32, FailAction)>> = Mutex::new(None);

/// Lets something happen, once, when a point is reached for the `times`th time from now on.
#[cfg(feature = "failpoints")]
pub fn set_fail_point(point: &str, times: u32, action: FailAction) {
    let next = Some((point.to_owned(), times, action));
    *NEXT.lock().unwrap_or_else(PoisonError::into_inner) = next;
}

/// A point is reached.
#[cfg(feature = "failpoints")]
pub(crate) fn fail_point(point: &str) {
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let action = match &mut *next {
        Some((name, times, action)) if name == point => {
            *times = times.saturating_sub(1);
            if *times > 0 {
                return;
            }
            *action
        }
        _ => return,
    };
    *next = None;
    drop(next);
    match action {
        FailAction::Panic => panic!("the fail point {point} was reached"),
        FailAction::Abort => std::process::abort(),
    }
}

#[cfg(feature = "failpoints")]
static LOG_LIMIT: AtomicU64 = AtomicU64::new(crate::disk::LOG_LIMIT);

/// Lets the log begin anew when it is so long, so that a short run comes by there often.
#[cfg(feature = "failpoints")]
pub fn set_log_limit(bytes: u64) {
    LOG_LIMIT.store(bytes, Ordering::Relaxed);
}

/// How long the log may become, in bytes.
#[cfg(feature = "failpoints")]
pub(crate) fn log_limit() -> u64 {
    LOG_LIMIT.load(Ordering::Relaxed)
}

/// How long the log may become, in bytes.
#[cfg(all(feature = "disk", not(feature = "failpoints")))]
pub(crate) const fn log_limit() -> u64 {
    crate::disk::LOG_LIMIT
}

/// A point is reached: nothing happens.
#[cfg(all(feature = "disk", not(feature = "failpoints")))]
pub(crate) const fn fail_point(_point: &str) {}
