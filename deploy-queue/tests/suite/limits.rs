//! The limits of a queue, which its conformance suite cannot set.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::{Pushed, Queue, QueueAdmin, QueueError, Settlement, TaskPlace, TaskRecord};
use deploy_queue::{DiskStore, MemoryQueue, QueueConfig};
use deploy_testkit::{VirtualClock, samples};

fn task(id: &str, size: usize) -> TaskRecord {
    TaskRecord::new(samples::task_id(id), "work", vec![0; size])
}

async fn a_full_queue(queue: &dyn Queue) {
    for id in ["a", "b"] {
        queue.push(task(id, 10)).await.unwrap();
    }
    let refused = queue.push(task("c", 10)).await;
    assert!(
        matches!(refused, Err(QueueError::Full { limit: 2 })),
        "{refused:?}"
    );
    assert_eq!(queue.push(task("a", 10)).await.unwrap(), Pushed::Known);
    let lease = Duration::from_secs(30);
    let claim = queue
        .claim("worker".to_owned(), vec![], lease)
        .await
        .unwrap();
    queue.settle(claim.token, Settlement::Done).await.unwrap();
    assert_eq!(queue.push(task("c", 10)).await.unwrap(), Pushed::New);
}

async fn too_large_a_task(queue: &dyn Queue) {
    let refused = queue.push(task("large", 11)).await;
    assert!(
        matches!(
            refused,
            Err(QueueError::TooLarge {
                size: 11,
                limit: 10
            })
        ),
        "{refused:?}"
    );
}

async fn too_many_attempts(queue: &(impl Queue + QueueAdmin), clock: &VirtualClock) {
    let lease = Duration::from_secs(30);
    let id = samples::task_id("poison");
    queue
        .push(TaskRecord::new(id.clone(), "poison", *b""))
        .await
        .unwrap();
    for attempt in 1..=3 {
        let claim = queue
            .claim("worker".to_owned(), vec!["poison".to_owned()], lease)
            .await;
        assert_eq!(claim.unwrap().attempt, attempt);
        clock.advance(lease);
    }
    assert_eq!(queue.find(id.clone()).await.unwrap(), Some(TaskPlace::Dead));
    let dead = queue.dead_letters(None, 10).await.unwrap();
    assert_eq!((&dead[0].task.id, dead[0].attempts), (&id, 3));
}

fn config(clock: &VirtualClock) -> QueueConfig {
    let config = QueueConfig::new().with_clock(Arc::new(clock.clone()));
    config
        .with_capacity(2)
        .with_max_payload(10)
        .with_max_attempts(3)
}

#[tokio::test]
async fn a_queue_in_memory_keeps_its_limits() {
    let clock = VirtualClock::new();
    a_full_queue(&MemoryQueue::new(config(&clock))).await;
    too_large_a_task(&MemoryQueue::new(config(&clock))).await;
    too_many_attempts(&MemoryQueue::new(config(&clock)), &clock).await;
}

#[tokio::test]
async fn a_queue_on_disk_keeps_its_limits() {
    let clock = VirtualClock::new();
    let directory = tempfile::tempdir().unwrap();
    let open = async |name: &str| {
        DiskStore::open(directory.path().join(name), config(&clock))
            .await
            .unwrap()
    };
    a_full_queue(&open("full").await).await;
    too_large_a_task(&open("large").await).await;
    too_many_attempts(&open("poison").await, &clock).await;
    // That a task is dead is on disk, too.
    let again = open("poison").await;
    assert_eq!(again.statistics().await.unwrap().dead, 1);
}
