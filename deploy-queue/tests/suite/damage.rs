//! Damage is named, nothing opens empty or shorter, and what cannot be opened stays as it was.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::TaskId;
use deploy_core::{
    Event, Journal, JournalQuery, Queue, QueueAdmin, QueueStatistics, Sequence, Settlement,
    TaskRecord, TaskSummary,
};
use deploy_queue::{DiskStore, OpenError, QueueConfig};
use deploy_testkit::{VirtualClock, samples};

/// How many flipped bits are tried; all bits take hours.
const FLIPS: usize = 600;

async fn open(path: &Path) -> Result<DiskStore, OpenError> {
    let clock = Arc::new(VirtualClock::new());
    DiskStore::open(path, QueueConfig::new().with_clock(clock)).await
}

/// Makes a small store, closed well, and says what is in it.
async fn fill(path: &Path) -> Content {
    let store = open(path).await.unwrap();
    for number in 0..5 {
        let id = samples::task_id(&format!("task-{number}"));
        store.push(TaskRecord::new(id, "work", vec![number; 200])).await.unwrap();
    }
    let lease = Duration::from_secs(30);
    let claim = store.claim("worker".to_owned(), vec![], lease).await.unwrap();
    let failure = deploy_core::Failure::new(deploy_core::FailureCode::HostFailed, "broken");
    store.settle(claim.token, Settlement::Dead { failure }).await.unwrap();
    let task = samples::task_id("journal");
    let now = deploy_core::Clock::now(&VirtualClock::new());
    let request = samples::request(samples::package(b"bytes"));
    let mut events = vec![samples::accepted(&task, now, request)];
    events.extend((2..9).map(|number| samples::progress(&task, number, now)));
    store.append(events).await.unwrap();
    let content = content(&store).await.unwrap();
    store.close().await;
    content
}

type Content = (QueueStatistics, Vec<TaskRecord>, Vec<TaskSummary>, Vec<Event>);

/// All that is in a store, or the word of damage.
async fn content(store: &DiskStore) -> Result<Content, String> {
    let text = |error: &dyn std::error::Error| format!("{error}: {:?}", error.source());
    let statistics = store.statistics().await.map_err(|e| text(&e))?;
    let mut tasks = Vec::new();
    for letter in store.dead_letters(None, 100).await.map_err(|e| text(&e))? {
        tasks.push(letter.task);
    }
    for _ in 0..statistics.ready {
        let claim = store.claim("worker".to_owned(), vec![], Duration::from_secs(30)).await;
        tasks.push(claim.map_err(|e| text(&e))?.task);
    }
    let list = store.list(JournalQuery::new()).await.map_err(|e| text(&e))?;
    let task: TaskId = samples::task_id("journal");
    let events = store.read(task, Sequence::START, 100).await.map_err(|e| text(&e))?;
    Ok((statistics, tasks, list, events))
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The database panics on some damage, and the store catches it: nobody needs the word of it.
fn hush_the_database() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.location().is_some_and(|at| at.file().contains("redb-")) {
                loud(info);
            }
        }));
    });
}

#[tokio::test]
async fn every_flipped_bit_is_noticed_or_harmless() {
    let whole = tempfile::tempdir().unwrap();
    let expected = fill(whole.path()).await;
    let expected = {
        // Claims are given back by opening again.
        let store = open(whole.path()).await.unwrap();
        let content = content(&store).await.unwrap();
        store.close().await;
        assert_eq!(content.0, expected.0);
        content
    };
    let (mut noticed, mut harmless) = (0, 0);
    let damaged = tempfile::tempdir_in("/dev/shm").unwrap();
    hush_the_database();
    let size = fs::metadata(whole.path().join("store.redb")).unwrap().len();
    let bits = usize::try_from(size).unwrap() * 8;
    // The header bit by bit, and the rest in steps that are prime to everything.
    let header = 0..320 * 8;
    let rest = (0..).map(|step| 320 * 8 + step * 104_729 % (bits - 320 * 8));
    let mut wrong = Vec::new();
    for bit in header.step_by(11).chain(rest).take(FLIPS) {
        copy(whole.path(), damaged.path());
        let file = damaged.path().join("store.redb");
        let mut bytes = fs::read(&file).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, bytes).unwrap();
        match open(damaged.path()).await {
            Err(OpenError::Corrupt { .. } | OpenError::Storage { .. }) => noticed += 1,
            Err(error) => wrong.push(format!("bit {bit}: {error:?}")),
            Ok(store) => match content(&store).await {
                Err(_) => noticed += 1,
                Ok(found) if found == expected => harmless += 1,
                Ok(found) => wrong.push(format!("bit {bit}: {:?}", found.0)),
            },
        }
    }
    println!("{noticed} noticed, {harmless} harmless of {FLIPS}, in {bits} bits");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(noticed > 100, "flips reach what matters");
}

/// A copy of a store as a process leaves it that is killed: all in the log, the database behind.
async fn fill_and_leave(path: &Path) -> Content {
    let made = tempfile::tempdir().unwrap();
    let store = open(made.path()).await.unwrap();
    for number in 0..5 {
        let id = samples::task_id(&format!("task-{number}"));
        store.push(TaskRecord::new(id, "work", vec![number; 200])).await.unwrap();
    }
    copy(made.path(), path);
    let content = content(&store).await.unwrap();
    store.close().await;
    content
}

