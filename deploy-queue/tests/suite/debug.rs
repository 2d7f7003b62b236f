//! What a queue or a journal shows of itself in a log: no content, and as much for many tasks as for
//! few.

use std::fmt;
use std::time::Duration;

use deploy_core::{Clock, Journal, Queue, TaskRecord};
use deploy_queue::{DiskStore, MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::{VirtualClock, samples};

const SECRET: &str = "hunter2";

/// The most that is worth a line.
const MOST: usize = 500;

fn assert_quiet(shown: &dyn fmt::Debug) {
    let shown = format!("{shown:?}");
    let bytes = format!("{:?}", SECRET.as_bytes());
    let bytes = bytes.trim_matches(['[', ']']);
    assert!(!shown.contains(SECRET) && !shown.contains(bytes), "{shown}");
    assert!(shown.len() < MOST, "{shown}");
}

async fn fill(queue: &dyn Queue) {
    for number in 0..100 {
        let id = samples::task_id(&format!("task-{number}"));
        queue.push(TaskRecord::new(id, "work", SECRET.as_bytes())).await.unwrap();
    }
    let claim = queue.claim("worker".to_owned(), vec![], Duration::from_secs(30)).await.unwrap();
    assert_quiet(&claim);
}

async fn record(journal: &dyn Journal) {
    let now = VirtualClock::new().now();
    for number in 0..100 {
        let id = samples::task_id(&format!("task-{number}"));
        let request = samples::request(samples::package(b"bytes"));
        journal.append(vec![samples::accepted(&id, now, request)]).await.unwrap();
    }
}

#[tokio::test]
async fn neither_a_queue_nor_a_journal_shows_what_it_holds() {
    let queue = MemoryQueue::default();
    fill(&queue).await;
    assert_quiet(&queue);
    let journal = MemoryJournal::new();
    record(&journal).await;
    assert_quiet(&journal);
    let directory = tempfile::tempdir().unwrap();
    let store = DiskStore::open(directory.path(), QueueConfig::new()).await.unwrap();
    fill(&store).await;
    record(&store).await;
    assert_quiet(&store);
}
