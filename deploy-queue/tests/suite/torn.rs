//! A machine that dies while it writes a commit: each sector of it may have reached the disk or not.
//!
//! The log is what a commit writes before its sync. What the database does when the log is brought into
//! it is shown by the power losses.

use deploy_core::{Journal, Queue, Settlement, TaskRecord};
use deploy_queue::DiskStore;
use deploy_testkit::{VirtualClock, samples};

use crate::damage::bench::{Content, Files, content, fill, open, put, take};
use crate::harness::{Random, cycles, scratch};

/// After how many commits the machine dies; `DEPLOY_QUEUE_TORN_COMMITS` says another number.
const COMMITS: u64 = 16;

/// How many images are made of one commit at most.
const MOST: u64 = 1024;

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// What became of the images.
#[derive(Debug, Default)]
struct Outcomes {
    images: u64,
    before: u64,
    after: u64,
    wrong: Vec<String>,
}

/// Makes the next commit: a task of some size, a settlement, or events.
async fn commit(store: &DiskStore, number: u64) {
    let id = samples::task_id(&format!("torn-{number}"));
    match number % 4 {
        3 => {
            let lease = std::time::Duration::from_secs(30);
            let claim = store.claim("worker".to_owned(), vec![], lease).await.unwrap();
            store.settle(claim.token, Settlement::Done).await.unwrap();
        }
        2 => {
            let request = samples::request(samples::package(b"bytes"));
            let now = deploy_core::Clock::now(&VirtualClock::new());
            let accepted = samples::accepted(&id, now, request);
            store.append(vec![accepted, samples::progress(&id, 2, now)]).await.unwrap();
        }
        _ => {
            let size = usize::try_from(number * 613 % 4_500).unwrap();
            store.push(TaskRecord::new(id, "work", vec![7; size])).await.unwrap();
        }
    }
}

/// What is in a store of such files.
async fn look(files: &Files) -> Result<Content, String> {
    let directory = scratch();
    put(directory.path(), files);
    let store = open(directory.path()).await.map_err(|error| format!("{error:?}"))?;
    content(&store).await
}

/// Where two contents of a file differ, by sectors.
fn changed(before: &[u8], after: &[u8]) -> Vec<usize> {
    let old = |at: usize| before.get(at..before.len().min(at + SECTOR)).unwrap_or_default();
    let starts = (0..after.len()).step_by(SECTOR);
    starts.filter(|at| old(*at) != &after[*at..after.len().min(at + SECTOR)]).collect()
}

/// Which sectors have reached the disk: all choices when there are few, and others at random.
fn choices(sectors: usize, random: &mut Random) -> Vec<u64> {
    match 1_u64.checked_shl(u32::try_from(sectors).unwrap()) {
        Some(all) if all <= MOST => (0..all).collect(),
        all => (0..MOST).map(|_| random.below(all.unwrap_or(u64::MAX))).collect(),
    }
}

/// Opens a store in each state in which a commit may have been cut off.
async fn tear(before: &Files, after: &Files, random: &mut Random, outcomes: &mut Outcomes) {
    let (old, new) = (&before["store.log"], &after["store.log"]);
    let sectors = changed(old, new);
    let (empty, whole) = (look(before).await.unwrap(), look(after).await.unwrap());
    assert!(!sectors.is_empty() && empty != whole, "the commit has changed something");
    for choice in choices(sectors.len(), random) {
        // The mark is written once the sync has returned.
        let mut files = before.clone();
        let log = files.get_mut("store.log").unwrap();
        for (_, at) in sectors.iter().enumerate().filter(|(n, _)| choice >> n & 1 == 1) {
            let end = new.len().min(at + SECTOR);
            if log.len() < end {
                log.resize(end, 0);
            }
            log[*at..end].copy_from_slice(&new[*at..end]);
        }
        let all = *log == *new;
        outcomes.images += 1;
        match look(&files).await {
            Ok(found) if found == empty && !all => outcomes.before += 1,
            // Zeros at its end are there whether they were written or not.
            Ok(found) if found == whole => outcomes.after += 1,
            found => outcomes.wrong.push(format!("{choice:b} of {sectors:?}: {found:?}")),
        }
    }
}

#[tokio::test]
async fn every_part_of_a_commit_that_was_not_synced_is_none_of_it_or_all() {
    let directory = scratch();
    let store = fill(directory.path()).await;
    let (mut random, mut outcomes) = (Random::new(6), Outcomes::default());
    let mut before = take(directory.path());
    for number in 0..cycles("DEPLOY_QUEUE_TORN_COMMITS", COMMITS) {
        commit(&store, number).await;
        let after = take(directory.path());
        tear(&before, &after, &mut random, &mut outcomes).await;
        before = after;
    }
    println!("torn commits: {outcomes:?}");
    assert!(outcomes.wrong.is_empty(), "{:#?}", outcomes.wrong);
    assert!(outcomes.before > COMMITS && outcomes.after >= COMMITS, "{outcomes:?}");
}