#[tokio::test]
async fn every_flipped_bit_of_a_log_is_noticed_or_harmless() {
    let whole = tempfile::tempdir().unwrap();
    let expected = fill_and_leave(whole.path()).await;
    assert_eq!(expected.0.ready, 5);
    let log = fs::read(whole.path().join("store.log")).unwrap();
    let damaged = tempfile::tempdir_in("/dev/shm").unwrap();
    let (mut noticed, mut harmless) = (0, 0);
    for bit in (0..log.len() * 8).step_by(29) {
        copy(whole.path(), damaged.path());
        let mut bytes = log.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(damaged.path().join("store.log"), bytes).unwrap();
        match open(damaged.path()).await {
            Err(OpenError::Corrupt { .. }) => noticed += 1,
            Err(error) => panic!("bit {bit}: {error:?}"),
            Ok(store) => {
                assert_eq!(content(&store).await.unwrap(), expected, "bit {bit}");
                harmless += 1;
            }
        }
    }
    println!("{noticed} noticed, {harmless} harmless, in {} bits", log.len() * 8);
    assert!(noticed > harmless, "flips reach what matters");
}

#[tokio::test]
async fn a_log_that_is_cut_is_noticed_and_what_nobody_was_told_of_is_not_missed() {
    let whole = tempfile::tempdir().unwrap();
    let expected = fill_and_leave(whole.path()).await;
    let log = fs::read(whole.path().join("store.log")).unwrap();
    for length in (0..log.len()).step_by(37) {
        let damaged = tempfile::tempdir_in("/dev/shm").unwrap();
        copy(whole.path(), damaged.path());
        fs::write(damaged.path().join("store.log"), &log[..length]).unwrap();
        match open(damaged.path()).await {
            Err(OpenError::Corrupt { .. }) => {
                assert_eq!(fs::read(damaged.path().join("store.log")).unwrap(), log[..length]);
            }
            // Only the padding of the last group is gone.
            Ok(store) => assert_eq!(content(&store).await.unwrap(), expected, "{length}"),
            Err(error) => panic!("{length}: {error:?}"),
        }
    }
    // The beginning of a commit that was never acknowledged, because the machine went down.
    let torn = [log.clone(), b"dq-group and no more".to_vec()].concat();
    fs::write(whole.path().join("store.log"), torn).unwrap();
    let store = open(whole.path()).await.unwrap();
    assert_eq!(content(&store).await.unwrap(), expected);
}

#[tokio::test]
async fn a_truncated_database_is_noticed_and_stays_as_it_is() {
    let whole = tempfile::tempdir().unwrap();
    fill(whole.path()).await;
    let size = fs::metadata(whole.path().join("store.redb")).unwrap().len();
    for length in [0, 1, 100, 4096, size / 2, size - 4096, size - 1] {
        let damaged = tempfile::tempdir().unwrap();
        copy(whole.path(), damaged.path());
        let file = damaged.path().join("store.redb");
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length).unwrap();
        let before = fs::read(&file).unwrap();
        let opened = open(damaged.path()).await;
        assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "{length}: {opened:?}");
        assert_eq!(fs::read(&file).unwrap(), before, "{length}");
    }
}

#[tokio::test]
async fn a_store_that_lost_a_file_is_not_opened_empty() {
    for file in ["store.redb", "store.log", "MARK"] {
        let directory = tempfile::tempdir().unwrap();
        fill(directory.path()).await;
        fs::remove_file(directory.path().join(file)).unwrap();
        let opened = open(directory.path()).await;
        let missing =
            matches!(&opened, Err(OpenError::Missing { file: found, .. }) if *found == file);
        assert!(missing, "{opened:?}");
        assert!(!directory.path().join(file).exists());
    }
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path()).await;
    fs::remove_file(directory.path().join("FORMAT")).unwrap();
    let opened = open(directory.path()).await;
    assert!(matches!(opened, Err(OpenError::NotAStore { .. })), "{opened:?}");
}

#[tokio::test]
async fn a_database_that_is_older_than_its_mark_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path()).await;
    let database = directory.path().join("store.redb");
    let older = fs::read(&database).unwrap();
    let store = open(directory.path()).await.unwrap();
    store.push(TaskRecord::new(samples::task_id("new"), "work", *b"")).await.unwrap();
    store.close().await;
    fs::write(&database, older).unwrap();
    let opened = open(directory.path()).await;
    assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "{opened:?}");
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
async fn a_newer_format_and_a_foreign_directory_are_left_as_they_are() {
    let newer = tempfile::tempdir().unwrap();
    fs::write(newer.path().join("FORMAT"), "deploy-queue store, format 3\n").unwrap();
    let opened = open(newer.path()).await;
    assert!(matches!(opened, Err(OpenError::NewerFormat { found: 3, known: 2, .. })));
    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("thesis.txt"), "chapter 1").unwrap();
    let opened = open(foreign.path()).await;
    assert!(matches!(opened, Err(OpenError::NotAStore { .. })), "{opened:?}");
    for directory in [newer, foreign] {
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
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

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o555)).unwrap();
    // Rights do not bind root, so the child is somebody else then. A copy is run, since the build
    // directory may be out of that one's reach.
    let program = tempfile::Builder::new().tempfile().unwrap().into_temp_path();
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut child = std::process::Command::new(&program);
    child.args(["damage::child_without_rights", "--exact"]);
    child.env(FORBIDDEN, directory.path());
    if rustix::process::geteuid().is_root() {
        child.uid(65534).gid(65534);
    }
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
