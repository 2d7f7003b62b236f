//! The public queues answer as a simple queue does, also over restarts.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::Timestamp;
use deploy_core::{
    Clock, LeaseToken, Pushed, Queue, QueueAdmin, QueueError, TaskPlace, TaskRecord,
};
use deploy_queue::{DiskStore, MemoryQueue, QueueConfig};
use deploy_testkit::VirtualClock;
use proptest::prelude::*;

use crate::harness::{cycles, scratch};
use crate::model_reference::{
    CAPACITY, Command, KINDS, MAX_PAYLOAD, Reference, Simple, assert_backs_off, command,
    settlement, task_id,
};

/// How many cases there are; `DEPLOY_QUEUE_MODEL_CASES` says another number.
const CASES: u64 = 256;

/// Both queues, and the tokens that were given out.
struct Pair<Q> {
    queue: Q,
    reference: Reference,
    clock: VirtualClock,
    tokens: Vec<LeaseToken>,
}

impl<Q: Queue + QueueAdmin> Pair<Q> {
    fn new(queue: Q, clock: VirtualClock) -> Self {
        Self { queue, reference: Reference::default(), clock, tokens: Vec::new() }
    }

    fn later(&self, seconds: u64) -> Timestamp {
        self.clock.now().plus(Duration::from_secs(seconds))
    }

    fn token(&self, claim: usize) -> LeaseToken {
        let unknown = || LeaseToken::new(task_id(0), "worker".to_owned(), 0);
        let newest = self.tokens.iter().rev().nth(claim % self.tokens.len().max(1));
        newest.cloned().unwrap_or_else(unknown)
    }

    async fn apply(&mut self, command: Command) {
        let now = self.clock.now();
        self.reference.tick(now);
        match command {
            Command::Push { id, kind, key, priority, due, size } => {
                let mut task = TaskRecord::new(task_id(id), KINDS[kind], vec![id; size])
                    .with_priority(priority);
                task.exclusive_key = key.map(|key| format!("key-{key}"));
                task.due = due.map(|due| self.later(due));
                self.push(task).await;
            }
            Command::Claim { kinds, lease } => {
                let kinds: Vec<_> = kinds.iter().map(|kind| KINDS[*kind].to_owned()).collect();
                self.claim(kinds, Duration::from_secs(lease)).await;
            }
            Command::Renew { claim, lease } => {
                let (token, lease) = (self.token(claim), Duration::from_secs(lease));
                let renewed = self.queue.renew(token.clone(), lease).await;
                match self.reference.leased(&token) {
                    Some(simple) => {
                        renewed.unwrap();
                        simple.lease = Some((token.number, now.plus(lease)));
                    }
                    None => assert_lost(&renewed),
                }
            }
            Command::Settle { claim, how, seconds } => self.settle(claim, how, seconds).await,
            Command::Reschedule { id, due } => {
                let due = self.later(due);
                let moved = self.queue.reschedule(task_id(id), due).await.unwrap();
                let simple = self.reference.at(&task_id(id));
                let simple = simple.filter(|simple| simple.lease.is_none() && !simple.dead);
                assert_eq!(moved, simple.is_some());
                simple.into_iter().for_each(|simple| simple.due = due);
            }
            Command::Withdraw(id) => {
                let gone = self.queue.withdraw(task_id(id)).await.unwrap();
                let simple = self.reference.at(&task_id(id));
                assert_eq!(gone, simple.is_some_and(|simple| simple.lease.is_none()));
                self.reference.tasks.retain(|simple| !gone || simple.task.id != task_id(id));
            }
            Command::Replay(id) => {
                let again = self.queue.replay(task_id(id)).await.unwrap();
                let simple = self.reference.at(&task_id(id)).filter(|simple| simple.dead);
                assert_eq!(again, simple.is_some());
                if let Some(simple) = simple {
                    (simple.dead, simple.attempts, simple.due) = (false, 0, now);
                }
            }
            Command::Advance(seconds) => self.clock.advance(Duration::from_secs(seconds)),
            Command::Own(_) => {}
        }
    }

    async fn push(&mut self, task: TaskRecord) {
        let pushed = self.queue.push(task.clone()).await;
        let full = self.reference.tasks.len() as u64 >= CAPACITY;
        let large = task.payload.len() as u64 > MAX_PAYLOAD;
        match (self.reference.at(&task.id), pushed) {
            (Some(known), Ok(Pushed::Known)) => assert_eq!(known.task, task),
            (Some(known), Err(QueueError::Conflict { .. })) => assert_ne!(known.task, task),
            (None, Err(QueueError::TooLarge { .. })) => assert!(large),
            (None, Err(QueueError::Full { .. })) => assert!(full),
            (None, Ok(Pushed::New)) => {
                assert!(!large && !full);
                self.reference.orders += 1;
                let (order, due) = (self.reference.orders, task.due.unwrap_or(self.clock.now()));
                let new = Simple { task, order, due, attempts: 0, lease: None, dead: false };
                self.reference.tasks.push(new);
            }
            (known, pushed) => panic!("{known:?} {pushed:?}"),
        }
    }

