//! The simple queue that the real ones are compared with: it looks at every task each time.
//!
//! The tests of the ledger, which is private, and those of the public queues both use it.

use std::time::Duration;

use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{
    Failure, FailureCode, LeaseToken, QueueStatistics, Settlement, TaskPlace, TaskRecord,
};
use proptest::prelude::*;

pub(crate) const KINDS: [&str; 3] = ["stone", "paper", "scissors"];
/// How many tasks there may be.
pub(crate) const CAPACITY: u64 = 6;
/// How many bytes a payload may have.
pub(crate) const MAX_PAYLOAD: u64 = 10;

/// What is asked of both queues.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Push {
        id: u8,
        kind: usize,
        key: Option<u8>,
        priority: i32,
        due: Option<u64>,
        size: usize,
    },
    Claim {
        kinds: Vec<usize>,
        lease: u64,
    },
    /// What only one kind of queue has.
    Own(usize),
    Renew {
        claim: usize,
        lease: u64,
    },
    Settle {
        claim: usize,
        how: u8,
        seconds: u64,
    },
    Reschedule {
        id: u8,
        due: u64,
    },
    Withdraw(u8),
    Replay(u8),
    Advance(u64),
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    use Command::{Advance, Claim, Own, Push, Renew, Replay, Reschedule, Settle, Withdraw};
    let push = (0..8_u8, 0..3_usize, proptest::option::of(0..2_u8), -1..2_i32);
    let push = (push, proptest::option::of(0..9_u64), 0..12_usize);
    prop_oneof![
        4 => push.prop_map(|((id, kind, key, priority), due, size)| {
            Push { id, kind, key, priority, due, size }
        }),
        4 => (proptest::collection::vec(0..3_usize, 0..3), 0..9_u64)
            .prop_map(|(kinds, lease)| Claim { kinds, lease }),
        1 => (0..20_usize).prop_map(Own),
        1 => (0..20_usize, 0..9_u64).prop_map(|(claim, lease)| Renew { claim, lease }),
        3 => (0..20_usize, 0..5_u8, 0..9_u64)
            .prop_map(|(claim, how, seconds)| Settle { claim, how, seconds }),
        1 => (0..8_u8, 0..9_u64).prop_map(|(id, due)| Reschedule { id, due }),
        1 => (0..8_u8).prop_map(Withdraw),
        1 => (0..8_u8).prop_map(Replay),
        3 => (0..5_u64).prop_map(Advance),
    ]
}

/// A task as the simple queue has it.
#[derive(Clone, Debug)]
pub(crate) struct Simple {
    pub(crate) task: TaskRecord,
    pub(crate) order: u64,
    pub(crate) due: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) lease: Option<(u64, Timestamp)>,
    pub(crate) dead: bool,
}

/// The simple queue: a list.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) tasks: Vec<Simple>,
    pub(crate) orders: u64,
    pub(crate) claims: u64,
}

impl Reference {
    pub(crate) fn at(&mut self, id: &TaskId) -> Option<&mut Simple> {
        self.tasks.iter_mut().find(|simple| simple.task.id == *id)
    }

    pub(crate) fn tick(&mut self, now: Timestamp) {
        for simple in &mut self.tasks {
            if simple.lease.is_some_and(|(_, until)| until <= now) {
                simple.lease = None;
            }
        }
    }

    pub(crate) fn next(&self, kinds: &[String], now: Timestamp) -> Option<TaskId> {
        let held = |key: &Option<String>| {
            let holds = |other: &Simple| other.lease.is_some() && other.task.exclusive_key == *key;
            key.is_some() && self.tasks.iter().any(holds)
        };
        let ready = self.tasks.iter().filter(|simple| {
            simple.lease.is_none()
                && !simple.dead
                && simple.due <= now
                && !held(&simple.task.exclusive_key)
                && (kinds.is_empty() || kinds.contains(&simple.task.kind))
        });
        let rank = |simple: &&Simple| (-simple.task.priority, simple.due, simple.order);
        Some(ready.min_by_key(rank)?.task.id.clone())
    }

    pub(crate) fn leased(&mut self, token: &LeaseToken) -> Option<&mut Simple> {
        let number = token.number;
        let simple = self.at(&token.task)?;
        simple.lease.is_some_and(|(held, _)| held == number).then_some(simple)
    }

    pub(crate) fn place(&mut self, id: &TaskId) -> Option<TaskPlace> {
        let simple = self.at(id)?;
        Some(match simple.lease {
            _ if simple.dead => TaskPlace::Dead,
            Some((_, until)) => TaskPlace::Claimed { worker: "worker".to_owned(), until },
            None => TaskPlace::Queued { due: simple.due, attempts: simple.attempts },
        })
    }

    pub(crate) fn statistics(&self, now: Timestamp) -> QueueStatistics {
        let mut statistics = QueueStatistics::default();
        for simple in &self.tasks {
            match simple.lease {
                _ if simple.dead => statistics.dead += 1,
                Some(_) => statistics.claimed += 1,
                None if simple.due <= now => statistics.ready += 1,
                None => statistics.delayed += 1,
            }
        }
        statistics
    }
}

/// What a worker says of its task: done, to be tried again after a pause of its own or the queue's, put
/// off, or dead.
pub(crate) fn settlement(how: u8, seconds: u64, until: Timestamp) -> Settlement {
    let failure = Failure::new(FailureCode::HostFailed, "broken");
    match how {
        0 => Settlement::Done,
        1 => Settlement::Retry { after: Some(Duration::from_secs(seconds)), failure },
        2 => Settlement::Defer { until },
        3 => Settlement::Retry { after: None, failure },
        _ => Settlement::Dead { failure },
    }
}

/// Says that a task that failed comes back after the pause of its attempt: 1 s, and twice as long each
/// time up to 300 s, give or take a quarter.
pub(crate) fn assert_backs_off(attempts: u32, pause: Duration) {
    let middle = Duration::from_secs(1_u64.checked_shl(attempts - 1).unwrap_or(300).min(300));
    let within = middle.mul_f64(0.75)..=middle.mul_f64(1.2501);
    assert!(within.contains(&pause), "{pause:?} after attempt {attempts}");
}

pub(crate) fn task_id(id: u8) -> TaskId {
    TaskId::new(format!("task-{id}")).unwrap()
}
