//! What is refused when a store is opened, and what a store refuses: a typed error each, and the data
//! stays as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deploy_core::{
    Clock, Journal, JournalError, JournalQuery, Pushed, Queue, QueueAdmin, QueueError, Sequence,
    Settlement, TaskPlace, TaskRecord,
};
use deploy_queue::{DiskStore, OpenError, QueueConfig, SettleError};
use deploy_testkit::{VirtualClock, samples};

use crate::harness::{Book, Job, Plan, Volume};

async fn open(path: &Path) -> Result<DiskStore, OpenError> {
    DiskStore::open(path, QueueConfig::new().with_clock(Arc::new(VirtualClock::new()))).await
}

/// Every file of a directory and what is in it.
fn tree(path: &Path) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect()
}

fn task(id: &str, size: usize) -> TaskRecord {
    TaskRecord::new(samples::task_id(id), "work", vec![7; size])
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await.unwrap();
    let second = open(directory.path()).await;
    let Err(OpenError::Locked { holder, .. }) = &second else {
        panic!("{second:?}");
    };
    assert!(holder.starts_with(&format!("process {} on ", std::process::id())), "{holder}");
    drop(store);
    open(directory.path()).await.unwrap();
}

#[tokio::test]
async fn an_opener_in_another_process_is_told_who_has_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut book = Book::default();
    let mut holder = Job::new(path, Plan::Hold, 0).start();
    holder.hear_of("open", &mut book);
    let before = tree(path);
    let Err(OpenError::Locked { holder: named, .. }) = open(path).await else {
        panic!("two processes have the store");
    };
    assert!(named.starts_with(&format!("process {} on ", holder.id())), "{named}");
    // A third process is told the same.
    Job::new(path, Plan::Recover, 0).run(&mut book);
    let [refusal] = &book.refusals[..] else {
        panic!("{book:?}");
    };
    assert!(refusal.starts_with("refused Locked") && refusal.contains(&named), "{refusal}");
    assert_eq!(tree(path), before, "they left no trace");
    // kill -9 frees it: nobody has to remove anything.
    holder.kill();
    holder.end(&mut book);
    let store = open(path).await.unwrap();
    Job::new(path, Plan::Recover, 0).run(&mut book);
    let expected = format!("process {} on ", std::process::id());
    assert!(book.refusals[1].contains(&expected), "{:?}", book.refusals);
    store.push(task("a", 10)).await.unwrap();
}

#[test]
fn whoever_comes_while_a_store_is_made_is_told_that_somebody_has_it() {
    const ROUNDS: usize = 30;
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    for round in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let had = AtomicBool::new(false);
        // Each tries until one of them has it.
        let opener = || {
            loop {
                match runtime.block_on(open(directory.path())) {
                    Ok(store) => {
                        let before = had.swap(true, Ordering::SeqCst);
                        assert!(!before, "two have it");
                        return Some(store);
                    }
                    Err(OpenError::Locked { holder, .. }) => {
                        assert!(holder.starts_with("process ") || holder.starts_with("a process "));
                    }
                    Err(error) => panic!("round {round}: {error:?}"),
                }
                if had.load(Ordering::SeqCst) {
                    return None;
                }
            }
        };
        std::thread::scope(|scope| {
            let openers = [(); 2].map(|()| scope.spawn(opener));
            let stores = openers.map(|opener| opener.join().unwrap());
            assert_eq!(stores.iter().flatten().count(), 1);
        });
    }
}

#[tokio::test]
async fn a_lock_that_somebody_removed_lets_no_second_one_in() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await.unwrap();
    fs::remove_file(directory.path().join("LOCK")).unwrap();
    let second = open(directory.path()).await;
    assert!(matches!(second, Err(OpenError::Locked { .. })), "{second:?}");
    store.push(task("a", 10)).await.unwrap();
    drop(store);
    assert_eq!(open(directory.path()).await.unwrap().statistics().await.unwrap().ready, 1);
}

#[tokio::test]
async fn a_store_whose_files_were_removed_says_so_and_acknowledges_nothing() {
    for removed in ["store.log", "store.redb"] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).await.unwrap();
        store.push(task("a", 10)).await.unwrap();
        fs::remove_file(directory.path().join(removed)).unwrap();
        let pushed = store.push(task("b", 10)).await;
        let Err(QueueError::Storage { source }) = pushed else {
            panic!("{removed}: {pushed:?}");
        };
        let cause = source.source().unwrap().to_string();
        assert!(cause.contains(removed), "{cause}");
    }
}

