//! A machine that loses its power under load loses nothing that was acknowledged.
//!
//! The store lies on a file system of its own, which is told to forget what is not on its disk. That
//! is more than kill -9 shows: a store that never syncs survives any number of those.

use std::path::Path;
use std::time::Duration;

use deploy_queue::OpenError;

use crate::harness::{Book, Job, Plan, Random, Tally, Tracer, Volume, check, cycles, scratch};

/// How often the power is cut in each test; `DEPLOY_QUEUE_POWER_LOSSES` says another number.
const LOSSES: u64 = 40;

fn losses() -> u64 {
    cycles("DEPLOY_QUEUE_POWER_LOSSES", LOSSES)
}

/// Starts a child, lets it work for so many words and then so long, and cuts the power.
fn work_and_cut(volume: &Volume, job: &Job, words: u64, delay: Duration, book: &mut Book) {
    let switch = volume.switch();
    let mut child = job.start();
    child.hear_of("opening", book);
    child.hear(words, book);
    // Not to wait for anything: the cut is to come at any point of what follows.
    std::thread::sleep(delay);
    child.doubt(book);
    switch.cut();
    child.kill();
    child.end(book);
    volume.restart();
}

/// Cuts the power at points that a fixed seed chooses, until something is not as it was.
fn cut(losses: u64, tracer: Option<&Tracer>, volume: &Volume) -> Tally {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut tally, mut book) = (Tally::default(), Book::default());
    let mut random = Random::new(losses);
    let store = volume.path().join("store");
    for cycle in 0..losses {
        let mut job = Job::new(&store, Plan::Load, cycle);
        if let Some(tracer) = tracer {
            job = job.with_tracer(tracer.clone());
        }
        work_and_cut(volume, &job, 2 + random.below(200), Duration::ZERO, &mut book);
        tally.cycles += 1;
        if random.below(10) < 4 {
            let job = Job::new(&store, Plan::Recover, cycle);
            let delay = Duration::from_micros(random.below(15_000));
            work_and_cut(volume, &job, 0, delay, &mut book);
            tally.twice += 1;
        }
        if let Err(error) = runtime.block_on(check(&store, &mut book, &mut tally)) {
            tally.lost += 1;
            tally.fault(format!("the store does not open: {error:?}"));
        }
        if tally.bad() > 0 {
            break;
        }
    }
    tally
}

#[test]
fn what_was_acknowledged_survives_a_power_loss_also_during_recovery() {
    let tally = cut(losses(), None, &Volume::new());
    tally.assert_clean("power loss");
    assert!(tally.twice * 10 >= tally.cycles * 3, "{tally:?}");
    assert!(tally.acknowledged > tally.cycles * 20, "{tally:?}");
}

#[test]
fn a_power_loss_catches_a_store_that_does_not_sync() {
    let volume = Volume::new();
    let tracer = Tracer::without_fsync(&volume.outside("log"));
    let tally = cut(10, Some(&tracer), &volume);
    println!("without fsync: {tally:?}");
    assert!(tally.bad() > 0, "{tally:?}");
}

#[test]
fn a_store_that_is_being_made_when_the_power_fails_is_whole_or_none() {
    let volume = Volume::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut tally, mut random, mut none) = (Tally::default(), Random::new(3), 0);
    for cycle in 0..losses() {
        // Each time another: the removal of the last one may be undone by the power loss, too.
        let store = volume.path().join(format!("new-{cycle}"));
        let mut book = Book::default();
        let job = Job::new(&store, Plan::Load, cycle);
        // Half of the cuts come in the first moments, and half when the store begins to work.
        let (words, delay) = match cycle % 2 {
            0 => (0, Duration::from_micros(random.below(25_000))),
            _ => (1 + random.below(30), Duration::ZERO),
        };
        work_and_cut(&volume, &job, words, delay, &mut book);
        tally.cycles += 1;
        let opened = book.said("open") > 0;
        none += u64::from(!opened);
        match runtime.block_on(check(&store, &mut book, &mut tally)) {
            Ok(()) => {}
            Err(OpenError::NotAStore { .. }) if !opened => {}
            Err(error) => {
                tally.lost += 1;
                tally.fault(format!("opened {opened}, and then: {error:?}"));
            }
        }
        remove(&store);
    }
    println!("{none} of {} stores were not made before", tally.cycles);
    tally.assert_clean("power loss while a store is made");
    assert!(none > 0 && none < tally.cycles, "the cuts come before and after: {none}");
}

#[test]
fn the_names_of_all_directories_that_are_made_for_a_store_are_synced() {
    let directory = scratch();
    let tracer = Tracer::new(&directory.path().join("log"));
    let store = directory.path().join("new/newer/store");
    let mut book = Book::default();
    Job::new(&store, Plan::Recover, 0).with_tracer(tracer.clone()).run(&mut book);
    assert_eq!(book.said("closed"), 1);
    let seen = tracer.seen();
    for above in store.ancestors().skip(1).take(3) {
        let sync = format!("<{}>)", above.display());
        let synced = seen.iter().any(|line| line.contains("fsync(") && line.contains(&sync));
        assert!(synced, "{above:?} is not synced: {seen:#?}");
    }
}

fn remove(store: &Path) {
    if store.exists() {
        std::fs::remove_dir_all(store).unwrap();
    }
}
