//! Calls that meet: what one of them ends while another one is at it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use deploy_core::{
    Clock, Failure, FailureCode, Journal, JournalError, JournalQuery, Queue, QueueAdmin,
    QueueError, Sequence, Settlement, TaskRecord,
};
use deploy_queue::{DiskStore, MemoryQueue, QueueConfig, SettleError};
use deploy_testkit::{VirtualClock, samples};
use tokio::task::JoinSet;

const LEASE: Duration = Duration::from_secs(30);

/// How often a meeting is tried whose moment cannot be chosen.
const ROUNDS: usize = 30;

fn task(id: &str) -> TaskRecord {
    TaskRecord::new(samples::task_id(id), "work", id.as_bytes().to_vec())
}

/// A call that has begun.
enum Begun<F: Future> {
    Waits(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> Begun<F> {
    async fn end(self) -> F::Output {
        match self {
            Self::Waits(future) => future.await,
            Self::Done(output) => output,
        }
    }
}

/// Begins a call, and goes on where it would wait.
async fn begin<F: Future>(future: F) -> Begun<F> {
    let mut future = Box::pin(future);
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(output) => Begun::Done(output),
        Poll::Pending => Begun::Waits(future),
    }
}

/// Enough to keep the thread that writes busy for a moment.
fn many() -> Vec<TaskRecord> {
    (0..2_000).map(|number| task(&format!("many-{number}"))).collect()
}

/// Somebody who was handed a task looks at it only after the lease, when another has done it.
async fn a_slow_worker(queue: &dyn Queue, clock: &VirtualClock) {
    let slow = begin(queue.claim("slow".to_owned(), vec![], LEASE)).await;
    queue.push(task("a")).await.unwrap();
    clock.advance(LEASE);
    let fast = queue.claim("fast".to_owned(), vec![], LEASE).await.unwrap();
    assert_eq!((&fast.task, fast.attempt), (&task("a"), 2));
    queue.settle(fast.token, Settlement::Done).await.unwrap();
    queue.push(task("b")).await.unwrap();
    assert_eq!(slow.end().await.unwrap().task, task("b"));
    queue.push(task("c")).await.unwrap();
}

#[tokio::test]
async fn a_claim_whose_task_another_worker_has_done_goes_on_to_the_next() {
    let clock = Arc::new(VirtualClock::new());
    let config = QueueConfig::new().with_clock(clock.clone());
    a_slow_worker(&MemoryQueue::new(config.clone()), &clock).await;
    let directory = tempfile::tempdir().unwrap();
    a_slow_worker(&DiskStore::open(directory.path(), config).await.unwrap(), &clock).await;
}

/// Somebody who was handed a task looks at it only when another has it.
async fn a_late_worker(queue: &dyn Queue, clock: &VirtualClock) {
    let late = begin(queue.claim("late".to_owned(), vec![], LEASE)).await;
    queue.push(task("a")).await.unwrap();
    clock.advance(LEASE);
    let other = queue.claim("other".to_owned(), vec![], LEASE).await.unwrap();
    assert_eq!((&other.task, other.attempt), (&task("a"), 2));
    queue.push(task("b")).await.unwrap();
    let claim = late.end().await.unwrap();
    assert_eq!(claim.task, task("b"), "another worker is at the first one");
    queue.renew(claim.token, LEASE).await.unwrap();
    queue.renew(other.token, LEASE).await.unwrap();
}

#[tokio::test]
async fn a_claim_whose_lease_has_ended_on_the_way_goes_on_to_the_next() {
    let clock = Arc::new(VirtualClock::new());
    let config = QueueConfig::new().with_clock(clock.clone());
    a_late_worker(&MemoryQueue::new(config.clone()), &clock).await;
    let directory = tempfile::tempdir().unwrap();
    a_late_worker(&DiskStore::open(directory.path(), config).await.unwrap(), &clock).await;
}

#[tokio::test]
async fn whoever_is_told_of_a_conflict_can_read_what_came_before() {
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path(), QueueConfig::new()).await.unwrap();
        let (id, now) = (samples::task_id("journal"), VirtualClock::new().now());
        let request = samples::request(samples::package(b"bytes"));
        let accepted = vec![samples::accepted(&id, now, request)];
        let progress = vec![samples::progress(&id, 2, now)];
        let numbers = async || {
            let events = store.read(id.clone(), Sequence::START, 10).await.unwrap();
            events.iter().map(|event| event.sequence.number()).collect::<Vec<_>>()
        };
        store.push(task("a")).await.unwrap();
        let claim = store.claim("worker".to_owned(), vec![], LEASE).await.unwrap();
        let _busy = begin(store.push_many(many())).await;
        let _winner = begin(store.append(accepted.clone())).await;
        let loser = store.append(accepted).await;
        assert!(matches!(loser, Err(JournalError::Conflict { .. })), "{loser:?}");
        assert_eq!(numbers().await, [1]);
        let _winner = begin(store.append(progress.clone())).await;
        let loser = store.settle_with(claim.token.clone(), Settlement::Done, progress).await;
        assert!(
            matches!(loser, Err(SettleError::Journal(JournalError::Conflict { .. }))),
            "{loser:?}"
        );
        assert_eq!(numbers().await, [1, 2]);
        store.renew(claim.token, LEASE).await.unwrap();
    }
}

