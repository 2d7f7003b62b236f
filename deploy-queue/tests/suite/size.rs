//! The size of a store is that of what lives in it, not of what once did.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::{Pushed, Queue, QueueAdmin, QueueError, Settlement, TaskRecord};
use deploy_queue::{DiskStore, QueueConfig};
use deploy_testkit::samples;

const PAYLOAD: usize = 1024;

/// How many tasks live at the same time.
const TASKS: usize = 15_000;

/// What the log takes at most once it was begun anew.
const LOG: usize = 16 * 1024 * 1024;

/// A database of up to this size is left as it is.
const SMALL: usize = 16 * 1024 * 1024;

const ROUNDS: usize = 2;

async fn open(path: &Path) -> Arc<DiskStore> {
    Arc::new(DiskStore::open(path, QueueConfig::new()).await.unwrap())
}

fn tasks(round: usize) -> Vec<TaskRecord> {
    let task = |number| {
        let id = samples::task_id(&format!("task-{round}-{number}"));
        TaskRecord::new(id, "work", vec![7; PAYLOAD])
    };
    (0..TASKS).map(task).collect()
}

/// Does so many tasks, with many workers so that they share commits.
async fn work(store: &Arc<DiskStore>, count: usize) {
    let workers = (0..50).map(|worker| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for _ in 0..count / 50 {
                let lease = Duration::from_secs(60);
                let claim = store.claim(format!("worker-{worker}"), vec![], lease).await.unwrap();
                store.settle(claim.token, Settlement::Done).await.unwrap();
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

/// The bytes of all files of a store.
fn size(path: &Path) -> usize {
    let length =
        |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().metadata().unwrap().len();
    usize::try_from(std::fs::read_dir(path).unwrap().map(length).sum::<u64>()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_takes_the_room_of_what_lives_in_it_and_not_of_what_once_did() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let live = TASKS * PAYLOAD;
    let mut sizes = Vec::new();
    for round in 0..ROUNDS {
        store.push_many(tasks(round)).await.unwrap();
        work(&store, TASKS).await;
        sizes.push(size(directory.path()));
    }
    println!("{ROUNDS} times {live} bytes, on disk {sizes:?}");
    // The log is written over, and pages of rows that are gone are used again.
    assert!(sizes.iter().all(|&size| size < 3 * live + LOG + SMALL), "{sizes:?}");
    store.push_many(tasks(ROUNDS)).await.unwrap();
    work(&store, TASKS - 100).await;
    drop(store);
    // Opened again, it has given the room back: there are 100 tasks, and the log.
    let store = open(directory.path()).await;
    assert_eq!(store.statistics().await.unwrap().ready, 100);
    let left = size(directory.path());
    println!("{left} bytes with 100 tasks left");
    assert!(left < LOG + SMALL, "{left}");
}

#[tokio::test]
async fn tasks_that_are_pushed_together_are_kept_together_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let config = QueueConfig::new().with_capacity(3);
    let store = DiskStore::open(directory.path(), config.clone()).await.unwrap();
    let task = |id: &str| TaskRecord::new(samples::task_id(id), "work", *b"bytes");
    let pushed = store.push_many(vec![task("a"), task("b"), task("a")]).await.unwrap();
    assert_eq!(pushed, [Pushed::New, Pushed::New, Pushed::Known]);
    assert_eq!(store.push_many(Vec::new()).await.unwrap(), []);
    let full = store.push_many(vec![task("c"), task("b"), task("d")]).await;
    assert!(matches!(full, Err(QueueError::Full { limit: 3 })), "{full:?}");
    let other = TaskRecord::new(samples::task_id("a"), "work", *b"other");
    let conflict = store.push_many(vec![task("c"), other]).await;
    assert!(matches!(conflict, Err(QueueError::Conflict { .. })), "{conflict:?}");
    drop(store);
    let store = DiskStore::open(directory.path(), config).await.unwrap();
    assert_eq!(store.statistics().await.unwrap().ready, 2);
    assert_eq!(store.find(samples::task_id("c")).await.unwrap(), None);
}
