//! Watching facts as they happen.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::event::Event;

/// Sees every event, live.
///
/// # Contract
///
/// 1. `observe` returns soon and does not block: it is called from the engine's own tasks. An
///    observer with slow work hands the event on.
/// 2. `observe` does not panic.
///
/// # Concurrency
///
/// Calls for one task come in order, except that a request to cancel, which is recorded beside the
/// work, may overtake or be overtaken: the sequence number tells. Calls for different tasks may come
/// at once.
///
/// # Implementing
///
/// ```
/// use deploy_core::{Event, FnObserver};
///
/// let printer = FnObserver::new(|event: &Event| println!("{} {}", event.task, event.fact.name()));
/// ```
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` is not an observer",
        note = "implement `deploy_core::Observer`, or wrap a closure in `FnObserver::new`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// Sees an event.
    fn observe(&self, event: &Event);
}

crate::wrappers::forward! {
    Observer { fn observe(&self, event: &Event); }
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NullObserver;

impl NullObserver {
    /// Makes the observer.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Observer for NullObserver {
    fn observe(&self, _event: &Event) {}
}

/// An observer made of a closure.
pub struct FnObserver<F>(F);

impl<F: Fn(&Event) + Send + Sync + 'static> FnObserver<F> {
    /// Calls `f` for every event.
    pub fn new(f: F) -> Self {
        Self(f)
    }
}

impl<F> fmt::Debug for FnObserver<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnObserver(…)")
    }
}

impl<F: Fn(&Event) + Send + Sync + 'static> Observer for FnObserver<F> {
    fn observe(&self, event: &Event) {
        (self.0)(event);
    }
}

/// An observer that writes one `tracing` event for each event, at the level INFO (steps and output
/// at DEBUG), under the target `deploy`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingObserver;

impl TracingObserver {
    /// Makes the observer.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Observer for TracingObserver {
    fn observe(&self, event: &Event) {
        use crate::event::Fact;
        let (task, name) = (&event.task, event.fact.name());
        let sequence = event.sequence.number();
        match &event.fact {
            Fact::StepStarted { host, step } | Fact::StepFinished { host, step, .. } => {
                tracing::debug!(target: "deploy", %task, sequence, %host, %step, "{name}");
            }
            Fact::Output { host, step, text } => {
                tracing::debug!(target: "deploy", %task, sequence, %host, %step, text, "{name}");
            }
            Fact::HostFinished { result } => {
                let (host, status) = (&result.host, result.status);
                tracing::info!(target: "deploy", %task, sequence, %host, %status, "{name}");
            }
            Fact::Finished { outcome, failure } => {
                let failure = failure.as_ref().map(ToString::to_string);
                tracing::info!(target: "deploy", %task, sequence, %outcome, failure, "{name}");
            }
            _ => tracing::info!(target: "deploy", %task, sequence, "{name}"),
        }
    }
}

/// Several observers, called in order. One that panics is left out for the event: what was recorded
/// has happened, whoever looks.
impl Observer for Vec<Arc<dyn Observer>> {
    fn observe(&self, event: &Event) {
        for observer in self {
            let observed = catch_unwind(AssertUnwindSafe(|| observer.observe(event)));
            if observed.is_err() {
                tracing::error!(target: "deploy", task = %event.task, ?observer, "it panicked");
            }
        }
    }
}
