//! A small store, and a place to open damaged copies of it in.

use std::collections::BTreeMap;
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

use crate::harness::scratch;

pub(crate) async fn open(path: &Path) -> Result<DiskStore, OpenError> {
    let clock = Arc::new(VirtualClock::new());
    DiskStore::open(path, QueueConfig::new().with_clock(clock)).await
}

/// Makes a small store.
pub(crate) async fn fill(path: &Path) -> DiskStore {
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
    store
}

pub(crate) type Content = (QueueStatistics, Vec<TaskRecord>, Vec<TaskSummary>, Vec<Event>);

/// All that is in a store, or the word of damage.
pub(crate) async fn content(store: &DiskStore) -> Result<Content, String> {
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

/// The files of a store, by name, without its lock.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn take(path: &Path) -> Files {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    let files = entries.filter(|entry| name(entry) != "LOCK");
    files.map(|entry| (name(&entry), fs::read(entry.path()).unwrap())).collect()
}

/// The files of a store that was closed, and of the same one as kill -9 would leave it.
pub(crate) async fn images() -> (Files, Files) {
    let directory = scratch();
    let store = fill(directory.path()).await;
    let killed = take(directory.path());
    store.close().await;
    (take(directory.path()), killed)
}

/// What became of damaged stores.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) refused: u64,
    /// Opened, and an error came when what is damaged was read.
    noticed: u64,
    harmless: u64,
    /// Refused, and otherwise than before.
    pub(crate) changed: Vec<String>,
    pub(crate) wrong: Vec<String>,
}

/// A place to open damaged stores in, and what must be in them when they open.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
    expected: Content,
    pub(crate) outcomes: Outcomes,
}

impl Bench {
    pub(crate) async fn new(whole: &Files) -> Self {
        hush_the_database();
        let directory = scratch();
        put(directory.path(), whole);
        let store = open(directory.path()).await.unwrap();
        let expected = content(&store).await.unwrap();
        store.close().await;
        Self { directory, expected, outcomes: Outcomes::default() }
    }

    /// Opens a store of such files: refused, stopped, or all there.
    pub(crate) async fn open(&mut self, files: &Files, what: &str) {
        let path = self.directory.path();
        put(path, files);
        let outcomes = &mut self.outcomes;
        match open(path).await {
            Err(
                error @ (OpenError::Locked { .. }
                | OpenError::ReadOnly { .. }
                | OpenError::Full { .. }
                | OpenError::Storage { .. }),
            ) => {
                outcomes.wrong.push(format!("{what}: refused for another reason: {error:?}"));
            }
            Err(_) => {
                outcomes.refused += 1;
                if take(path) != *files {
                    outcomes.changed.push(what.to_owned());
                    self.open_again(what).await;
                }
            }
            Ok(store) => match content(&store).await {
                Err(_) => outcomes.noticed += 1,
                Ok(found) if found == self.expected => outcomes.harmless += 1,
                Ok(found) => outcomes.wrong.push(format!("{what}: {:?}", found.0)),
            },
        }
    }

    /// What a refused opening has changed is refused once more, or all there.
    async fn open_again(&mut self, what: &str) {
        if let Ok(store) = open(self.directory.path()).await
            && let Ok(found) = content(&store).await
            && found != self.expected
        {
            self.outcomes.wrong.push(format!("{what}, the second time: {:?}", found.0));
        }
    }

    pub(crate) fn end(self, name: &str) -> Outcomes {
        println!("{name}: {:?}", self.outcomes);
        assert!(self.outcomes.wrong.is_empty(), "{:#?}", self.outcomes.wrong);
        self.outcomes
    }
}

pub(crate) fn put(path: &Path, files: &Files) {
    for entry in fs::read_dir(path).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, content) in files {
        fs::write(path.join(name), content).unwrap();
    }
}
