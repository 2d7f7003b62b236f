//! What is there after a store was closed, or dropped, and opened again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{Outcome, Timestamp};
use deploy_core::{
    Clock, Failure, FailureCode, Journal, JournalError, JournalQuery, Queue, QueueAdmin,
    QueueError, Sequence, Settlement, TaskPlace, TaskRecord,
};
use deploy_queue::{DiskStore, QueueConfig, SettleError};
use deploy_testkit::{VirtualClock, samples};

const LEASE: Duration = Duration::from_secs(30);

pub(crate) async fn open(path: &Path) -> DiskStore {
    let clock = Arc::new(VirtualClock::new());
    DiskStore::open(path, QueueConfig::new().with_clock(clock)).await.unwrap()
}

async fn claim(store: &DiskStore) -> deploy_core::Claim {
    store.claim("worker".to_owned(), vec![], LEASE).await.unwrap()
}

fn task(id: &str) -> TaskRecord {
    TaskRecord::new(samples::task_id(id), "work", id.as_bytes().to_vec())
}

/// A store with a task in each place, and two tasks in the journal.
async fn fill(store: &DiskStore) {
    let now = VirtualClock::new().now();
    let failure = Failure::new(FailureCode::HookFailed, "broken").with_host(samples::host(1));
    store.push(task("dead")).await.unwrap();
    let dead = Settlement::Dead { failure: failure.clone() };
    store.settle(claim(store).await.token, dead).await.unwrap();
    store.push(task("tried")).await.unwrap();
    let retry = Settlement::Retry { after: Some(LEASE), failure };
    store.settle(claim(store).await.token, retry).await.unwrap();
    store.push(task("claimed").with_priority(2)).await.unwrap();
    claim(store).await;
    let later = now.plus(Duration::from_secs(3600));
    store.push(task("delayed").with_due(later).with_exclusive_key("key")).await.unwrap();
    store.push(task("ready").with_priority(-1)).await.unwrap();
    for name in ["one", "two"] {
        let id = samples::task_id(name);
        let request = samples::request(samples::package(b"bytes"));
        let events = vec![samples::accepted(&id, now, request), samples::progress(&id, 2, now)];
        store.append(events).await.unwrap();
    }
    let two = samples::task_id("two");
    let finished = samples::finished(&two, 3, now, Outcome::Succeeded);
    store.append(vec![finished]).await.unwrap();
}

/// Says that a store that was filled is whole.
pub(crate) async fn assert_whole(store: &DiskStore) {
    let now = VirtualClock::new().now();
    let find = async |id| store.find(samples::task_id(id)).await.unwrap();
    let queued = |due, attempts| Some(TaskPlace::Queued { due, attempts });
    assert_eq!(find("dead").await, Some(TaskPlace::Dead));
    assert_eq!(find("tried").await, queued(now.plus(LEASE), 1));
    assert_eq!(find("claimed").await, queued(now, 1), "it can be claimed again");
    assert_eq!(find("delayed").await, queued(now.plus(Duration::from_secs(3600)), 0));
    assert_eq!(find("ready").await, queued(now, 0));
    let dead = store.dead_letters(None, 10).await.unwrap();
    assert_eq!((dead.len(), &dead[0].task), (1, &task("dead")));
    assert_eq!((dead[0].failure.message.as_str(), dead[0].at), ("broken", now));
    let again = claim(store).await;
    assert_eq!((again.task, again.attempt), (task("claimed").with_priority(2), 2));
    let list = store.list(JournalQuery::new()).await.unwrap();
    let ends: Vec<_> = list.iter().map(|s| (s.task.as_str(), s.last.number(), s.outcome)).collect();
    assert_eq!(ends, [("two", 3, Some(Outcome::Succeeded)), ("one", 2, None)]);
    let events = store.read(samples::task_id("two"), Sequence::START, 10).await.unwrap();
    assert_eq!(events.len(), 3);
}

#[tokio::test]
async fn a_closed_store_and_a_dropped_one_are_whole_when_they_are_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    fill(&store).await;
    store.close().await;
    assert!(matches!(store.push(task("late")).await, Err(QueueError::Closed)));
    assert!(matches!(store.list(JournalQuery::new()).await, Err(JournalError::Closed)));
    drop(store);
    let store = open(directory.path()).await;
    assert_whole(&store).await;
    drop(store);
    assert_eq!(open(directory.path()).await.statistics().await.unwrap().dead, 1);
}

#[tokio::test]
async fn waiting_claims_and_followers_end_when_the_store_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(directory.path()).await);
    let (one, other) = (Arc::clone(&store), Arc::clone(&store));
    let claim = tokio::spawn(async move { one.claim("w".to_owned(), vec![], LEASE).await });
    let follow = samples::task_id("nobody");
    let follow = tokio::spawn(async move { other.follow(follow, Sequence::START, 1).await });
    tokio::task::yield_now().await;
    store.close().await;
    assert!(matches!(claim.await.unwrap(), Err(QueueError::Closed)));
    assert!(matches!(follow.await.unwrap(), Err(JournalError::Closed)));
}

#[tokio::test]
async fn a_lease_of_before_is_refused_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.push(task("a")).await.unwrap();
    let before = claim(&store).await;
    drop(store);
    let store = open(directory.path()).await;
    claim(&store).await;
    let settled = store.settle(before.token, Settlement::Done).await;
    assert!(matches!(settled, Err(QueueError::LeaseLost { .. })), "{settled:?}");
}

