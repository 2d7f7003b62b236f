//! Cases of [`Queue`] and [`Journal`]: what is there when a backend is opened again.
//!
//! Each case is given something that opens the backend, and opens it several times: the last one is
//! dropped first. What a crash leaves is for faults of your own to show.

#![allow(clippy::missing_panics_doc)]
// A case stays on the thread that runs it.
#![allow(clippy::future_not_send)]

use std::path::Path;

use deploy_core::model::Outcome;
use deploy_core::{
    Clock, Journal, JournalError, JournalQuery, Pushed, Queue, QueueError, Sequence, Settlement,
    TaskRecord,
};

use super::bench::{LEASE, QueueBench, failure, task};
use crate::samples;
use crate::virtual_clock::VirtualClock;

/// A place for a backend, what opens it, and the clock.
struct Place<F> {
    directory: tempfile::TempDir,
    clock: VirtualClock,
    open: F,
}

impl<F> Place<F> {
    fn new(open: F) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory, clock: VirtualClock::new(), open }
    }

    async fn queue<'a, Q: Queue>(&'a self) -> QueueBench
    where
        F: AsyncFn(&'a Path, VirtualClock) -> Q,
    {
        let queue = (self.open)(self.directory.path(), self.clock.clone()).await;
        QueueBench::new(queue, self.clock.clone())
    }
}

/// Clause 1 of a queue.
pub async fn a_task_that_was_pushed_is_there_after_a_reopening<Q: Queue>(
    open: impl AsyncFn(&Path, VirtualClock) -> Q,
) {
    let place = Place::new(open);
    let bench = place.queue().await;
    let first = task("first").with_priority(3).with_exclusive_key("shop/checkout");
    let second = task("second").with_exclusive_key("shop/checkout");
    let later = task("later").with_due(bench.later(3600));
    for task in [&second, &first, &later] {
        bench.push(task).await;
    }
    drop(bench);
    let bench = place.queue().await;
    let claim = bench.claim_now().await.expect("the task is there");
    assert_eq!((&claim.task, claim.attempt), (&first, 1));
    assert_eq!(bench.next().await, None, "the key is taken, and it is not the time");
    bench.settle(&claim, Settlement::Done).await;
    drop(bench);
    let bench = place.queue().await;
    let claim = bench.claim_now().await.expect("the task is there");
    assert_eq!(claim.task, second);
    bench.settle(&claim, Settlement::Done).await;
    bench.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(bench.claim_now().await.expect("it is due").task, later);
}

/// Clauses 2, 8 and 9 of a queue.
pub async fn what_became_of_a_task_is_kept_over_a_reopening<Q: Queue>(
    open: impl AsyncFn(&Path, VirtualClock) -> Q,
) {
    let place = Place::new(open);
    let bench = place.queue().await;
    let until = bench.later(60);
    let (after, failure) = (Some(LEASE * 2), failure("broken"));
    for (id, settlement) in [
        ("done", Settlement::Done),
        ("dead", Settlement::Dead { failure: failure.clone() }),
        ("retried", Settlement::Retry { after, failure }),
        ("deferred", Settlement::Defer { until }),
    ] {
        bench.push(&task(id)).await;
        let claim = bench.claim().await;
        bench.settle(&claim, settlement).await;
    }
    drop(bench);
    let bench = place.queue().await;
    assert_eq!(bench.next().await, None);
    assert_eq!(bench.push(&task("dead")).await, Pushed::Known);
    let other = bench.queue.push(TaskRecord::new(samples::task_id("dead"), "work", *b"")).await;
    assert!(matches!(other, Err(QueueError::Conflict { .. })), "{other:?}");
    bench.clock.advance(LEASE * 2);
    for (id, attempt) in [("retried", 2), ("deferred", 1)] {
        let claim = bench.claim_now().await.expect("it is due");
        assert_eq!((claim.task, claim.attempt), (task(id), attempt));
    }
    assert_eq!(bench.next().await, None, "what is done is gone, and the dead one is not claimed");
    assert_eq!(bench.push(&task("done")).await, Pushed::New);
}

