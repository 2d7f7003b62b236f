//! A store of the first format is whole, whatever happens while it is taken over.

use crate::harness::{Book, Calls, Job, Plan, Random, Tracer, copy, scratch};
use crate::reopen::{assert_whole, golden, open};

/// What is done to a call, one after the other.
const FAULTS: [&str; 3] = ["signal=SIGKILL", "error=ENOSPC", "error=EIO"];

#[test]
fn whatever_happens_to_a_call_while_a_store_is_taken_over_it_is_whole_afterwards() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let directory = scratch();
    let store = directory.path().join("store");
    let tracer = Tracer::new(&directory.path().join("log"));
    let take_over = |tracer: Tracer| {
        let mut book = Book::default();
        Job::new(&store, Plan::Recover, 1).with_tracer(tracer).run(&mut book);
        book
    };
    copy(&golden("format-1"), &store);
    assert_eq!(take_over(tracer.clone()).said("closed"), 1, "a run without faults");
    let calls: Calls = tracer.calls(&store);
    println!("{calls:?}");
    assert!(calls.paths.iter().any(|path| path.ends_with("FORMAT.new")), "it is taken over");
    let (mut cycles, mut stopped, mut random) = (0, 0, Random::new(1));
    for (name, most) in &calls.counts {
        for number in 1..=*most {
            for fault in FAULTS {
                copy(&golden("format-1"), &store);
                let inject = |number: u64| format!("{name}:{fault}:when={number}");
                let book = take_over(tracer.injecting(&calls, &inject(number)));
                stopped += u32::from(book.said("closed") == 0);
                if random.below(3) == 0 {
                    take_over(tracer.injecting(&calls, &inject(1 + random.below(10))));
                }
                cycles += 1;
                println!("{}: {:?}", inject(number), book.refusals);
                runtime.block_on(async { assert_whole(&open(&store).await).await });
                let format = std::fs::read_to_string(store.join("FORMAT")).unwrap();
                assert_eq!(format, "deploy-queue store, format 2\n");
            }
        }
    }
    println!("{cycles} take-overs with a fault, {stopped} of which stopped");
    assert!(cycles > 20 && stopped * 2 > cycles, "{stopped} of {cycles}");
}