#[tokio::test]
async fn the_ends_of_time_are_times_like_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let last = VirtualClock::new().now().plus(Duration::MAX);
    let first = Timestamp::from_unix_micros(-377_705_023_201_000_000).unwrap();
    store.push(task("last").with_due(last)).await.unwrap();
    store.push(task("first").with_due(first)).await.unwrap();
    let held = store.claim("worker".to_owned(), vec![], Duration::MAX).await.unwrap();
    assert_eq!(held.task, task("first").with_due(first));
    store.renew(held.token.clone(), Duration::MAX).await.unwrap();
    let failure = Failure::new(FailureCode::HostFailed, "broken");
    let retry = Settlement::Retry { after: Some(Duration::MAX), failure };
    store.settle(held.token, retry).await.unwrap();
    drop(store);
    let store = open(directory.path()).await;
    assert_eq!(store.statistics().await.unwrap().delayed, 2);
    for id in ["first", "last"] {
        let found = store.find(samples::task_id(id)).await.unwrap();
        let Some(TaskPlace::Queued { due, .. }) = found else { panic!("{found:?}") };
        assert_eq!(due.unix_micros(), last.unix_micros());
        assert!(store.reschedule(samples::task_id(id), first).await.unwrap());
    }
    assert_eq!(claim(&store).await.task.id, samples::task_id("last"), "it was pushed first");
    assert_eq!(claim(&store).await.attempt, 2);
}

#[tokio::test]
async fn a_settlement_and_its_events_are_kept_together_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    fill(&store).await;
    let (one, now) = (samples::task_id("one"), VirtualClock::new().now());
    let held = claim(&store).await;
    let finished = |number| vec![samples::finished(&one, number, now, Outcome::Failed)];
    let gap = store.settle_with(held.token.clone(), Settlement::Done, finished(9)).await;
    assert!(matches!(gap, Err(SettleError::Journal(JournalError::Conflict { .. }))), "{gap:?}");
    store.settle_with(held.token.clone(), Settlement::Done, finished(3)).await.unwrap();
    let lost = store.settle_with(held.token, Settlement::Done, finished(4)).await;
    assert!(matches!(lost, Err(SettleError::Queue(QueueError::LeaseLost { .. }))), "{lost:?}");
    drop(store);
    let store = open(directory.path()).await;
    assert_eq!(store.find(samples::task_id("ready")).await.unwrap(), None);
    let events = store.read(one.clone(), Sequence::START, 10).await.unwrap();
    assert_eq!(events.len(), 3);
    // What was refused left nothing in the way.
    store.append(vec![samples::progress(&one, 4, now)]).await.unwrap();
}

#[tokio::test]
async fn what_came_before_and_after_the_log_began_anew_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (journal, now) = (samples::task_id("journal"), VirtualClock::new().now());
    let request = samples::request(samples::package(b"bytes"));
    store.append(vec![samples::accepted(&journal, now, request)]).await.unwrap();
    let tasks = |from: usize| (from..from + 5_000).map(|number| task(&format!("task-{number}")));
    // More changes than the log holds before they are brought into the database, twice.
    for from in [0, 5_000, 10_000, 15_000] {
        store.push_many(tasks(from).collect()).await.unwrap();
    }
    store.append(vec![samples::progress(&journal, 2, now)]).await.unwrap();
    // The first is in the database, and the last in the log.
    assert_eq!(claim(&store).await.task, task("task-0"));
    assert!(store.withdraw(samples::task_id("task-1")).await.unwrap());
    assert!(store.withdraw(samples::task_id("task-19999")).await.unwrap());
    let read = async |store: &DiskStore| {
        let events = store.read(journal.clone(), Sequence::START, 10).await.unwrap();
        events.iter().map(|event| event.sequence.number()).collect::<Vec<_>>()
    };
    assert_eq!(read(&store).await, [1, 2]);
    // As a process leaves it that is killed.
    let killed = tempfile::tempdir().unwrap();
    copy(directory.path(), killed.path());
    drop(store);
    for path in [directory.path(), killed.path()] {
        let store = open(path).await;
        assert_eq!(store.statistics().await.unwrap().ready, 19_998);
        assert_eq!(claim(&store).await.task, task("task-0"));
        assert_eq!(store.find(samples::task_id("task-1")).await.unwrap(), None);
        assert_eq!(read(&store).await, [1, 2]);
    }
}

pub(crate) fn golden(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format)
}

/// Copies the files of a store, but for the lock.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn the_stores_of_all_formats_stay_readable() {
    let newest = golden("format-2");
    if !newest.exists() {
        // A missing store is made only on demand, so that a lost one is noticed.
        assert!(std::env::var_os("MAKE_GOLDEN").is_some(), "set MAKE_GOLDEN=1 to make it");
        make_golden(&newest).await;
    }
    for format in ["format-1", "format-2"] {
        let directory = tempfile::tempdir().unwrap();
        copy(&golden(format), directory.path());
        assert_whole(&open(directory.path()).await).await;
        // It is one of the newest format from then on.
        let said = std::fs::read_to_string(directory.path().join("FORMAT")).unwrap();
        assert_eq!(said, "deploy-queue store, format 2\n", "{format}");
        open(directory.path()).await;
    }
}

/// Makes the golden store of a new format, once; one that is there stays. It is as a process leaves
/// it that is killed, so that all is in the log.
async fn make_golden(golden: &Path) {
    let made = tempfile::tempdir().unwrap();
    let store = open(made.path()).await;
    fill(&store).await;
    std::fs::create_dir_all(golden).unwrap();
    copy(made.path(), golden);
    store.close().await;
}
