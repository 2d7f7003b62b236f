//! The ledger answers as a simple queue does that looks at every task each time.

use std::time::Duration;

use deploy_core::model::Timestamp;
use deploy_core::{LeaseToken, QueueError, TaskRecord};
use proptest::prelude::*;

use super::{Change, Fingerprint, Ledger, Limits};
use crate::config::Backoff;
use reference::{
    CAPACITY, Command, KINDS, MAX_PAYLOAD, Reference, Simple, assert_backs_off, command,
    settlement, task_id,
};

#[path = "../../tests/suite/model_reference.rs"]
mod reference;

const LIMITS: Limits = Limits {
    capacity: CAPACITY,
    max_payload: MAX_PAYLOAD,
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(300) },
};

/// Both queues, the time, and the tokens that were given out.
#[derive(Debug)]
struct Pair {
    ledger: Ledger,
    reference: Reference,
    now: Timestamp,
    tokens: Vec<LeaseToken>,
}

impl Pair {
    fn later(&self, seconds: u64) -> Timestamp {
        self.now.plus(Duration::from_secs(seconds))
    }

    fn token(&self, claim: usize) -> LeaseToken {
        let unknown = || LeaseToken::new(task_id(0), "worker".to_owned(), 0);
        let newest = self.tokens.iter().rev().nth(claim % self.tokens.len().max(1));
        newest.cloned().unwrap_or_else(unknown)
    }

    fn apply(&mut self, command: Command) {
        let (now, limit) = (self.now, LIMITS.capacity);
        self.ledger.tick(now);
        self.reference.tick(now);
        match command {
            Command::Push { id, kind, key, priority, due, size } => {
                let mut task = TaskRecord::new(task_id(id), KINDS[kind], vec![id; size])
                    .with_priority(priority);
                task.exclusive_key = key.map(|key| format!("key-{key}"));
                task.due = due.map(|due| self.later(due));
                let fingerprint = Fingerprint::of(&task);
                let pushed = self.ledger.push(&task, fingerprint, now);
                let full = self.reference.tasks.len() as u64 >= limit;
                match (self.reference.at(&task.id), pushed) {
                    (Some(known), Ok(None)) => assert_eq!(known.task, task),
                    (Some(known), Err(QueueError::Conflict { .. })) => assert_ne!(known.task, task),
                    (None, Err(QueueError::TooLarge { .. })) => assert!(size > 10),
                    (None, Err(QueueError::Full { .. })) => assert!(full),
                    (None, Ok(Some(order))) => {
                        assert!(size <= 10 && !full && order > self.reference.orders);
                        self.reference.orders = order;
                        let due = task.due.unwrap_or(now);
                        let new =
                            Simple { task, order, due, attempts: 0, lease: None, dead: false };
                        self.reference.tasks.push(new);
                    }
                    (known, pushed) => panic!("{known:?} {pushed:?}"),
                }
            }
            Command::Claim { kinds, lease } => {
                let kinds: Vec<_> = kinds.iter().map(|kind| KINDS[*kind].to_owned()).collect();
                let lease = Duration::from_secs(lease);
                let claimed = self.ledger.claim("worker", &kinds, lease, now);
                let expected = self.reference.next(&kinds, now);
                let found = claimed.as_ref().map(|leased| leased.token.task.clone());
                assert_eq!(found, expected);
                if let Some(leased) = claimed {
                    assert!(leased.token.number > self.reference.claims);
                    self.reference.claims = leased.token.number;
                    let simple = self.reference.at(&leased.token.task).unwrap();
                    simple.attempts += 1;
                    simple.lease = Some((leased.token.number, now.plus(lease)));
                    assert_eq!(leased.attempt, simple.attempts);
                    self.tokens.push(leased.token);
                }
            }
            Command::Own(claim) => {
                let token = self.token(claim);
                let change = self.ledger.give_back(&token, now);
                let simple = self.reference.leased(&token);
                assert_eq!(change.is_some(), simple.is_some());
                if let Some(simple) = simple {
                    simple.lease = None;
                    simple.attempts -= 1;
                }
            }
            Command::Renew { claim, lease } => {
                let (token, lease) = (self.token(claim), Duration::from_secs(lease));
                let renewed = self.ledger.renew(&token, lease, now).is_ok();
                let simple = self.reference.leased(&token);
                assert_eq!(renewed, simple.is_some());
                simple.into_iter().for_each(|s| s.lease = Some((token.number, now.plus(lease))));
            }
            Command::Settle { claim, how, seconds } => self.settle(claim, how, seconds),
            Command::Reschedule { id, due } => {
                let due = self.later(due);
                let change = self.ledger.reschedule(&task_id(id), due, now);
                let simple = self.reference.at(&task_id(id));
                let simple = simple.filter(|simple| simple.lease.is_none() && !simple.dead);
                assert_eq!(change.is_some(), simple.is_some());
                simple.into_iter().for_each(|simple| simple.due = due);
            }
            Command::Withdraw(id) => {
                let change = self.ledger.withdraw(&task_id(id));
                let simple = self.reference.at(&task_id(id));
                let free = simple.is_some_and(|simple| simple.lease.is_none());
                assert_eq!(change.is_some(), free);
                self.reference.tasks.retain(|simple| !free || simple.task.id != task_id(id));
            }
            Command::Replay(id) => {
                let change = self.ledger.replay(&task_id(id), now);
                let simple = self.reference.at(&task_id(id)).filter(|simple| simple.dead);
                assert_eq!(change.is_some(), simple.is_some());
                if let Some(simple) = simple {
                    (simple.dead, simple.attempts, simple.due) = (false, 0, now);
                }
            }
            Command::Advance(seconds) => self.now = self.later(seconds),
        }
    }

