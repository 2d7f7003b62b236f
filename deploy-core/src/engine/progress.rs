//! From the executors' observer to the driver that records what they saw.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::event::{Event, Fact};
use crate::model::{HostName, TaskId};
use crate::observer::Observer;
use crate::release_step::Step;

/// How many output facts may wait to be recorded. What hosts write beyond that, while the journal is
/// slow, is dropped: the whole of it stays on the host.
const OUTPUT_WAITING: usize = 256;

/// How much output of a step is recorded, in bytes; executors pass on no more.
const OUTPUT: usize = 80 * 1024;

/// How long the note of a step may be, in bytes.
const NOTE: usize = 4 * 1024;

/// How many failed attempts are recorded of a host, and of a part beside its hosts.
const ATTEMPTS: usize = 8;

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
    facts: VecDeque<(TaskId, Fact)>,
    output: usize,
}

impl Progress {
    /// Takes what is waiting, in order, with the parts that it comes from.
    pub(super) fn take(&self) -> Vec<(TaskId, Fact)> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.output = 0;
        std::mem::take(&mut waiting.facts).into()
    }

    /// Waits until something has been reported since the last wait. Cancel safety: safe.
    pub(super) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// The observer of a part: it takes facts of these hosts and of no others.
    pub(super) fn of_part(
        &self,
        part: TaskId,
        hosts: impl IntoIterator<Item = HostName>,
    ) -> PartProgress {
        let hosts = hosts.into_iter().map(|host| (host, Seen::default())).collect();
        let hosts = Mutex::new(hosts);
        PartProgress { all: self.clone(), part, hosts, attempts: AtomicUsize::new(0) }
    }

    fn push(&self, part: TaskId, fact: Fact) {
        let output = usize::from(matches!(fact, Fact::Output { .. }));
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if output == 1 && waiting.output >= OUTPUT_WAITING {
            return;
        }
        waiting.output += output;
        waiting.facts.push_back((part, fact));
        drop(waiting);
        self.0.arrived.notify_one();
    }
}

/// Takes what the executor of one part reports.
///
/// An executor reports of its hosts alone, of each thing once, and of nothing after a host's end: what
/// goes beyond is dropped, so that an agent can neither speak for hosts that are not its own nor
/// fill the journal.
#[derive(Debug)]
pub(super) struct PartProgress {
    all: Progress,
    part: TaskId,
    hosts: Mutex<BTreeMap<HostName, Seen>>,
    /// How many failed attempts were told that are no host's.
    attempts: AtomicUsize,
}

/// What was reported of a host.
#[derive(Debug, Default)]
struct Seen {
    started: bool,
    begun: BTreeSet<Step>,
    ended: BTreeSet<Step>,
    output: BTreeMap<Step, usize>,
    attempts: usize,
    finished: bool,
}

impl Seen {
    /// Says whether a fact is news.
    fn take(&mut self, fact: &Fact) -> bool {
        if self.finished {
            return false;
        }
        match fact {
            Fact::HostStarted { .. } => !std::mem::replace(&mut self.started, true),
            Fact::StepStarted { step, .. } => self.begun.insert(*step),
            Fact::StepFinished { step, note, .. } => {
                note.as_ref().is_none_or(|note| note.len() <= NOTE) && self.ended.insert(*step)
            }
            Fact::Output { step, text, .. } => {
                let sum = self.output.entry(*step).or_default();
                *sum = sum.saturating_add(text.len());
                *sum <= OUTPUT
            }
            Fact::AttemptFailed { .. } => {
                self.attempts += 1;
                self.attempts <= ATTEMPTS
            }
            Fact::HostFinished { .. } => !std::mem::replace(&mut self.finished, true),
            _ => false,
        }
    }
}

impl Observer for PartProgress {
    fn observe(&self, event: &Event) {
        let news = match event.fact.host() {
            Some(host) => {
                let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
                hosts.get_mut(host).is_some_and(|seen| seen.take(&event.fact))
            }
            None if matches!(event.fact, Fact::AttemptFailed { .. }) => {
                self.attempts.fetch_add(1, Ordering::Relaxed) < ATTEMPTS
            }
            None => false,
        };
        if news {
            self.all.push(self.part.clone(), event.fact.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Sequence;
    use crate::failure::{Failure, FailureCode};
    use crate::model::{HostResult, HostStatus, Timestamp};

    fn report(part: &PartProgress, fact: Fact) {
        let task = TaskId::new("t").unwrap();
        part.observe(&Event::new(task, Sequence::START, Timestamp::now(), fact));
    }

    #[test]
    fn an_agent_can_neither_flood_the_journal_nor_speak_for_others() {
        let name = |name: &str| HostName::new(name).unwrap();
        let all = Progress::default();
        let part = all.of_part(TaskId::new("t").unwrap(), [name("a")]);
        for _ in 0..1_000 {
            report(&part, Fact::StepStarted { host: name("a"), step: Step::Lock });
            report(&part, Fact::StepStarted { host: name("b"), step: Step::Lock });
            let text = "x".repeat(1_000);
            report(&part, Fact::Output { host: name("a"), step: Step::AfterSwitch, text });
            let failure = Failure::new(FailureCode::AgentUnreachable, "no route");
            report(&part, Fact::AttemptFailed { failure: failure.clone() });
            report(&part, Fact::AttemptFailed { failure: failure.clone().with_host(name("a")) });
            report(&part, Fact::AttemptFailed { failure: failure.with_host(name("b")) });
        }
        let outputs = OUTPUT / 1_000;
        assert_eq!(all.take().len(), 1 + outputs + 2 * ATTEMPTS);
        let result = HostResult::new(name("a"), HostStatus::Succeeded);
        report(&part, Fact::HostFinished { result });
        report(&part, Fact::StepStarted { host: name("a"), step: Step::Unpack });
        assert_eq!(all.take().len(), 1);
    }
}
