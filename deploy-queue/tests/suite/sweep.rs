//! Each write and each sync of a short run is the one at which the process dies, or that fails.
//!
//! strace stops the child at the Nth call of a kind, for every N until the run ends before it. The
//! calls are found by watching a run on which nothing is done, so nothing here knows the files.

use std::path::PathBuf;

use deploy_queue::DiskStore;

use crate::harness::{Book, Calls, Job, Plan, Random, Tally, Tracer, check, copy, scratch};

/// A store for a run that is repeated, and what such a run does.
struct Stage {
    directory: tempfile::TempDir,
    start: Start,
    /// What was said of the store before a run begins.
    book: Book,
    tracer: Tracer,
    calls: Calls,
    runtime: tokio::runtime::Runtime,
}

/// How a run finds the store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    New,
    Existing,
    /// As kill -9 left it. The run opens and closes it.
    Killed,
}

impl Stage {
    fn new(start: Start) -> Self {
        let directory = scratch();
        let tracer = Tracer::new(&directory.path().join("log"));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (calls, book) = (Calls::default(), Book::default());
        let mut stage = Self { directory, start, book, tracer, calls, runtime };
        match start {
            Start::New => {}
            Start::Existing => stage.runtime.block_on(async {
                let made = DiskStore::open(stage.whole(), Default::default()).await.unwrap();
                made.close().await;
            }),
            Start::Killed => {
                let mut child = Job::new(&stage.whole(), Plan::Load, 0).start();
                assert!(child.hear(150, &mut stage.book), "{:?}", child.noise);
                child.kill();
                child.end(&mut stage.book);
            }
        }
        let (mut book, mut tally) = (stage.reset(), Tally::default());
        stage.job(stage.tracer.clone()).run(&mut book);
        assert_eq!(book.said("closed"), 1, "a run without faults comes to its end");
        stage.calls = stage.tracer.calls(&stage.store());
        stage.runtime.block_on(check(&stage.store(), &mut book, &mut tally)).unwrap();
        tally.assert_clean("without faults");
        assert!(tally.acknowledged > 20, "{tally:?}");
        stage
    }