#[tokio::test]
async fn a_store_whose_directory_gets_another_name_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (before, after) = (directory.path().join("before"), directory.path().join("after"));
    let store = open(&before).await.unwrap();
    store.push(task("a", 10)).await.unwrap();
    fs::rename(&before, &after).unwrap();
    store.push(task("b", 10)).await.unwrap();
    let second = open(&after).await;
    assert!(matches!(second, Err(OpenError::Locked { .. })), "{second:?}");
    drop(store);
    assert_eq!(open(&after).await.unwrap().statistics().await.unwrap().ready, 2);
}

#[tokio::test]
async fn a_newer_format_and_a_foreign_directory_are_left_as_they_are() {
    let newer = tempfile::tempdir().unwrap();
    let store = open(newer.path()).await.unwrap();
    store.push(task("a", 10)).await.unwrap();
    store.close().await;
    let format = fs::read_to_string(newer.path().join("FORMAT")).unwrap();
    let number = format.trim_end().rsplit(' ').next().unwrap().to_owned();
    fs::write(newer.path().join("FORMAT"), format.replace(&number, "4000")).unwrap();
    let almost = tempfile::tempdir().unwrap();
    fs::write(almost.path().join("FORMAT"), "another store, format 1\n").unwrap();
    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("thesis.txt"), "chapter 1").unwrap();
    for (directory, is_newer) in [(&newer, true), (&almost, false), (&foreign, false)] {
        let before = tree(directory.path());
        let opened = open(directory.path()).await;
        match (opened, is_newer) {
            (Err(OpenError::NewerFormat { found: 4000, known, .. }), true) => {
                assert_eq!(known.to_string(), number);
            }
            (Err(OpenError::NotAStore { .. }), false) => {}
            (opened, _) => panic!("{opened:?}"),
        }
        assert_eq!(tree(directory.path()), before);
    }
    let file = foreign.path().join("thesis.txt");
    for path in [&file, &file.join("below")] {
        let opened = open(path).await;
        assert!(matches!(opened, Err(OpenError::NotAStore { .. })), "{opened:?}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"chapter 1");
    fs::write(newer.path().join("FORMAT"), format).unwrap();
    assert_eq!(open(newer.path()).await.unwrap().statistics().await.unwrap().ready, 1);
}

#[tokio::test]
async fn what_a_store_refuses_leaves_it_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let clock = VirtualClock::new();
    let config = QueueConfig::new().with_clock(Arc::new(clock.clone())).with_max_payload(10);
    let config = config.with_capacity(1);
    let store = DiskStore::open(directory.path(), config.clone()).await.unwrap();
    store.push(task("a", 10)).await.unwrap();
    let claim = store.claim("worker".to_owned(), vec![], Duration::from_secs(30)).await.unwrap();
    clock.advance(Duration::from_secs(30));
    let large = store.push(task("b", 11)).await;
    assert!(matches!(large, Err(QueueError::TooLarge { size: 11, limit: 10 })), "{large:?}");
    let full = store.push(task("b", 10)).await;
    assert!(matches!(full, Err(QueueError::Full { limit: 1 })), "{full:?}");
    let other = store.push(task("a", 9)).await;
    assert!(matches!(other, Err(QueueError::Conflict { .. })), "{other:?}");
    let late = store.settle(claim.token.clone(), Settlement::Done).await;
    assert!(matches!(late, Err(QueueError::LeaseLost { .. })), "{late:?}");
    let events = vec![samples::accepted(
        &claim.token.task,
        clock.now(),
        samples::request(samples::package(b"bytes")),
    )];
    let late = store.settle_with(claim.token.clone(), Settlement::Done, events).await;
    assert!(matches!(late, Err(SettleError::Queue(QueueError::LeaseLost { .. }))), "{late:?}");
    drop(store);
    let store = DiskStore::open(directory.path(), config).await.unwrap();
    let found = store.find(claim.token.task.clone()).await.unwrap();
    assert!(matches!(found, Some(TaskPlace::Queued { attempts: 1, .. })), "{found:?}");
    let statistics = store.statistics().await.unwrap();
    assert_eq!((statistics.ready, statistics.claimed, statistics.dead), (1, 0, 0));
    assert!(store.list(JournalQuery::new()).await.unwrap().is_empty());
    assert_eq!(store.push(task("a", 10)).await.unwrap(), Pushed::Known);
}