/// `reschedule`.
pub async fn a_rescheduled_task_is_due_at_its_new_time_after_a_reopening<Q: Queue>(
    open: impl AsyncFn(&Path, VirtualClock) -> Q,
) {
    let place = Place::new(open);
    let bench = place.queue().await;
    let (sooner, later) = (bench.later(60), bench.later(3600));
    bench.push(&task("sooner").with_due(later)).await;
    bench.push(&task("later")).await;
    for (id, due) in [("sooner", sooner), ("later", later)] {
        let moved = bench.queue.reschedule(samples::task_id(id), due).await;
        assert!(moved.expect("the queue works"), "there is a task");
    }
    drop(bench);
    let bench = place.queue().await;
    assert_eq!(bench.next().await, None);
    bench.clock.set(sooner);
    assert_eq!(bench.next().await.as_deref(), Some("sooner"));
    assert_eq!(bench.next().await, None);
    bench.clock.set(later);
    let both = [bench.next().await, bench.next().await];
    assert!(both.contains(&Some("later".to_owned())), "{both:?}");
}

/// Clauses 3, 7 and 9 of a queue.
pub async fn a_task_that_was_claimed_can_be_claimed_after_a_reopening<Q: Queue>(
    open: impl AsyncFn(&Path, VirtualClock) -> Q,
) {
    let place = Place::new(open);
    let bench = place.queue().await;
    bench.push(&task("a")).await;
    let before = bench.claim().await;
    drop(bench);
    let bench = place.queue().await;
    // A queue may keep the lease, or end it with the process that had it.
    bench.clock.advance(LEASE);
    let again = bench.claim_now().await.expect("the lease has ended");
    assert_eq!(again.task, task("a"));
    assert!((1..=2).contains(&again.attempt), "the attempt {}", again.attempt);
    assert_ne!(again.token.number, before.token.number);
    let late = bench.queue.settle(before.token, Settlement::Done).await;
    assert!(matches!(late, Err(QueueError::LeaseLost { .. })), "{late:?}");
    bench.settle(&again, Settlement::Done).await;
}

/// Clauses 1, 2, 5 and 6 of a journal.
pub async fn events_are_there_after_a_reopening_and_go_on<J: Journal>(
    open: impl AsyncFn(&Path, VirtualClock) -> J,
) {
    let place = Place::new(open);
    let (directory, clock) = (place.directory.path(), place.clock.clone());
    let now = clock.now();
    let works = "the journal works";
    let accept = |id: &str| {
        let request = samples::request(samples::package(b"bytes"));
        samples::accepted(&samples::task_id(id), now, request)
    };
    let (kept, gone) = (samples::task_id("kept"), samples::task_id("gone"));
    let first = vec![accept("kept"), samples::progress(&kept, 2, now)];
    let journal = (place.open)(directory, clock.clone()).await;
    journal.append(first.clone()).await.expect(works);
    journal.append(vec![accept("gone")]).await.expect(works);
    assert!(journal.remove(gone.clone()).await.expect(works));
    drop(journal);

    let journal = (place.open)(directory, clock.clone()).await;
    assert_eq!(journal.read(kept.clone(), Sequence::START, 10).await.expect(works), first);
    assert_eq!(journal.read(gone, Sequence::START, 10).await.expect(works), []);
    let again = journal.append(vec![samples::progress(&kept, 2, now)]).await;
    assert!(matches!(again, Err(JournalError::Conflict { .. })), "{again:?}");
    let last = samples::finished(&kept, 3, now, Outcome::Succeeded);
    journal.append(vec![last.clone()]).await.expect(works);
    drop(journal);

    let journal = (place.open)(directory, clock).await;
    let all: Vec<_> = first.into_iter().chain([last]).collect();
    assert_eq!(journal.follow(kept.clone(), Sequence::START, 10).await.expect(works), all);
    let list = journal.list(JournalQuery::new()).await.expect(works);
    let list: Vec<_> = list.iter().map(|s| (&s.task, s.last.number(), s.outcome)).collect();
    assert_eq!(list, [(&kept, 3, Some(Outcome::Succeeded))]);
}
