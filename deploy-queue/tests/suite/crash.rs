//! A process that is killed with -9 under load loses nothing that it acknowledged.

use std::path::Path;
use std::time::Duration;

use crate::harness::{Book, Job, Plan, Random, Tally, check, cycles};

/// How many children are killed; `DEPLOY_QUEUE_KILLS` says another number.
const KILLS: u64 = 60;

/// Kills children at points that a fixed seed chooses, and counts what they lose.
fn kill(path: &Path, plan: Plan, kills: u64) -> Tally {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut tally, mut book, mut random) = (Tally::default(), Book::default(), Random::new(kills));
    for cycle in 0..kills {
        let mut child = Job::new(path, plan, cycle).start();
        assert!(child.hear(3 + random.below(400), &mut book), "{:?}", child.noise);
        child.kill();
        child.end(&mut book);
        tally.cycles += 1;
        if random.below(10) < 4 {
            let mut child = Job::new(path, Plan::Recover, cycle).start();
            child.hear_of("opening", &mut book);
            // Not to wait for anything: the kill is to come at any point of an opening, which takes
            // about 10 ms.
            std::thread::sleep(Duration::from_micros(random.below(12_000)));
            child.kill();
            child.end(&mut book);
            tally.twice += 1;
        }
        runtime.block_on(check(path, &mut book, &mut tally)).unwrap();
    }
    tally
}

#[test]
fn what_was_acknowledged_survives_kill_dash_nine_also_during_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let kills = cycles("DEPLOY_QUEUE_KILLS", KILLS);
    let tally = kill(directory.path(), Plan::Load, kills);
    tally.assert_clean("kill -9");
    assert!(tally.twice * 10 >= kills * 3, "{tally:?}");
    assert!(tally.acknowledged > kills * 50, "{tally:?}");
}

#[test]
fn the_crash_test_catches_an_acknowledgement_before_the_commit() {
    let directory = tempfile::tempdir().unwrap();
    let tally = kill(directory.path(), Plan::Early, 10);
    println!("{tally:?}");
    assert!(tally.lost + tally.duplicated > 0, "{tally:?}");
}
