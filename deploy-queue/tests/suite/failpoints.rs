//! A panic, or an abort, at each named point: nobody waits in vain, and nothing is lost.

use deploy_queue::{DiskStore, FAIL_POINTS, QueueConfig};

use crate::harness::{Book, Job, Plan, Tally, check, scratch};

/// How often a point of the writer is passed before something happens there.
const TIMES: [u32; 3] = [1, 2, 9];

/// Runs a plan in which something happens at a point, in a new store or in one that was there, and
/// checks what it leaves. Says whether it came by the point.
fn run(plan: Plan, point: (&str, u32), action: &str, existing: bool, tally: &mut Tally) -> bool {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let directory = scratch();
    let store = directory.path().join("store");
    if existing {
        runtime.block_on(async {
            let made = DiskStore::open(&store, QueueConfig::new()).await.unwrap();
            made.close().await;
        });
    }
    let mut book = Book::default();
    let job = Job::new(&store, plan, 1).with_fail_point(point.0, point.1, action);
    let noise = job.run(&mut book);
    tally.cycles += 1;
    let bad = tally.bad();
    if let Err(error) = runtime.block_on(check(&store, &mut book, tally)) {
        tally.lost += 1;
        tally.fault(format!("the store does not open: {error:?}"));
    }
    if tally.bad() > bad {
        tally.fault(format!("all that at {point:?}: {noise:?}"));
    }
    // An abort is seen by what was not said any more.
    noise.iter().any(|line| line.contains("the fail point")) || book.said("again") == 0
}

/// Lets something happen at each point, in a new store and in one that was there.
fn at_each_point(action: &str) -> Tally {
    let mut tally = Tally::default();
    for point in FAIL_POINTS {
        let often = ["commit", "mark", "log"].iter().any(|of| point.starts_with(of));
        let times = &TIMES[..if often { TIMES.len() } else { 1 }];
        let mut reached = 0;
        for existing in [false, true] {
            for times in times {
                let came_by = run(Plan::Twice, (point, *times), action, existing, &mut tally);
                reached += u32::from(came_by);
            }
        }
        assert!(reached > 0, "{point} is never reached");
    }
    tally
}

#[test]
fn a_panic_at_each_point_stops_the_store_and_loses_nothing() {
    at_each_point("panic").assert_clean("panics");
}

#[test]
fn an_abort_at_each_point_loses_nothing() {
    at_each_point("abort").assert_clean("aborts");
}

#[test]
fn an_acknowledgement_before_the_commit_is_noticed_at_a_point() {
    for action in ["panic", "abort"] {
        let mut tally = Tally::default();
        // A commit of retries alone leaves no trace: another one is tried then.
        for times in 5..25 {
            run(Plan::Early, ("commit.before", times), action, true, &mut tally);
            if tally.lost + tally.duplicated > 0 {
                break;
            }
        }
        println!("{action}: {tally:?}");
        assert!(tally.lost + tally.duplicated > 0, "{action}: {tally:?}");
    }
}

/// Those who are in the middle of a call when the thread panics: a race, so it is run a few times.
#[test]
fn whoever_waits_when_the_writer_panics_is_told_why() {
    let mut tally = Tally::default();
    for times in 20..45 {
        run(Plan::Load, ("log.written", times), "panic", true, &mut tally);
    }
    tally.assert_clean("panics under load");
}