    fn whole(&self) -> PathBuf {
        self.directory.path().join("whole")
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// Puts the store back to how a run finds it.
    fn reset(&self) -> Book {
        match self.start {
            Start::Existing | Start::Killed => copy(&self.whole(), &self.store()),
            Start::New if self.store().exists() => std::fs::remove_dir_all(self.store()).unwrap(),
            Start::New => {}
        }
        self.book.clone()
    }

    /// The run.
    fn job(&self, tracer: Tracer) -> Job {
        let plan = if self.start == Start::Killed { Plan::Recover } else { Plan::Script };
        Job::new(&self.store(), plan, 1).with_tracer(tracer)
    }

    /// The kinds of calls that a run makes and that a test asks for.
    fn kinds(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, u64)> {
        let kinds: Vec<_> = self.calls.counts.clone().into_iter().collect();
        kinds.into_iter().filter(|(name, _)| wanted(name)).collect()
    }

    fn check(&self, book: &mut Book, tally: &mut Tally, at: &str) {
        tally.cycles += 1;
        let bad = tally.bad();
        match self.runtime.block_on(check(&self.store(), book, tally)) {
            Ok(()) => {}
            Err(error) => {
                tally.lost += 1;
                tally.faults.push(format!("the store does not open: {error:?}"));
            }
        }
        if tally.bad() > bad {
            tally.faults.push(format!("all that since the last line: {at}"));
        }
    }
}

fn is_sync(name: &str) -> bool {
    matches!(name, "fsync" | "fdatasync" | "sync_file_range" | "msync")
}

/// Kills a run at each call of some kinds, and one in three once more while it recovers.
fn kill_at_each(start: Start, wanted: impl Fn(&str) -> bool) -> Tally {
    let stage = Stage::new(start);
    let (mut tally, mut random) = (Tally::default(), Random::new(1));
    let kinds = stage.kinds(wanted);
    println!("{start:?}: {kinds:?} on {:?}", stage.calls.paths);
    for (name, most) in &kinds {
        for number in 1.. {
            let mut book = stage.reset();
            let kill = |number| format!("{name}:signal=SIGKILL:when={number}");
            let tracer = stage.tracer.injecting(&stage.calls, &kill(number));
            stage.job(tracer).run(&mut book);
            if book.said("closed") == 1 {
                // How calls share commits differs from run to run, and their number with it.
                assert!(number * 2 > *most, "{name} {number} of {most} was not reached");
                break;
            }
            if random.below(3) == 0 {
                let tracer = stage.tracer.injecting(&stage.calls, &kill(1 + random.below(10)));
                Job::new(&stage.store(), Plan::Recover, 2).with_tracer(tracer).run(&mut book);
                tally.twice += 1;
            }
            stage.check(&mut book, &mut tally, &kill(number));
        }
    }
    tally
}

#[test]
fn a_kill_at_every_write_of_a_run_loses_nothing() {
    let tally = kill_at_each(Start::Existing, |name| !is_sync(name));
    tally.assert_clean("kill at each write");
    assert!(tally.cycles > 20 && tally.twice > 5, "{tally:?}");
}

#[test]
fn a_kill_at_every_sync_of_a_run_loses_nothing() {
    let tally = kill_at_each(Start::Existing, is_sync);
    tally.assert_clean("kill at each sync");
    assert!(tally.cycles > 10, "{tally:?}");
}

#[test]
fn a_kill_at_every_step_of_making_a_store_loses_nothing() {
    let tally = kill_at_each(Start::New, |name| name != "pwrite64");
    tally.assert_clean("kill while a store is made");
    assert!(tally.cycles > 10, "{tally:?}");
}

#[test]
fn a_kill_at_every_write_and_sync_of_a_recovery_loses_nothing() {
    let tally = kill_at_each(Start::Killed, |_| true);
    tally.assert_clean("kill at each call of a recovery");
    assert!(tally.cycles > 5, "{tally:?}");
}

/// What is done to a call.
const NO_ROOM: &str = "error=ENOSPC";
const BROKEN: &str = "error=EIO";

/// Lets each call of some kinds fail once: the store stops, and is whole when it is opened again.
fn fail_at_each(wanted: impl Fn(&str) -> bool, faults: &[&str]) -> Tally {
    let stage = Stage::new(Start::Existing);
    let mut tally = Tally::default();
    let (mut hit, mut stopped) = (0_u64, 0);
    for (name, most) in stage.kinds(wanted) {
        for (number, fault) in (1..=most).zip(faults.iter().cycle()) {
            let mut book = stage.reset();
            let inject = format!("{name}:{fault}:when={number}");
            let tracer = stage.tracer.injecting(&stage.calls, &inject);
            stage.job(tracer.clone()).run(&mut book);
            let at = format!("{inject} {:?}", book.refusals);
            stopped += book.said("stopped") + book.said("refused");
            let seen = tracer.seen();
            hit += u64::from(seen.iter().any(|line| line.contains("(INJECTED)")));
            for again in syncs_again(&seen) {
                tally.wrong += 1;
                tally.faults.push(format!("{at}: synced again: {again}"));
            }
            stage.check(&mut book, &mut tally, &at);
        }
    }
    println!("{stopped} stores stopped or did not open, of {hit} with a call that failed");
    // What fails while a store is being closed stops nobody any more.
    assert!(hit * 2 > tally.cycles && stopped * 10 > hit * 7, "{stopped} of {hit} in {tally:?}");
    tally
}

/// The syncs of a file after one of the same file has failed.
fn syncs_again(seen: &[String]) -> Vec<String> {
    let is_sync = |line: &&String| line.contains("fsync(") || line.contains("fdatasync(");
    let mut syncs = seen.iter().filter(is_sync);
    let Some(failed) = syncs.find(|line| line.contains("(INJECTED)")) else {
        return Vec::new();
    };
    let file = |line: &str| Some(line.split_once('<')?.1.split_once('>')?.0.to_owned());
    let failed = file(failed);
    syncs.filter(|line| file(line) == failed).cloned().collect()
}

#[test]
fn a_sync_that_fails_stops_the_store_and_is_not_tried_again() {
    let tally = fail_at_each(|name| matches!(name, "fsync" | "fdatasync"), &[BROKEN]);
    tally.assert_clean("each sync fails");
    assert!(tally.cycles > 10, "{tally:?}");
}

#[test]
fn a_write_that_fails_stops_the_store_and_loses_nothing() {
    let tally = fail_at_each(|name| !is_sync(name), &[NO_ROOM, BROKEN]);
    tally.assert_clean("each write fails");
    assert!(tally.cycles > 50, "{tally:?}");
}

#[test]
fn a_store_that_finds_no_room_is_not_opened_and_says_so() {
    let stage = Stage::new(Start::Existing);
    let (mut tally, mut refused) = (Tally::default(), 0);
    for (name, most) in stage.kinds(|name| !is_sync(name)) {
        // There is no room from this call on.
        for number in 1..=most {
            let mut book = stage.reset();
            let inject = format!("{name}:{NO_ROOM}:when={number}+");
            let tracer = stage.tracer.injecting(&stage.calls, &inject);
            Job::new(&stage.store(), Plan::Recover, 1).with_tracer(tracer).run(&mut book);
            for refusal in book.refusals.iter().filter(|words| !words.starts_with("refused Full")) {
                tally.wrong += 1;
                tally.fault(format!("{inject}: {refusal}"));
            }
            refused += book.refusals.len();
            stage.check(&mut book, &mut tally, &inject);
            if book.refusals.is_empty() {
                break;
            }
        }
    }
    tally.assert_clean("openings without room");
    assert!(refused > 0, "every opening writes something: {tally:?}");
}

#[test]
fn the_sweep_notices_a_sync_that_is_tried_again() {
    let seen = |file: &str, result: &str| format!("17 fdatasync(3</s/{file}>) = {result}");
    let failed = seen("a", "-1 EIO (Input/output error) (INJECTED)");
    let before = seen("a", "0");
    assert!(syncs_again(&[before.clone(), failed.clone(), seen("b", "0")]).is_empty());
    assert_eq!(syncs_again(&[failed, seen("b", "0"), before.clone()]), [before]);
}

/// Acknowledges before the commit, and lets something happen to one call of a kind after the other.
fn early_with_a_fault_at(call: &str, fault: &str) -> Tally {
    let stage = Stage::new(Start::Existing);
    let mut tally = Tally::default();
    let most = stage.calls.counts[call];
    for number in most / 2..most {
        let mut book = stage.reset();
        let inject = format!("{call}:{fault}:when={number}");
        let tracer = stage.tracer.injecting(&stage.calls, &inject);
        Job::new(&stage.store(), Plan::Early, 1).with_tracer(tracer).run(&mut book);
        stage.check(&mut book, &mut tally, &inject);
        if tally.bad() > 0 {
            break;
        }
    }
    println!("{call}:{fault}: {tally:?}");
    tally
}

#[test]
fn the_sweep_notices_an_acknowledgement_before_the_commit() {
    assert!(early_with_a_fault_at("fdatasync", "signal=SIGKILL").bad() > 0);
}

#[test]
fn the_sweep_notices_an_acknowledgement_whose_commit_failed() {
    assert!(early_with_a_fault_at("pwrite64", NO_ROOM).bad() > 0);
}
