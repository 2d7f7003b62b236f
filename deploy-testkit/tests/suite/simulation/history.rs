//! The history of a run: everything that happened, in the order in which it did.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use deploy_core::Event;
use deploy_core::model::{DeploymentId, DeploymentRequest, Outcome, TaskId};
use deploy_testkit::HostEvent;
use tokio::time::Instant;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Happening {
    /// Somebody files a request.
    Filed { request: Box<DeploymentRequest> },
    /// A control node has said yes.
    Acknowledged { id: DeploymentId },
    /// A control node has said no.
    Refused { id: DeploymentId, why: String },
    /// Events are in the journal of a store, whether or not whoever wrote them learns of it.
    Recorded { store: String, by: String, events: Vec<Event> },
    /// A store has said that they are.
    Kept { store: String, task: TaskId, last: u64 },
    /// A task is gone from a journal.
    Removed { store: String, task: TaskId },
    /// A process started, stopped or died.
    Process { node: String, what: &'static str },
    /// A gate has answered.
    Asked { gate: usize, id: DeploymentId, open: bool },
    /// Something happened on a host.
    Host(HostEvent),
    /// A person did something, and what was said to that.
    Verb { id: DeploymentId, verb: String, answer: String },
    /// Somebody who waits for a deployment was told how it ended.
    Told { id: DeploymentId, outcome: Outcome },
    /// Something broke, or was mended.
    Fault { what: String },
    /// Everything is mended from here on.
    Healed,
    /// The time for everything to come to its end is over.
    Over,
}

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// In milliseconds since the beginning.
    pub(super) at: u64,
    pub(super) what: Happening,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.at / 1_000, self.at % 1_000);
        write!(f, "{seconds:>6}.{millis:03}  ")?;
        match &self.what {
            Happening::Filed { request } => {
                let text = serde_json::to_string(request).map_err(|_| fmt::Error)?;
                write!(f, "filed {text}")
            }
            Happening::Recorded { store, by, events } => {
                for (index, event) in events.iter().enumerate() {
                    if index > 0 {
                        write!(f, "\n{:14}", "")?;
                    }
                    let (task, number, fact) = (&event.task, event.sequence, &event.fact);
                    let fact = serde_json::to_string(fact).map_err(|_| fmt::Error)?;
                    write!(f, "{store} {task}#{number} by {by}: {fact}")?;
                }
                Ok(())
            }
            Happening::Host(event) => write!(
                f,
                "host {} {} {} fence {} run {}: {:?}",
                event.host, event.project, event.task, event.fence, event.run, event.effect
            ),
            other => write!(f, "{other:?}"),
        }
    }
}

/// So many things happen in no run, unless it goes round in circles.
const MOST: usize = 200_000;

/// Writes the history down. Clones write to the same.
#[derive(Clone, Debug)]
pub(super) struct History {
    start: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl History {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), entries: Arc::default() }
    }

    pub(super) fn start(&self) -> Instant {
        self.start
    }

    pub(super) fn note(&self, what: Happening) {
        let at = u64::try_from(self.start.elapsed().as_millis()).unwrap();
        let mut entries = self.entries.lock().unwrap();
        entries.push(Entry { at, what });
        if entries.len() == MOST {
            entries.iter().for_each(|entry| println!("{entry}"));
            std::process::abort();
        }
    }

    /// The requests to which somebody has said yes or no.
    pub(super) fn answered(&self) -> BTreeSet<DeploymentId> {
        let entries = self.entries.lock().unwrap();
        let answered = entries.iter().filter_map(|entry| match &entry.what {
            Happening::Acknowledged { id } | Happening::Refused { id, .. } => Some(id.clone()),
            _ => None,
        });
        answered.collect()
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }
}
