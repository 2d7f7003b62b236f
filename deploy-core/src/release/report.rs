//! Reporting the facts of a task whose hosts work at once, one after another.

use std::sync::{Arc, Mutex, PoisonError};

use crate::context::Context;
use crate::event::Fact;

/// Reports facts in an order, although hosts work in parallel: observers see the facts of a task one
/// after another.
#[derive(Clone, Debug)]
pub(crate) struct Reporter(Arc<Mutex<Option<Context>>>);

impl Reporter {
    /// Reports through a context.
    pub(crate) fn new(cx: Context) -> Self {
        Self(Arc::new(Mutex::new(Some(cx))))
    }

    /// Reports a fact, unless the reporter was closed.
    pub(crate) fn report(&self, fact: Fact) {
        // An observer that panicked once is asked again: the facts are whole.
        let cx = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cx) = &*cx {
            cx.report(fact);
        }
    }

    /// Reports nothing more: nobody waits for the task any longer.
    pub(crate) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
