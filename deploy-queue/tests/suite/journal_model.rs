//! The journal on disk answers as a simple list of events does, over restarts and kills.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{Clock, Event, Journal, JournalError, JournalQuery, Sequence};
use deploy_queue::{DiskStore, QueueConfig};
use deploy_testkit::{VirtualClock, samples};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::harness::{cycles, scratch};

/// How many cases there are; `DEPLOY_QUEUE_MODEL_CASES` says another number.
const CASES: u64 = 32;

/// How many tasks there are.
const TASKS: u8 = 4;

#[derive(Clone, Copy, Debug)]
enum Command {
    /// Appends so many events, the first of which is so far behind or beyond the last one.
    Append {
        task: u8,
        off: i64,
        count: u64,
        accepted: Option<u64>,
    },
    Remove(u8),
    Close,
    Kill,
}

fn command() -> impl Strategy<Value = Command> {
    let off = prop_oneof![8 => Just(0), 1 => -2..=2_i64];
    let accepted = proptest::option::weighted(0.8, 0..3_u64);
    prop_oneof![
        8 => (0..TASKS, off, 1..6_u64, accepted).prop_map(|(task, off, count, accepted)| {
            Command::Append { task, off, count, accepted }
        }),
        2 => (0..TASKS).prop_map(Command::Remove),
        1 => Just(Command::Close),
        1 => Just(Command::Kill),
    ]
}

fn id(task: u8) -> TaskId {
    samples::task_id(&format!("task-{task}"))
}

fn at(seconds: u64) -> Timestamp {
    VirtualClock::new().now().plus(Duration::from_secs(seconds))
}

/// The journal, where it is, and what is in it.
struct Pair {
    store: DiskStore,
    directory: TempDir,
    /// The events of each task, and when it was accepted, if it was.
    tasks: BTreeMap<u8, (Option<u64>, Vec<Event>)>,
}

async fn open(path: &Path) -> DiskStore {
    DiskStore::open(path, QueueConfig::new()).await.unwrap()
}

impl Pair {
    async fn new() -> Self {
        let directory = scratch();
        Self { store: open(directory.path()).await, directory, tasks: BTreeMap::new() }
    }

    async fn apply(&mut self, command: Command) {
        match command {
            Command::Append { task, off, count, accepted } => {
                let last = self.tasks.get(&task).map_or(0, |(_, events)| events.len() as u64);
                let first = (last + 1).saturating_add_signed(off).max(1);
                let event = |number| match accepted {
                    Some(seconds) if number == 1 => {
                        let request = samples::request(samples::package(b"bytes"));
                        samples::accepted(&id(task), at(seconds), request)
                    }
                    _ => samples::progress(&id(task), number, at(number)),
                };
                let events: Vec<_> = (first..first + count).map(event).collect();
                let appended = self.store.append(events.clone()).await;
                if first == last + 1 {
                    appended.unwrap();
                    let kept = self.tasks.entry(task).or_insert((accepted, Vec::new()));
                    kept.1.extend(events);
                } else {
                    let end = Sequence::new(last);
                    assert!(
                        matches!(appended, Err(JournalError::Conflict { last, .. }) if last == end),
                        "{appended:?}"
                    );
                }
            }
            Command::Remove(task) => {
                let removed = self.store.remove(id(task)).await.unwrap();
                assert_eq!(removed, self.tasks.remove(&task).is_some());
            }
            Command::Close => {
                self.store.close().await;
                self.store = open(self.directory.path()).await;
            }
            Command::Kill => {
                // What kill -9 leaves is what the files say now.
                let killed = scratch();
                for entry in std::fs::read_dir(self.directory.path()).unwrap() {
                    let entry = entry.unwrap();
                    std::fs::copy(entry.path(), killed.path().join(entry.file_name())).unwrap();
                }
                self.store = open(killed.path()).await;
                self.directory = killed;
            }
        }
    }

    /// Both say the same of every task.
    async fn compare(&self) {
        for task in 0..TASKS {
            let kept = self.tasks.get(&task).map_or(&[][..], |(_, events)| events);
            for after in [0, 1, kept.len().saturating_sub(1), kept.len()] {
                let after = after.min(kept.len());
                let read = self.store.read(id(task), Sequence::new(after as u64), 3).await.unwrap();
                assert_eq!(read, kept[after..].iter().take(3).cloned().collect::<Vec<_>>());
            }
        }
        let accepted = |(task, (accepted, events)): (&u8, &(Option<u64>, Vec<Event>))| {
            Some((accepted.as_ref().copied()?, id(*task), events.len() as u64))
        };
        let mut expected: Vec<_> = self.tasks.iter().filter_map(accepted).collect();
        expected.sort();
        let expected = expected.into_iter().rev().map(|(_, task, last)| (task, last));
        let list = self.store.list(JournalQuery::new()).await.unwrap();
        let list: Vec<_> = list.into_iter().map(|s| (s.task, s.last.number())).collect();
        assert_eq!(list, expected.collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: u32::try_from(cycles("DEPLOY_QUEUE_MODEL_CASES", CASES)).unwrap(),
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn a_journal_on_disk_answers_as_a_list_of_events_also_over_restarts_and_kills(
        commands in proptest::collection::vec(command(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new().await;
            for command in commands {
                pair.apply(command).await;
                pair.compare().await;
            }
        });
    }
}

#[tokio::test]
#[should_panic(expected = "assertion")]
async fn the_comparison_notices_a_journal_that_comes_back() {
    let mut pair = Pair::new().await;
    let append = Command::Append { task: 1, off: 0, count: 3, accepted: Some(1) };
    pair.apply(append).await;
    pair.compare().await;
    pair.tasks.clear();
    pair.compare().await;
}