    async fn claim(&mut self, kinds: Vec<String>, lease: Duration) {
        let now = self.clock.now();
        let expected = self.reference.next(&kinds, now);
        let claim = self.queue.claim("worker".to_owned(), kinds, lease);
        let Some(expected) = expected else {
            tokio::select! {
                biased;
                claim = claim => panic!("there is nothing to claim: {claim:?}"),
                () = tokio::task::yield_now() => return,
            }
        };
        let claim = claim.await.unwrap();
        assert!(claim.token.number > self.reference.claims, "each claim has its own number");
        self.reference.claims = claim.token.number;
        let simple = self.reference.at(&expected).unwrap();
        simple.attempts += 1;
        simple.lease = Some((claim.token.number, now.plus(lease)));
        assert_eq!((&claim.task, claim.attempt), (&simple.task, simple.attempts));
        self.tokens.push(claim.token);
    }

    async fn settle(&mut self, claim: usize, how: u8, seconds: u64) {
        let token = self.token(claim);
        let until = self.later(seconds);
        let settlement = settlement(how, seconds, until);
        let settled = self.queue.settle(token.clone(), settlement).await;
        let Some(simple) = self.reference.leased(&token) else {
            return assert_lost(&settled);
        };
        settled.unwrap();
        simple.lease = None;
        match how {
            0 => self.reference.tasks.retain(|simple| simple.task.id != token.task),
            1 => simple.due = until,
            2 => (simple.attempts, simple.due) = (simple.attempts - 1, until),
            3 => {
                let Ok(Some(TaskPlace::Queued { due, .. })) = self.queue.find(token.task).await
                else {
                    panic!("it waits for another try");
                };
                assert_backs_off(simple.attempts, due.since(self.clock.now()));
                simple.due = due;
            }
            _ => simple.dead = true,
        }
    }

    /// Both say the same of every task.
    async fn compare(&mut self) {
        let now = self.clock.now();
        self.reference.tick(now);
        let statistics = self.queue.statistics().await.unwrap();
        assert_eq!(statistics, self.reference.statistics(now));
        for id in 0..8 {
            let found = self.queue.find(task_id(id)).await.unwrap();
            assert_eq!(found, self.reference.place(&task_id(id)));
        }
        let letters = self.queue.dead_letters(None, usize::MAX).await.unwrap();
        let mut dead: Vec<_> = self.reference.tasks.iter().filter(|simple| simple.dead).collect();
        dead.sort_by(|a, b| a.task.id.cmp(&b.task.id));
        let dead: Vec<_> = dead.iter().map(|simple| (&simple.task, simple.attempts)).collect();
        let found: Vec<_> = letters.iter().map(|letter| (&letter.task, letter.attempts)).collect();
        assert_eq!(found, dead);
    }
}

fn assert_lost(result: &Result<(), QueueError>) {
    assert!(matches!(result, Err(QueueError::LeaseLost { .. })), "{result:?}");
}

fn config(clock: &VirtualClock) -> QueueConfig {
    QueueConfig::new()
        .with_clock(Arc::new(clock.clone()))
        .with_capacity(CAPACITY)
        .with_max_payload(MAX_PAYLOAD)
}

/// How many cases there are, and how long each is.
fn cases() -> ProptestConfig {
    let cases = u32::try_from(cycles("DEPLOY_QUEUE_MODEL_CASES", CASES)).unwrap();
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_queue_in_memory_answers_as_the_simple_queue(
        commands in proptest::collection::vec(command(), 1..120),
    ) {
        runtime().block_on(async {
            let clock = VirtualClock::new();
            let mut pair = Pair::new(MemoryQueue::new(config(&clock)), clock);
            for command in commands {
                pair.apply(command).await;
                pair.compare().await;
            }
        });
    }

    #[test]
    fn a_queue_on_disk_answers_as_the_simple_queue_also_over_restarts(
        commands in proptest::collection::vec(command(), 1..60),
    ) {
        runtime().block_on(async {
            let (clock, directory) = (VirtualClock::new(), scratch());
            let open = async || DiskStore::open(directory.path(), config(&clock)).await.unwrap();
            let mut pair = Pair::new(open().await, clock.clone());
            for command in commands {
                if let Command::Own(number) = command
                    && number % 2 == 0
                {
                    pair.queue.close().await;
                    pair.queue = open().await;
                    // A lease is not on disk.
                    pair.reference.tasks.iter_mut().for_each(|simple| simple.lease = None);
                }
                pair.apply(command).await;
                pair.compare().await;
            }
        });
    }
}

#[test]
#[should_panic(expected = "assertion")]
fn the_comparison_notices_a_task_that_comes_back() {
    runtime().block_on(async {
        let clock = VirtualClock::new();
        let mut pair = Pair::new(MemoryQueue::new(config(&clock)), clock);
        let task = TaskRecord::new(task_id(1), KINDS[0], *b"work");
        pair.push(task.clone()).await;
        pair.claim(vec![], Duration::from_secs(5)).await;
        pair.settle(0, 0, 0).await;
        pair.compare().await;
        pair.queue.push(task).await.unwrap();
        pair.compare().await;
    });
}
