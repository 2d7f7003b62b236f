//! Tasks that failed together come back apart, and later each time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::{
    Clock, Failure, FailureCode, Queue, QueueAdmin, Settlement, TaskPlace, TaskRecord,
};
use deploy_queue::{Backoff, DiskStore, MemoryQueue, QueueConfig};
use deploy_testkit::{VirtualClock, samples};

const TASKS: usize = 50;

const LEASE: Duration = Duration::from_secs(30);

/// Lets all tasks fail at one moment, again and again, and looks when they come back.
async fn fail_together(queue: &(impl Queue + QueueAdmin), clock: &VirtualClock) {
    let ids: Vec<_> =
        (0..TASKS).map(|number| samples::task_id(&format!("task-{number}"))).collect();
    for id in &ids {
        queue.push(TaskRecord::new(id.clone(), "work", *b"")).await.unwrap();
    }
    for pause in [8, 16, 20, 20].map(Duration::from_secs) {
        for _ in &ids {
            let claim = queue.claim("worker".to_owned(), vec![], LEASE).await.unwrap();
            let failure = Failure::new(FailureCode::HostFailed, "broken");
            let retry = Settlement::Retry { after: None, failure };
            queue.settle(claim.token, retry).await.unwrap();
        }
        let mut dues = BTreeSet::new();
        for id in &ids {
            let Some(TaskPlace::Queued { due, .. }) = queue.find(id.clone()).await.unwrap() else {
                panic!("{id} waits for another try");
            };
            let waits = due.since(clock.now());
            assert!(waits >= pause.mul_f64(0.75) && waits <= pause.mul_f64(1.2501), "{waits:?}");
            dues.insert(due);
        }
        assert!(dues.len() > TASKS * 9 / 10, "{dues:?}");
        clock.set(*dues.last().unwrap());
    }
}

fn config(clock: &VirtualClock) -> QueueConfig {
    let backoff = Backoff::new(Duration::from_secs(8), Duration::from_secs(20));
    QueueConfig::new().with_clock(Arc::new(clock.clone())).with_backoff(backoff)
}

#[tokio::test]
async fn tasks_that_failed_together_come_back_apart_and_later_each_time() {
    let clock = VirtualClock::new();
    fail_together(&MemoryQueue::new(config(&clock)), &clock).await;
    let (clock, directory) = (VirtualClock::new(), tempfile::tempdir().unwrap());
    let store = DiskStore::open(directory.path(), config(&clock)).await.unwrap();
    fail_together(&store, &clock).await;
}
