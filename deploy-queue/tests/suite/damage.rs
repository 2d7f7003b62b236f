//! Damage is named, nothing opens empty or shorter, and what cannot be opened stays as it was.
//!
//! The files of a store are found by looking into its directory: nothing here knows what they are,
//! but for the lock, whose text is for people.

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

use crate::harness::{cycles, scratch};

/// How many flipped bits are tried in each test; `DEPLOY_QUEUE_FLIPS` says another number, and
/// 1000000 means all bits.
const FLIPS: u64 = 3_000;

/// Up to how many bytes of a file every bit is tried first: small files, and the heads of large ones.
const HEAD: usize = 64;

async fn open(path: &Path) -> Result<DiskStore, OpenError> {
    let clock = Arc::new(VirtualClock::new());
    DiskStore::open(path, QueueConfig::new().with_clock(clock)).await
}

/// Makes a small store.
async fn fill(path: &Path) -> DiskStore {
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
type Files = BTreeMap<String, Vec<u8>>;

fn take(path: &Path) -> Files {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    let files = entries.filter(|entry| name(entry) != "LOCK");
    files.map(|entry| (name(&entry), fs::read(entry.path()).unwrap())).collect()
}

/// The files of a store that was closed, and of the same one as kill -9 would leave it.
async fn images() -> (Files, Files) {
    let directory = scratch();
    let store = fill(directory.path()).await;
    let killed = take(directory.path());
    store.close().await;
    (take(directory.path()), killed)
}

/// What became of damaged stores.
#[derive(Debug, Default)]
struct Outcomes {
    refused: u64,
    /// Opened, and an error came when what is damaged was read.
    noticed: u64,
    harmless: u64,
    /// Refused, and otherwise than before.
    changed: Vec<String>,
    wrong: Vec<String>,
}

/// A place to open damaged stores in, and what must be in them when they open.
struct Bench {
    directory: tempfile::TempDir,
    expected: Content,
    outcomes: Outcomes,
}

impl Bench {
    async fn new(whole: &Files) -> Self {
        hush_the_database();
        let directory = scratch();
        put(directory.path(), whole);
        let store = open(directory.path()).await.unwrap();
        let expected = content(&store).await.unwrap();
        store.close().await;
        Self { directory, expected, outcomes: Outcomes::default() }
    }

    /// Opens a store of such files: refused, stopped, or all there.
    async fn open(&mut self, files: &Files, what: &str) {
        let path = self.directory.path();
        put(path, files);
        let outcomes = &mut self.outcomes;
        match open(path).await {
            Err(OpenError::Locked { .. } | OpenError::ReadOnly { .. } | OpenError::Full { .. }) => {
                outcomes.wrong.push(format!("{what}: refused for another reason"));
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

    fn end(self, name: &str) -> Outcomes {
        println!("{name}: {:?}", self.outcomes);
        assert!(self.outcomes.wrong.is_empty(), "{:#?}", self.outcomes.wrong);
        self.outcomes
    }
}

fn put(path: &Path, files: &Files) {
    for entry in fs::read_dir(path).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, content) in files {
        fs::write(path.join(name), content).unwrap();
    }
}

/// Where to flip: the heads bit by bit, and then steps that meet every bit once.
fn bits(files: &Files) -> Vec<(String, usize)> {
    let head = |(name, content): (&String, &Vec<u8>)| {
        let name = name.clone();
        (0..content.len().min(HEAD) * 8).map(move |bit| (name.clone(), bit)).collect::<Vec<_>>()
    };
    let mut bits: Vec<_> = files.iter().flat_map(head).collect();
    let rest = |(name, content): (&String, &Vec<u8>)| {
        let (name, all) = (name.clone(), content.len() * 8);
        // A prime, so that the steps meet everything.
        (0..all).map(move |step| (name.clone(), step * 104_729 % all)).collect::<Vec<_>>()
    };
    bits.extend(files.iter().flat_map(rest).filter(|(_, bit)| *bit >= HEAD * 8));
    let flips = usize::try_from(cycles("DEPLOY_QUEUE_FLIPS", FLIPS)).unwrap();
    bits.truncate(flips);
    bits
}

async fn flip(whole: &Files) -> Outcomes {
    let mut bench = Bench::new(whole).await;
    for (name, bit) in bits(whole) {
        let mut files = whole.clone();
        files.get_mut(&name).unwrap()[bit / 8] ^= 1 << (bit % 8);
        bench.open(&files, &format!("bit {bit} of {name}")).await;
    }
    bench.end("flipped bits")
}

#[tokio::test]
async fn every_flipped_bit_of_a_closed_store_is_noticed_or_harmless() {
    let outcomes = flip(&images().await.0).await;
    assert_eq!(outcomes.changed, Vec::<String>::new(), "what cannot be opened stays as it was");
    assert!(outcomes.refused > FLIPS / 10, "flips reach what matters");
}

#[tokio::test]
async fn every_flipped_bit_of_a_killed_store_is_noticed_or_harmless() {
    let outcomes = flip(&images().await.1).await;
    assert!(outcomes.refused > FLIPS / 10, "flips reach what matters");
}

#[tokio::test]
async fn a_file_that_ends_too_early_or_too_late_is_noticed_or_harmless() {
    let (closed, killed) = images().await;
    // What was not closed is repaired when it is opened, and a repair that cannot be finished may
    // leave the file changed.
    for (whole, stays) in [(closed, true), (killed, false)] {
        let mut bench = Bench::new(&whole).await;
        for (name, content) in &whole {
            let step = if content.len() < 512 { 1 } else { 512 };
            let mut lengths: Vec<_> = (0..content.len()).step_by(step).collect();
            lengths.extend([content.len() - 1, content.len() + 1, content.len() + 4096]);
            for length in lengths {
                let mut files = whole.clone();
                files.get_mut(name).unwrap().resize(length, 0);
                bench.open(&files, &format!("{name} of {length} bytes")).await;
            }
        }
        let outcomes = bench.end("cut off");
        assert!(outcomes.refused > 100, "{outcomes:?}");
        assert!(!stays || outcomes.changed.is_empty(), "{:?}", outcomes.changed);
    }
}

#[tokio::test]
async fn a_store_that_lost_a_file_is_not_opened_empty() {
    let (closed, killed) = images().await;
    for whole in [closed, killed] {
        let mut bench = Bench::new(&whole).await;
        for name in whole.keys() {
            let mut files = whole.clone();
            files.remove(name);
            bench.open(&files, &format!("without {name}")).await;
        }
        let outcomes = bench.end("lost files");
        assert_eq!(
            (outcomes.refused, outcomes.changed.len()),
            (whole.len() as u64, 0),
            "{outcomes:?}"
        );
    }
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let (whole, _) = images().await;
    for file in ["store.redb", "MARK"] {
        let directory = scratch();
        put(directory.path(), &whole);
        fs::remove_file(directory.path().join(file)).unwrap();
        let opened = open(directory.path()).await;
        let named =
            matches!(&opened, Err(OpenError::Missing { file: found, .. }) if *found == file);
        assert!(named, "{opened:?}");
    }
}

#[tokio::test]
async fn files_of_different_times_are_noticed_or_all_is_there() {
    let directory = scratch();
    fill(directory.path()).await.close().await;
    let older = take(directory.path());
    let store = open(directory.path()).await.unwrap();
    store.push(TaskRecord::new(samples::task_id("new"), "work", *b"")).await.unwrap();
    let killed = take(directory.path());
    store.close().await;
    for newer in [killed, take(directory.path())] {
        let mut bench = Bench::new(&newer).await;
        let names: Vec<_> =
            newer.keys().filter(|name| older.get(*name) != newer.get(*name)).collect();
        assert!(names.len() > 1, "{names:?}");
        // All of them older is a backup that was put back, which is no damage.
        for mixture in 1..(1_u32 << names.len()) - 1 {
            let mut files = newer.clone();
            for (number, name) in names.iter().enumerate() {
                if mixture >> number & 1 == 1 {
                    match older.get(*name) {
                        Some(content) => drop(files.insert((*name).clone(), content.clone())),
                        None => drop(files.remove(*name)),
                    }
                }
            }
            bench.open(&files, &format!("older ones by {mixture:b} of {names:?}")).await;
        }
        for (name, other) in names.iter().zip(names.iter().skip(1)) {
            let mut files = newer.clone();
            files.insert((*name).clone(), newer[*other].clone());
            files.insert((*other).clone(), newer[*name].clone());
            bench.open(&files, &format!("{name} and {other} changed places")).await;
        }
        let outcomes = bench.end("mixtures");
        assert!(outcomes.refused > 1, "{outcomes:?}");
    }
}

/// An older store by itself looks whole: that it is not, only what is expected tells.
#[tokio::test]
async fn the_bench_notices_a_store_that_is_shorter() {
    let directory = scratch();
    fill(directory.path()).await.close().await;
    let older = take(directory.path());
    let store = open(directory.path()).await.unwrap();
    store.push(TaskRecord::new(samples::task_id("new"), "work", *b"")).await.unwrap();
    store.close().await;
    let mut bench = Bench::new(&take(directory.path())).await;
    bench.open(&older, "shorter").await;
    assert_eq!(bench.outcomes.wrong.len(), 1, "{:?}", bench.outcomes);
}
