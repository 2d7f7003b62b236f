//! Who waits is woken by what they wait for, and by nothing else: nobody polls.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deploy_core::{Clock, Journal, Queue, Sequence, TaskRecord};
use deploy_queue::{DiskStore, MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::{VirtualClock, samples};

const HOUR: Duration = Duration::from_secs(3600);

const LEASE: Duration = Duration::from_secs(30);

/// How often somebody who waits is looked at: once to begin, once because the virtual clock tells all
/// who sleep of a new one, and once at the end.
const MOST: u32 = 3;

/// How often a future is looked at that has nothing to do for an hour of tokio's paused clock, which
/// passes at once when nobody wakes.
async fn looks<T: std::fmt::Debug>(future: impl Future<Output = T> + Send) -> u32 {
    let (looks, mut future) = (AtomicU32::new(0), pin!(future));
    let counted = poll_fn(|context| {
        looks.fetch_add(1, Ordering::Relaxed);
        future.as_mut().poll(context)
    });
    let ended = tokio::time::timeout(HOUR, counted).await;
    assert!(ended.is_err(), "there was nothing to wait for: {ended:?}");
    looks.into_inner()
}

fn config(clock: &VirtualClock) -> QueueConfig {
    QueueConfig::new().with_clock(Arc::new(clock.clone()))
}

async fn wait_at(queue: &dyn Queue, clock: &VirtualClock) {
    let claim = async || queue.claim("worker".to_owned(), vec!["work".to_owned()], LEASE).await;
    assert!(looks(claim()).await <= MOST, "an empty queue");
    let task = |id: &str, kind: &str| TaskRecord::new(samples::task_id(id), kind, *b"");
    queue.push(task("another", "another")).await.unwrap();
    let due = clock.now().plus(HOUR);
    queue.push(task("later", "work").with_due(due)).await.unwrap();
    assert!(looks(claim()).await <= MOST, "a queue with nothing for this worker yet");
    clock.set(due);
    assert_eq!(claim().await.unwrap().task.id, samples::task_id("later"));
}

async fn wait_for(journal: &dyn Journal) {
    let (one, other) = (samples::task_id("one"), samples::task_id("other"));
    let request = samples::request(samples::package(b"bytes"));
    let accepted = samples::accepted(&other, VirtualClock::new().now(), request);
    journal.append(vec![accepted]).await.unwrap();
    assert!(looks(journal.follow(one, Sequence::START, 10)).await <= MOST, "nothing is there");
    assert!(looks(journal.follow(other, Sequence::new(1), 10)).await <= MOST, "nothing is new");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_waits_does_not_look_again_by_itself() {
    let clock = VirtualClock::new();
    wait_at(&MemoryQueue::new(config(&clock)), &clock).await;
    let (clock, directory) = (VirtualClock::new(), tempfile::tempdir().unwrap());
    wait_at(&DiskStore::open(directory.path(), config(&clock)).await.unwrap(), &clock).await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_waits_does_not_look_again_by_itself() {
    wait_for(&MemoryJournal::new()).await;
    let (clock, directory) = (VirtualClock::new(), tempfile::tempdir().unwrap());
    wait_for(&DiskStore::open(directory.path(), config(&clock)).await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_looks_again_by_itself_is_noticed() {
    let polling = async {
        // Ends never, as a claim of an empty queue.
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    };
    assert!(looks(polling).await > 50);
}
