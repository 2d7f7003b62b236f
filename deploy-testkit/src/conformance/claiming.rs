//! Cases of [`Queue`](deploy_core::Queue): pushing, and which task a claim gets.

// A case fails by panicking; that is what a test does.
#![allow(clippy::missing_panics_doc)]

use std::collections::HashSet;
use std::time::Duration;

use deploy_core::{Pushed, QueueError, Settlement, TaskRecord};

use super::bench::{LEASE, QueueBench, task};
use crate::samples;

/// Clause 1.
pub async fn a_task_that_was_pushed_can_be_claimed(bench: QueueBench) {
    let pushed = task("a")
        .with_priority(3)
        .with_exclusive_key("shop/checkout");
    assert_eq!(bench.push(&pushed).await, Pushed::New);
    let claim = bench.claim().await;
    assert_eq!(claim.task, pushed);
    assert_eq!(claim.attempt, 1);
    assert_eq!(
        (claim.token.task, claim.token.worker.as_str()),
        (pushed.id, "worker")
    );
}

/// Clause 2.
pub async fn the_same_task_pushed_again_is_known_and_queued_once(bench: QueueBench) {
    assert_eq!(bench.push(&task("a")).await, Pushed::New);
    assert_eq!(bench.push(&task("a")).await, Pushed::Known);
    let claim = bench.claim_now().await.expect("the task can be claimed");
    assert_eq!(
        bench.push(&task("a")).await,
        Pushed::Known,
        "also while it is claimed"
    );
    assert_eq!(bench.next().await, None, "it is there once");
    bench.settle(&claim, Settlement::Done).await;
    assert_eq!(bench.next().await, None, "it was there once");
}

/// Clause 2.
pub async fn the_same_id_with_another_content_is_a_conflict(bench: QueueBench) {
    bench.push(&task("a")).await;
    let due = bench.later(60);
    let others: [TaskRecord; 5] = [
        TaskRecord::new(samples::task_id("a"), "work", *b"another payload"),
        TaskRecord::new(samples::task_id("a"), "another kind", *b"a"),
        task("a").with_due(due),
        task("a").with_priority(1),
        task("a").with_exclusive_key("another key"),
    ];
    for other in others {
        let pushed = bench.queue.push(other.clone()).await;
        let id = samples::task_id("a");
        assert!(
            matches!(&pushed, Err(QueueError::Conflict { id: found }) if *found == id),
            "{other:?}: {pushed:?}"
        );
    }
    assert_eq!(bench.claim().await.task, task("a"), "the first one stays");
}

/// Clause 3.
pub async fn a_claimed_task_is_not_claimed_again(bench: QueueBench) {
    bench.push(&task("a")).await;
    assert_eq!(bench.next().await.as_deref(), Some("a"));
    bench.clock.advance(LEASE / 2);
    assert_eq!(bench.next().await, None);
}

/// Clause 3.
pub async fn many_workers_claim_each_task_once(bench: QueueBench) {
    const TASKS: usize = 64;
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let bench = bench.clone();
            tokio::spawn(async move {
                let mut claimed = Vec::new();
                for _ in 0..TASKS / 8 {
                    claimed.push(bench.claim().await.task.id);
                }
                claimed
            })
        })
        .collect();
    for number in 0..TASKS {
        bench.push(&task(&format!("task-{number}"))).await;
    }
    let mut claimed = HashSet::new();
    for worker in workers {
        for id in worker.await.expect("a worker ends") {
            assert!(claimed.insert(id.clone()), "{id} was claimed twice");
        }
    }
    assert_eq!(claimed.len(), TASKS);
}

/// A lease token names one claim.
pub async fn each_claim_has_a_number_of_its_own(bench: QueueBench) {
    bench.push(&task("a")).await;
    bench.push(&task("b")).await;
    let (first, second) = (bench.claim().await, bench.claim().await);
    bench.clock.advance(LEASE);
    let third = bench.claim().await;
    let numbers = [&first, &second, &third].map(|claim| claim.token.number);
    assert_eq!(HashSet::from(numbers).len(), 3, "{numbers:?}");
}

