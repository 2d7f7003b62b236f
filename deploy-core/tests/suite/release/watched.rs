//! A context whose facts are kept, and can be awaited.

use std::sync::{Arc, Mutex};

use deploy_core::model::ReleaseTask;
use deploy_core::{Context, Event, Fact, FnObserver};
use tokio::sync::watch;

/// A context whose facts are kept, and can be awaited.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) cx: Context,
    events: Arc<Mutex<Vec<Event>>>,
    seen: watch::Receiver<usize>,
}

impl Watched {
    pub(crate) fn new(task: &ReleaseTask) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let (count, seen) = watch::channel(0);
        let kept = Arc::clone(&events);
        let observer = FnObserver::new(move |event: &Event| {
            kept.lock().unwrap().push(event.clone());
            count.send_modify(|count| *count += 1);
        });
        let cx = Context::new(task.id.clone()).with_observer(Arc::new(observer));
        Self { cx, events, seen }
    }

    pub(crate) fn facts(&self) -> Vec<Fact> {
        self.events.lock().unwrap().iter().map(|e| e.fact.clone()).collect()
    }

    /// Waits for a fact.
    pub(crate) async fn until(&self, what: impl Fn(&Fact) -> bool) {
        let mut seen = self.seen.clone();
        loop {
            seen.borrow_and_update();
            if self.facts().iter().any(&what) {
                return;
            }
            seen.changed().await.unwrap();
        }
    }

    /// Waits for output that contains a text.
    pub(crate) async fn until_output(&self, text: &str) {
        self.until(|_| self.output().contains(text)).await;
    }

    pub(crate) fn output(&self) -> String {
        let text = |fact| match fact {
            Fact::Output { text, .. } => Some(text),
            _ => None,
        };
        self.facts().into_iter().filter_map(text).collect()
    }

    /// The steps that began and ended, in words.
    pub(crate) fn steps(&self) -> Vec<String> {
        let word = |fact| match fact {
            Fact::StepStarted { step, .. } => Some(format!("+{step}")),
            Fact::StepFinished { step, .. } => Some(format!("-{step}")),
            _ => None,
        };
        self.facts().into_iter().filter_map(word).collect()
    }
}
