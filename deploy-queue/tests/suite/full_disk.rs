//! A write that fails stops the store, and loses nothing that was acknowledged.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::{
    Journal, JournalError, JournalQuery, Pushed, Queue, QueueAdmin, QueueError, TaskRecord,
};
use deploy_queue::{DiskStore, OpenError, QueueConfig, StoreError};
use deploy_testkit::samples;

use crate::harness::Volume;

/// The payload of a task of which a file system of some megabytes holds few, in bytes.
const LARGE: usize = 100_000;

/// Names the store to the child, whose files may not grow beyond a megabyte.
const STORE: &str = "DEPLOY_QUEUE_FULL_STORE";

async fn open(path: &Path) -> DiskStore {
    DiskStore::open(path, QueueConfig::new()).await.unwrap()
}

/// Says that an error is that of a store which has stopped.
fn assert_stopped<T: std::fmt::Debug>(result: Result<T, QueueError>) {
    let Err(QueueError::Storage { source }) = result else {
        panic!("{result:?}");
    };
    assert!(matches!(source.downcast_ref(), Some(StoreError::Disk { .. })), "{source:?}");
}

fn task(number: u64, size: usize) -> TaskRecord {
    let id = samples::task_id(&format!("task-{number}"));
    TaskRecord::new(id, "work", vec![7; size])
}

/// Pushes tasks of a size until one is refused: how many were kept, and what was said of that one.
async fn push_until_refused(store: &DiskStore, size: usize) -> (u64, Result<Pushed, QueueError>) {
    let mut kept = 0;
    loop {
        match store.push(task(kept, size)).await {
            Ok(_) => kept += 1,
            refused => return (kept, refused),
        }
    }
}

#[tokio::test]
async fn child_with_little_room() {
    let Ok(path) = std::env::var(STORE) else {
        return;
    };
    let store = Arc::new(open(Path::new(&path)).await);
    let waiting = Arc::clone(&store);
    let kinds = vec!["another".to_owned()];
    let waiting = tokio::spawn(async move {
        waiting.claim("worker".to_owned(), kinds, Duration::from_secs(30)).await
    });
    let (kept, failed) = push_until_refused(&store, 10_000).await;
    assert_stopped(failed);
    assert_stopped(waiting.await.unwrap());
    assert_stopped(store.push(task(0, 10_000)).await);
    assert_stopped(store.statistics().await);
    let listed = store.list(JournalQuery::new()).await;
    assert!(matches!(listed, Err(JournalError::Storage { .. })), "{listed:?}");
    println!("kept {kept} tasks");
}

#[tokio::test]
async fn a_full_disk_stops_the_store_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // Made while there is room.
    open(directory.path()).await.close().await;
    let output = Command::new("sh")
        // A write beyond the limit is an error then, and not a signal.
        .args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["full_disk::child_with_little_room", "--exact", "--nocapture"])
        .env(STORE, directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    let kept = said.lines().find_map(|line| line.split_once("kept ")?.1.strip_suffix(" tasks"));
    let kept: u64 = kept.unwrap().parse().unwrap();
    assert!(kept > 10, "{said}");
    let store = open(directory.path()).await;
    let there = store.statistics().await.unwrap().ready;
    // The push that failed may be there: whether it was made is open.
    assert!(there == kept || there == kept + 1, "{there} of {kept}");
}

#[tokio::test]
async fn a_file_system_without_room_stops_the_store_until_there_is_some() {
    let volume = Volume::new();
    let (path, ballast) = (volume.path().join("store"), volume.path().join("ballast"));
    let room = volume.room();
    let store = open(&path).await;
    // What is left is filled by the database and the log soon.
    std::fs::write(&ballast, vec![7; usize::try_from(room - 12 * 1024 * 1024).unwrap()]).unwrap();
    let (kept, failed) = push_until_refused(&store, LARGE).await;
    assert_stopped(failed);
    assert_stopped(store.statistics().await);
    drop(store);
    // Opening needs some room as well, and says so when there is none.
    match DiskStore::open(&path, QueueConfig::new()).await {
        Ok(store) => store.close().await,
        Err(error) => assert!(matches!(error, OpenError::Full { .. }), "{error:?}"),
    }
    std::fs::remove_file(ballast).unwrap();
    let store = open(&path).await;
    let there = store.statistics().await.unwrap().ready;
    println!("kept {kept} tasks in {room} bytes with ballast");
    assert!(kept > 10 && (there == kept || there == kept + 1), "{there} of {kept}");
    for number in 0..kept {
        assert_eq!(store.push(task(number, LARGE)).await.unwrap(), Pushed::Known);
    }
    assert_eq!(store.push(task(kept + 1, LARGE)).await.unwrap(), Pushed::New);
}