/// `claim` takes a task of one of the kinds, or of any kind.
pub async fn a_claim_takes_only_the_kinds_it_asked_for(bench: QueueBench) {
    for kind in ["stone", "paper", "scissors"] {
        bench
            .push(&TaskRecord::new(samples::task_id(kind), kind, *b""))
            .await;
    }
    let kinds = vec!["scissors".to_owned(), "paper".to_owned()];
    for expected in ["paper", "scissors"] {
        let claim = bench
            .queue
            .claim("worker".to_owned(), kinds.clone(), LEASE)
            .await;
        assert_eq!(claim.expect("one of them is there").task.kind, expected);
    }
    assert_eq!(bench.claim().await.task.kind, "stone");
}

/// Clause 4.
pub async fn a_task_is_not_claimed_before_it_is_due(bench: QueueBench) {
    bench.push(&task("a").with_due(bench.later(3600))).await;
    assert_eq!(bench.next().await, None);
    bench.clock.advance(Duration::from_secs(3599));
    assert_eq!(bench.next().await, None);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.next().await.as_deref(), Some("a"));
}

/// Clause 4.
pub async fn a_task_is_not_claimed_while_another_of_its_key_is(bench: QueueBench) {
    for id in ["a", "b", "c"] {
        bench
            .push(&task(id).with_exclusive_key("shop/checkout"))
            .await;
    }
    bench
        .push(&task("d").with_exclusive_key("shop/search"))
        .await;
    let first = bench.claim_now().await.expect("the first of the key");
    assert_eq!(first.task.id, samples::task_id("a"));
    assert_eq!(bench.next().await.as_deref(), Some("d"), "another key");
    assert_eq!(bench.next().await, None);
    bench.settle(&first, Settlement::Done).await;
    assert_eq!(bench.next().await.as_deref(), Some("b"));
    assert_eq!(bench.next().await, None);
    bench.clock.advance(LEASE);
    // The lease on the second one has run out, so it is first again.
    assert_eq!(bench.next().await.as_deref(), Some("b"));
}

/// Clause 5.
pub async fn the_highest_priority_comes_first(bench: QueueBench) {
    for (id, priority) in [("low", -5), ("middle", 0), ("high", 7), ("middle-too", 0)] {
        bench.push(&task(id).with_priority(priority)).await;
    }
    for expected in ["high", "middle", "middle-too", "low"] {
        assert_eq!(bench.next().await.as_deref(), Some(expected));
    }
}

/// Clause 5.
pub async fn of_equals_the_one_due_the_longest_comes_first(bench: QueueBench) {
    bench.push(&task("third").with_due(bench.later(30))).await;
    bench.push(&task("first").with_due(bench.later(10))).await;
    bench.push(&task("second").with_due(bench.later(20))).await;
    bench.clock.advance(Duration::from_secs(40));
    bench.push(&task("fourth")).await;
    for expected in ["first", "second", "third", "fourth"] {
        assert_eq!(bench.next().await.as_deref(), Some(expected));
    }
}

/// `reschedule` makes a task that is not claimed due at another time, later or sooner.
pub async fn a_rescheduled_task_is_due_at_its_new_time(bench: QueueBench) {
    let reschedule = async |due| {
        let rescheduled = bench.queue.reschedule(samples::task_id("a"), due).await;
        assert!(rescheduled.expect("the queue works"), "there is a task");
    };
    bench.push(&task("a")).await;
    reschedule(bench.later(60)).await;
    assert_eq!(bench.next().await, None);
    reschedule(bench.later(3600)).await;
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(bench.next().await, None);
    reschedule(bench.now()).await;
    assert_eq!(bench.next().await.as_deref(), Some("a"));
}

/// `reschedule` leaves a claimed, a dead and an unknown task as they are.
pub async fn a_claimed_or_unknown_task_is_not_rescheduled(bench: QueueBench) {
    let reschedule = async |id| {
        let id = samples::task_id(id);
        bench
            .queue
            .reschedule(id, bench.now())
            .await
            .expect("the queue works")
    };
    assert!(!reschedule("unknown").await);
    bench.push(&task("a")).await;
    let claim = bench.claim().await;
    assert!(!reschedule("a").await);
    assert_eq!(bench.next().await, None);
    let failure = super::bench::failure("broken");
    bench.settle(&claim, Settlement::Dead { failure }).await;
    assert!(!reschedule("a").await);
    assert_eq!(bench.next().await, None);
}