    fn settle(&mut self, claim: usize, how: u8, seconds: u64) {
        let (token, now) = (self.token(claim), self.now);
        let until = self.later(seconds);
        let settlement = settlement(how, seconds, until);
        let settled = self.ledger.settle(&token, settlement, now);
        let Some(simple) = self.reference.leased(&token) else {
            assert!(matches!(settled, Err(QueueError::LeaseLost { .. })));
            return;
        };
        simple.lease = None;
        match (how, settled.unwrap()) {
            (0, Change::Goes { .. }) => {
                self.reference.tasks.retain(|simple| simple.task.id != token.task);
            }
            (1, Change::Waits { due, .. }) => simple.due = due,
            (2, Change::Waits { due, attempts, .. }) => {
                simple.attempts -= 1;
                simple.due = until;
                assert_eq!((due, attempts), (until, simple.attempts));
            }
            (3, Change::Waits { due, .. }) => {
                assert_backs_off(simple.attempts, due.since(now));
                simple.due = due;
            }
            (4, Change::Dies { .. }) => simple.dead = true,
            (how, change) => panic!("{how} {change:?}"),
        }
    }

    /// Both say the same of every task.
    fn compare(&mut self) {
        self.ledger.tick(self.now);
        self.reference.tick(self.now);
        assert_eq!(self.ledger.statistics(), self.reference.statistics(self.now));
        for id in 0..8 {
            assert_eq!(self.ledger.find(&task_id(id)), self.reference.place(&task_id(id)));
        }
        let next = self.reference.next(&[], self.now);
        assert_eq!(self.ledger.has_ready(), next.is_some());
    }
}

/// How many cases there are; `DEPLOY_QUEUE_MODEL_CASES` says another number.
fn cases() -> ProptestConfig {
    let cases = std::env::var("DEPLOY_QUEUE_MODEL_CASES");
    let cases = cases.map_or(1000, |number| number.parse().unwrap());
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_ledger_answers_as_the_simple_queue(
        commands in proptest::collection::vec(command(), 1..120),
    ) {
        let mut pair = Pair {
            ledger: Ledger::new(LIMITS, 1),
            reference: Reference::default(),
            now: Timestamp::from_unix_micros(1_767_225_600_000_000).unwrap(),
            tokens: Vec::new(),
        };
        for command in commands {
            pair.apply(command);
            pair.compare();
        }
    }
}
