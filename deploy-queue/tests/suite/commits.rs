//! How many commits calls take: what is asked at the same time, or belongs together, shares one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::Outcome;
use deploy_core::{Clock, Journal, Queue, Settlement, TaskRecord};
use deploy_queue::{DiskStore, QueueConfig};
use deploy_testkit::{VirtualClock, samples};
use tokio::task::JoinSet;

const LEASE: Duration = Duration::from_secs(30);

fn task(id: &str) -> TaskRecord {
    TaskRecord::new(samples::task_id(id), "work", *b"work")
}

/// The number of the last commit of an open store: the mark has it as soon as anybody was told of it.
async fn commits(store: &DiskStore, path: &Path) -> u64 {
    // Behind the mark of what was committed before.
    store.push_many(Vec::new()).await.unwrap();
    let mark = std::fs::read_to_string(path.join("MARK")).unwrap();
    mark.split(' ').nth(2).unwrap().parse().unwrap()
}

async fn open(path: &Path) -> Arc<DiskStore> {
    Arc::new(DiskStore::open(path, QueueConfig::new()).await.unwrap())
}

#[tokio::test]
async fn calls_that_are_made_at_the_same_time_share_commits() {
    const CALLS: u64 = 100;
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let before = commits(&store, directory.path()).await;
    let mut calls = JoinSet::new();
    let busy = Arc::clone(&store);
    // The first commit takes a moment, in which the others come.
    let many: Vec<_> = (0..5_000).map(|number| task(&format!("many-{number}"))).collect();
    calls.spawn(async move { drop(busy.push_many(many).await.unwrap()) });
    for number in 0..CALLS / 2 {
        let (pushing, appending) = (Arc::clone(&store), Arc::clone(&store));
        calls.spawn(async move {
            pushing.push(task(&format!("task-{number}"))).await.unwrap();
        });
        calls.spawn(async move {
            let request = samples::request(samples::package(b"bytes"));
            let journal = samples::task_id(&format!("journal-{number}"));
            let accepted = samples::accepted(&journal, VirtualClock::new().now(), request);
            appending.append(vec![accepted]).await.unwrap();
        });
    }
    calls.join_all().await;
    let took = commits(&store, directory.path()).await - before;
    println!("{CALLS} calls beside a large one took {took} commits");
    assert!(took <= CALLS / 2, "{took}");
}

#[tokio::test]
async fn a_settlement_and_its_events_are_one_commit_and_so_are_many_tasks() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let before = commits(&store, directory.path()).await;
    let tasks = (0..1_000).map(|number| task(&format!("task-{number}"))).collect();
    store.push_many(tasks).await.unwrap();
    assert_eq!(commits(&store, directory.path()).await, before + 1);
    let claim = store.claim("worker".to_owned(), vec![], LEASE).await.unwrap();
    let (id, now) = (claim.token.task.clone(), VirtualClock::new().now());
    let request = samples::request(samples::package(b"bytes"));
    let finished = samples::finished(&id, 2, now, Outcome::Succeeded);
    let events = vec![samples::accepted(&id, now, request), finished];
    let before = commits(&store, directory.path()).await;
    store.settle_with(claim.token, Settlement::Done, events).await.unwrap();
    assert_eq!(commits(&store, directory.path()).await, before + 1);
}
