//! Damage is named, nothing opens empty or shorter, and what cannot be opened stays as it was.
//!
//! The files of a store are found by looking into its directory: nothing here knows what they are,
//! but for the lock, whose text is for people.

pub(crate) mod bench;

use std::fs;

use deploy_core::{Journal, JournalError, Queue, Sequence, TaskRecord};
use deploy_queue::OpenError;
use deploy_testkit::samples;

use crate::harness::{cycles, scratch};
use bench::{Bench, Files, Outcomes, fill, images, open, put, take};

/// How many flipped bits are tried in each test; `DEPLOY_QUEUE_FLIPS` says another number, and
/// 1000000 means all bits.
const FLIPS: u64 = 3_000;

/// Up to how many bytes of a file every bit is tried first: small files, and the heads of large ones.
const HEAD: usize = 64;

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
async fn a_store_that_lost_several_files_is_not_opened_empty() {
    let (closed, killed) = images().await;
    for whole in [closed, killed] {
        let mut bench = Bench::new(&whole).await;
        for kept in 1..(1_u32 << whole.len()) - 1 {
            let mut number = 0;
            let mut files = whole.clone();
            files.retain(|_, _| {
                number += 1;
                kept >> (number - 1) & 1 == 1
            });
            bench.open(&files, &format!("with {:?} alone", files.keys())).await;
        }
        let outcomes = bench.end("lost files");
        let all = (1 << whole.len()) - 2;
        assert_eq!((outcomes.refused, outcomes.changed.len()), (all, 0), "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let (whole, _) = images().await;
    for file in ["store.redb", "store.log", "MARK", "FORMAT"] {
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
async fn a_database_of_somebody_else_in_its_place_is_damage() {
    let (whole, _) = images().await;
    let mut bench = Bench::new(&whole).await;
    for other in [None, Some("meta"), Some("tasks")] {
        let directory = scratch();
        let file = directory.path().join("other");
        let database = redb::Database::create(&file).unwrap();
        if let Some(name) = other {
            let table = redb::TableDefinition::<u64, u64>::new(name);
            let transaction = database.begin_write().unwrap();
            transaction.open_table(table).unwrap().insert(1, 1).unwrap();
            transaction.commit().unwrap();
        }
        drop(database);
        let mut files = whole.clone();
        files.insert("store.redb".to_owned(), fs::read(&file).unwrap());
        bench.open(&files, &format!("a database with the table {other:?}")).await;
    }
    let outcomes = bench.end("other databases");
    assert_eq!((outcomes.refused, outcomes.changed.len()), (3, 0), "{outcomes:?}");
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
            let is_older = |number: usize| mixture >> number & 1 == 1;
            // A database that is ahead of both others is what a power loss right after an opening
            // leaves: nothing tells that from a log and a mark that were put back.
            if names.iter().enumerate().all(|(at, name)| is_older(at) != (*name == "store.redb")) {
                continue;
            }
            let mut files = newer.clone();
            for (number, name) in names.iter().enumerate() {
                if is_older(number) {
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

/// Changes a word in an event of the log, and the checksums with it, as a newer version might have
/// written it.
fn reword(log: &mut [u8], task: &str, number: u64, from: &str, to: &str) {
    let find = |log: &[u8], what: &[u8]| log.windows(what.len()).position(|found| found == what);
    assert_eq!(from.len(), to.len());
    let word = find(log, from.as_bytes()).unwrap();
    log[word..word + to.len()].copy_from_slice(to.as_bytes());
    let json = (0..word).rev().find(|at| log[*at..].starts_with(b"{\"task\"")).unwrap();
    let length = u32::from_le_bytes(log[json - 8..json - 4].try_into().unwrap()) as usize - 4;
    let key = [b"events\0", task.as_bytes(), b"\0", &number.to_le_bytes(), b"\0"].concat();
    let check = crc32fast::hash(&[&key, &log[json..json + length]].concat());
    log[json - 4..json].copy_from_slice(&check.to_le_bytes());
    let group = (0..word).step_by(64).rfind(|at| log[*at..].starts_with(b"dq-group"));
    let group = group.unwrap();
    let body = u64::from_le_bytes(log[group + 20..group + 28].try_into().unwrap());
    let end = group + 28 + usize::try_from(body).unwrap();
    let check = crc32fast::hash(&[&log[16..24], &log[group + 12..end]].concat());
    log[group + 8..group + 12].copy_from_slice(&check.to_le_bytes());
}

#[tokio::test]
async fn an_event_of_a_newer_version_is_no_damage_and_stops_nobody() {
    let (_, mut killed) = images().await;
    reword(killed.get_mut("store.log").unwrap(), "journal", 1, "\"accepted\"", "\"accelted\"");
    let directory = scratch();
    put(directory.path(), &killed);
    let store = open(directory.path()).await.unwrap();
    let read =
        async |after| store.read(samples::task_id("journal"), Sequence::new(after), 10).await;
    for _ in 0..2 {
        let Err(JournalError::Unreadable { sequence, source, .. }) = read(0).await else {
            panic!("{:?}", read(0).await);
        };
        assert_eq!(sequence, Sequence::new(1));
        assert!(source.to_string().contains("accelted"), "{source}");
        assert_eq!(read(1).await.unwrap().len(), 7, "the others are read");
    }
    store.push(TaskRecord::new(samples::task_id("new"), "work", *b"")).await.unwrap();
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