#[tokio::test]
async fn an_event_that_could_not_be_read_again_is_refused_and_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await.unwrap();
    let (id, now) = (samples::task_id("a"), VirtualClock::new().now());
    let mut request = samples::request(samples::package(b"bytes"));
    request.rollout = request.rollout.with_max_parallel(0);
    let bad = samples::accepted(&id, now, request.clone());
    let appended = store.append(vec![bad.clone()]).await;
    let Err(JournalError::Unreadable { task: named, sequence, source }) = appended else {
        panic!("{appended:?}, and {:?}", store.read(id, Sequence::START, 10).await);
    };
    assert_eq!((&named, sequence), (&id, Sequence::new(1)));
    assert!(source.to_string().contains("max_parallel"), "{source}");
    store.push(task("a", 10)).await.unwrap();
    let claim = store.claim("worker".to_owned(), vec![], Duration::from_secs(30)).await.unwrap();
    let settled = store.settle_with(claim.token.clone(), Settlement::Done, vec![bad]).await;
    let refused = matches!(settled, Err(SettleError::Journal(JournalError::Unreadable { .. })));
    assert!(refused, "{settled:?}");
    store.renew(claim.token, Duration::from_secs(30)).await.unwrap();
    assert_eq!(store.list(JournalQuery::new()).await.unwrap(), []);
    request.rollout = request.rollout.with_max_parallel(1);
    let good = samples::accepted(&id, now, request);
    store.append(vec![good.clone()]).await.unwrap();
    assert_eq!(store.read(id, Sequence::START, 10).await.unwrap(), [good]);
}

/// Names a directory to the child that has no right to write there.
const FORBIDDEN: &str = "DEPLOY_QUEUE_FORBIDDEN";

#[tokio::test]
async fn child_without_rights() {
    let Ok(path) = std::env::var(FORBIDDEN) else {
        return;
    };
    let opened = open(Path::new(&path)).await;
    assert!(matches!(opened, Err(OpenError::ReadOnly { .. })), "{opened:?}");
}

/// Somebody without rights opens a directory, and is told so.
fn assert_forbidden(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    // Rights do not bind root, so the child is somebody else then. A copy is run, since the build
    // directory may be out of that one's reach.
    let program = tempfile::Builder::new().tempfile().unwrap().into_temp_path();
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let before = tree(directory);
    let mut child = std::process::Command::new(&program);
    child.args(["bad_input::child_without_rights", "--exact"]);
    child.env(FORBIDDEN, directory);
    if rustix::process::geteuid().is_root() {
        child.uid(65534).gid(65534);
    }
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(tree(directory), before);
}

/// Takes the right to write from a directory and its files, or also that to read them.
fn forbid(directory: &Path, files: u32) {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(directory).unwrap() {
        let mode = fs::Permissions::from_mode(files);
        fs::set_permissions(entry.unwrap().path(), mode).unwrap();
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).unwrap();
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    forbid(directory.path(), 0o444);
    assert_forbidden(directory.path());
    for files in [0o444, 0o600] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).await.unwrap();
        store.push(task("a", 10)).await.unwrap();
        store.close().await;
        forbid(directory.path(), files);
        if files == 0o444 || rustix::process::geteuid().is_root() {
            assert_forbidden(directory.path());
        }
    }
}

#[tokio::test]
async fn a_store_on_a_disk_that_is_mounted_to_be_read_is_named_and_stays_as_it_was() {
    let volume = Volume::new();
    let path = volume.path().join("store");
    let store = open(&path).await.unwrap();
    store.push(task("a", 10)).await.unwrap();
    store.close().await;
    let before = tree(&path);
    volume.remount("ro");
    let opened = open(&path).await;
    assert!(matches!(opened, Err(OpenError::ReadOnly { .. })), "{opened:?}");
    let opened = open(&volume.path().join("another")).await;
    assert!(matches!(opened, Err(OpenError::ReadOnly { .. })), "{opened:?}");
    assert_eq!(tree(&path), before);
    volume.remount("rw");
    assert_eq!(open(&path).await.unwrap().statistics().await.unwrap().ready, 1);
}
