//! Watching facts as they happen.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::event::{Event, Fact};
use crate::model::HostResult;

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
/// let printer = FnObserver::new(|event: &Event| println!("{} {}", event.task, event.fact));
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

/// An observer that writes one `tracing` event for each event, under the target `deploy`, at the level
/// INFO (steps and output at DEBUG): the fact in words, and as fields the task, the sequence number and the
/// fact's name, and the host and its step where it is about one.
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
        let (task, sequence, fact) = (&event.task, event.sequence.number(), event.fact.name());
        let text = &event.fact;
        match &event.fact {
            Fact::StepStarted { host, step }
            | Fact::StepFinished { host, step, .. }
            | Fact::Output { host, step, .. } => {
                tracing::debug!(target: "deploy", %task, sequence, fact, %host, %step, "{text}");
            }
            Fact::HostStarted { host } | Fact::HostFinished { result: HostResult { host, .. } } => {
                tracing::info!(target: "deploy", %task, sequence, fact, %host, "{text}");
            }
            _ => tracing::info!(target: "deploy", %task, sequence, fact, "{text}"),
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::{Mutex, PoisonError};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Metadata, Subscriber};

    use super::*;
    use crate::event::Sequence;
    use crate::model::{Actor, HostName, TaskId, Timestamp};
    use crate::release_step::Step;

    /// Keeps what is logged, a line each.
    #[derive(Clone, Debug, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Log {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }

    #[test]
    fn facts_are_logged_in_words_with_what_they_are_about_as_fields() {
        let log = Log::default();
        let (task, host) = (TaskId::new("d1").unwrap(), HostName::new("web-3").unwrap());
        let facts = [
            Fact::Paused { by: Actor::new("anna", "the phones ring") },
            Fact::StepStarted { host, step: Step::Unpack },
        ];
        tracing::subscriber::with_default(log.clone(), || {
            for (number, fact) in (1..).zip(facts) {
                let event = Event::new(task.clone(), Sequence::new(number), Timestamp::now(), fact);
                TracingObserver::new().observe(&event);
            }
        });
        assert_eq!(
            *log.0.lock().unwrap(),
            [
                "INFO message=paused by anna: the phones ring task=d1 sequence=1 fact=\"paused\"",
                "DEBUG message=web-3: unpack begun task=d1 sequence=2 fact=\"step_started\" host=web-3 step=unpack",
            ]
        );
    }
}
