//! From the executors' observer to the driver that records what they saw.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::event::{Event, Fact};
use crate::model::HostName;
use crate::observer::Observer;

/// How many output facts may wait to be recorded. What hosts write beyond that, while the journal is
/// slow, is dropped: the whole of it stays on the host.
const OUTPUT_WAITING: usize = 256;

/// Facts that executors have reported and that nobody has recorded yet. Those other than output are
/// bounded by the number of hosts and steps, so they always find room.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    facts: VecDeque<Fact>,
    output: usize,
}

impl Progress {
    /// Takes what is waiting, in order.
    pub(super) fn take(&self) -> Vec<Fact> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.output = 0;
        std::mem::take(&mut waiting.facts).into()
    }

    /// Waits until something has been reported since the last wait. Cancel safety: safe.
    pub(super) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// The observer of one part: it takes facts of these hosts and of no others.
    pub(super) fn of_hosts(&self, hosts: impl IntoIterator<Item = HostName>) -> PartProgress {
        PartProgress { all: self.clone(), hosts: hosts.into_iter().collect() }
    }

    fn push(&self, fact: Fact) {
        let output = usize::from(matches!(fact, Fact::Output { .. }));
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if output == 1 && waiting.output >= OUTPUT_WAITING {
            return;
        }
        waiting.output += output;
        waiting.facts.push_back(fact);
        drop(waiting);
        self.0.arrived.notify_one();
    }
}

/// Takes what the executor of one part reports.
///
/// An executor reports of its hosts alone: a fact of another host, or of a task as a whole, is
/// dropped, so that an agent cannot speak for hosts that are not its own.
#[derive(Debug)]
pub(super) struct PartProgress {
    all: Progress,
    hosts: BTreeSet<HostName>,
}

impl Observer for PartProgress {
    fn observe(&self, event: &Event) {
        let host = match &event.fact {
            Fact::HostStarted { host }
            | Fact::StepStarted { host, .. }
            | Fact::StepFinished { host, .. }
            | Fact::Output { host, .. } => host,
            Fact::HostFinished { result } => &result.host,
            _ => return,
        };
        if self.hosts.contains(host) {
            self.all.push(event.fact.clone());
        }
    }
}