#[tokio::test]
async fn a_journal_that_is_said_to_be_gone_is_gone_from_the_disk() {
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path(), QueueConfig::new()).await.unwrap();
        let (id, now) = (samples::task_id("journal"), VirtualClock::new().now());
        let request = samples::request(samples::package(b"bytes"));
        store.append(vec![samples::accepted(&id, now, request)]).await.unwrap();
        let _busy = begin(store.push_many(many())).await;
        // Somebody gives up, and asks again.
        drop(begin(store.remove(id.clone())).await);
        assert!(!store.remove(id).await.unwrap());
        assert_eq!(store.list(JournalQuery::new()).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_withdrawn_while_it_is_listed_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let store = DiskStore::open(directory.path(), QueueConfig::new()).await.unwrap();
    for id in ["a", "b"] {
        store.push(task(id)).await.unwrap();
        let claim = store.claim("worker".to_owned(), vec![], LEASE).await.unwrap();
        let failure = Failure::new(FailureCode::HookFailed, "broken");
        store.settle(claim.token, Settlement::Dead { failure }).await.unwrap();
    }
    let _busy = begin(store.push_many(many())).await;
    let listing = loop {
        match begin(store.dead_letters(None, 10)).await {
            Begun::Done(letters) => assert_eq!(letters.unwrap().len(), 2),
            waits @ Begun::Waits(_) => break waits,
        }
    };
    assert!(store.withdraw(samples::task_id("a")).await.unwrap());
    let letters = listing.end().await.unwrap();
    assert_eq!(letters.iter().map(|letter| &letter.task).collect::<Vec<_>>(), [&task("b")]);
    assert_eq!(store.statistics().await.unwrap().dead, 1);
}

#[tokio::test]
async fn what_is_asked_while_the_store_is_being_closed_is_done_in_order_or_not_at_all() {
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path(), QueueConfig::new()).await.unwrap();
        let (journal, now) = (samples::task_id("journal"), VirtualClock::new().now());
        let request = samples::request(samples::package(b"bytes"));
        let accepted = samples::accepted(&journal, now, request);
        let busy = begin(store.push_many(many())).await;
        let closing = begin(store.close()).await;
        let first = store.append(vec![accepted]);
        let second = store.append(vec![samples::progress(&journal, 2, now)]);
        let (first, second, ()) = tokio::join!(first, second, closing.end());
        busy.end().await.unwrap();
        assert!(first.is_ok() || second.is_err(), "{first:?} {second:?}");
        let store = DiskStore::open(directory.path(), QueueConfig::new()).await.unwrap();
        let events = store.read(journal, Sequence::START, 10).await.unwrap();
        assert_eq!(events.len(), usize::from(first.is_ok()) + usize::from(second.is_ok()));
    }
}

#[tokio::test]
async fn each_of_several_closes_ends_when_the_directory_can_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = DiskStore::open(directory.path(), QueueConfig::new()).await.unwrap();
    let _busy = begin(store.push_many(many())).await;
    let _first = begin(store.close()).await;
    store.close().await;
    DiskStore::open(directory.path(), QueueConfig::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_waits_ends_when_the_store_is_closed_in_the_middle_of_their_work() {
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let config = QueueConfig::new();
        let store = Arc::new(DiskStore::open(directory.path(), config).await.unwrap());
        let mut work = JoinSet::new();
        for lane in 0..4 {
            let pushing = Arc::clone(&store);
            work.spawn(async move {
                for number in 0.. {
                    match pushing.push(task(&format!("{lane}-{number}"))).await {
                        Ok(_) => {}
                        Err(error) => return error,
                    }
                }
                unreachable!("there is no last number")
            });
            let claiming = Arc::clone(&store);
            work.spawn(async move {
                loop {
                    match claiming.claim(format!("worker-{lane}"), vec![], LEASE).await {
                        Ok(_) => {}
                        Err(error) => return error,
                    }
                }
            });
        }
        store.push(task("first")).await.unwrap();
        store.close().await;
        while let Some(ended) = work.join_next().await {
            let error = ended.unwrap();
            assert!(matches!(error, QueueError::Closed), "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_removed_while_it_is_read_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let store = DiskStore::open(directory.path(), QueueConfig::new()).await.unwrap();
    let (store, now) = (Arc::new(store), VirtualClock::new().now());
    // Many, so that what becomes of them takes a moment; the one that is read is the last.
    let journals: Vec<_> =
        (0..300).map(|number| samples::task_id(&format!("journal-{number}"))).collect();
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (store, done, last) = (Arc::clone(&store), Arc::clone(&done), journals[299].clone());
        async move {
            while !done.load(Ordering::Relaxed) {
                let events = store.read(last.clone(), Sequence::START, 10).await.unwrap();
                assert!(events.len() <= 1, "{events:?}");
            }
        }
    });
    for _ in 0..ROUNDS {
        let mut appends = JoinSet::new();
        for journal in journals.clone() {
            let store = Arc::clone(&store);
            let request = samples::request(samples::package(b"bytes"));
            let accepted = samples::accepted(&journal, now, request);
            appends.spawn(async move { store.append(vec![accepted]).await.unwrap() });
        }
        appends.join_all().await;
        let mut removals = JoinSet::new();
        for journal in journals.clone() {
            let store = Arc::clone(&store);
            removals.spawn(async move { store.remove(journal).await.unwrap() });
        }
        assert!(removals.join_all().await.into_iter().all(|removed| removed));
    }
    done.store(true, Ordering::Relaxed);
    reader.await.unwrap();
}
