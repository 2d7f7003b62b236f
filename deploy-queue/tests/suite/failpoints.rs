//! A panic, or an abort, at each named point: nobody waits in vain, and nothing is lost.

use deploy_queue::{DiskStore, FAIL_POINTS, QueueConfig};

use crate::harness::{Book, Job, Plan, Tally, check, scratch};

/// How often a point of the writer is passed before something happens there.
const TIMES: [u32; 3] = [1, 2, 9];

/// Lets something happen at each point, in a new store and in one that was there.
fn at_each_point(action: &str) -> Tally {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut tally = Tally::default();
    for point in FAIL_POINTS {
        let mut reached = 0;
        for existing in [false, true] {
            let times = if ["commit", "mark", "log"].iter().any(|of| point.starts_with(of)) {
                3
            } else {
                1
            };
            for times in &TIMES[..times] {
                let directory = scratch();
                let store = directory.path().join("store");
                if existing {
                    runtime.block_on(async {
                        let made = DiskStore::open(&store, QueueConfig::new()).await.unwrap();
                        made.close().await;
                    });
                }
                let mut book = Book::default();
                let job = Job::new(&store, Plan::Twice, 1).with_fail_point(point, *times, action);
                let noise = job.run(&mut book);
                // An abort is seen by what was not said any more.
                let panicked = noise.iter().any(|line| line.contains("the fail point"));
                reached += u32::from(panicked || book.said("again") == 0);
                tally.cycles += 1;
                let bad = tally.bad();
                if let Err(error) = runtime.block_on(check(&store, &mut book, &mut tally)) {
                    tally.lost += 1;
                    tally.fault(format!("the store does not open: {error:?}"));
                }
                if tally.bad() > bad {
                    tally.fault(format!("all that at {point}, {times}: {noise:?}"));
                }
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
