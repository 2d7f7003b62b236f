//! Cases of [`Queue`](deploy_core::Queue): what does not fit into it.

#![allow(clippy::missing_panics_doc)]

use std::collections::BTreeSet;

use deploy_core::{Pushed, QueueError, Retry, Settlement, TaskRecord};

use super::bench::{QueueBench, failure, task};
use crate::samples;

/// How many tasks the queue of these cases holds at most.
pub const CAPACITY: u64 = 4;

/// How many bytes the payload of a task of these cases has at most.
pub const MAX_PAYLOAD: u64 = 64;

/// A task whose payload has so many bytes.
fn sized(id: &str, bytes: u64) -> TaskRecord {
    let payload = vec![7; usize::try_from(bytes).expect("a small payload")];
    TaskRecord::new(samples::task_id(id), "work", payload)
}

/// Says that there is no room for a new task, and that a caller may try again later.
async fn assert_full(bench: &QueueBench) {
    let refused = bench.queue.push(task("one-too-many")).await;
    assert!(matches!(refused, Err(QueueError::Full { limit: CAPACITY })), "{refused:?}");
    let retry = refused.err().map(|error| error.retry());
    assert!(matches!(retry, Some(Retry::After(_))), "{retry:?}");
}

/// Clause 10.
pub async fn a_task_beyond_the_length_is_refused_and_changes_nothing(bench: QueueBench) {
    let due = bench.later(60);
    let all = [task("a"), task("b"), task("c"), task("later").with_due(due)];
    for task in &all {
        assert_eq!(bench.push(task).await, Pushed::New);
    }
    assert_full(&bench).await;
    assert_eq!(bench.push(&task("a")).await, Pushed::Known, "it needs no room");
    let other = bench.queue.push(task("a").with_priority(1)).await;
    assert!(matches!(other, Err(QueueError::Conflict { .. })), "{other:?}");
    let claim = bench.claim().await;
    assert_full(&bench).await;
    bench.settle(&claim, Settlement::Done).await;
    assert_eq!(bench.push(&task("one-too-many")).await, Pushed::New, "there is room again");
    bench.clock.set(due);
    let mut found = BTreeSet::new();
    for _ in 0..CAPACITY {
        found.insert(bench.claim().await.task.id.as_str().to_owned());
    }
    let expected = ["b", "c", "later", "one-too-many"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(expected));
}

/// Clause 10.
pub async fn a_dead_task_takes_its_room(bench: QueueBench) {
    for id in ["a", "b", "c", "d"] {
        bench.push(&task(id)).await;
        let claim = bench.claim().await;
        bench.settle(&claim, Settlement::Dead { failure: failure("broken") }).await;
    }
    assert_full(&bench).await;
}

/// Clause 10.
pub async fn a_task_beyond_the_size_is_refused_and_changes_nothing(bench: QueueBench) {
    assert_eq!(bench.push(&sized("a", MAX_PAYLOAD)).await, Pushed::New);
    let refused = bench.queue.push(sized("b", MAX_PAYLOAD + 1)).await;
    let Err(error @ QueueError::TooLarge { size, limit }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((size, limit), (MAX_PAYLOAD + 1, MAX_PAYLOAD));
    assert_eq!(error.retry(), Retry::Never);
    assert_eq!(bench.next().await.as_deref(), Some("a"));
    assert_eq!(bench.next().await, None);
    assert_eq!(bench.push(&sized("b", 1)).await, Pushed::New, "its id is free");
}
