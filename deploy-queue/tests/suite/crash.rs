//! A process that is killed with -9 under load loses nothing that it acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::TaskId;
use deploy_core::{Journal, Queue, QueueAdmin, Sequence, Settlement, TaskRecord};
use deploy_queue::{DiskStore, QueueConfig};
use deploy_testkit::{VirtualClock, samples};

/// Names the store to the child; without it the child's test has nothing to do.
const STORE: &str = "DEPLOY_QUEUE_CRASH_STORE";
/// What the child is to do: `recover`, `honest` or `early` (acknowledge before it is true).
const MODE: &str = "DEPLOY_QUEUE_CRASH_MODE";
/// The number of the cycle, for ids that are used once.
const CYCLE: &str = "DEPLOY_QUEUE_CRASH_CYCLE";

const CYCLES: u64 = 40;

/// What a child said before it was killed.
#[derive(Debug, Default)]
struct Word {
    pushed: BTreeSet<String>,
    claimed: Vec<String>,
    done: BTreeSet<String>,
    appended: BTreeMap<String, u64>,
}

/// What the cycles came to.
#[derive(Debug, Default)]
struct Tally {
    cycles: u64,
    killed_while_recovering: u64,
    acknowledged: usize,
    lost: usize,
    duplicated: usize,
}

/// The child: pushes, claims, settles and appends as fast as it can, and says what was acknowledged.
#[test]
fn child_process() {
    let Ok(path) = std::env::var(STORE) else {
        return;
    };
    let (mode, cycle) = (std::env::var(MODE).unwrap(), std::env::var(CYCLE).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        say("opening");
        let store = Arc::new(DiskStore::open(path, QueueConfig::new()).await.unwrap());
        say("open");
        let early = mode == "early";
        for lane in 0..4 {
            tokio::spawn(push_and_append(
                Arc::clone(&store),
                format!("{cycle}-{lane}"),
                early,
            ));
        }
        for _ in 0..2 {
            tokio::spawn(work(Arc::clone(&store), early));
        }
        std::future::pending::<()>().await;
    });
}

async fn push_and_append(store: Arc<DiskStore>, lane: String, early: bool) {
    let journal = samples::task_id(&format!("journal-{lane}"));
    let now = deploy_core::model::Timestamp::now();
    for number in 1.. {
        let id = format!("task-{lane}-{number}");
        let task = TaskRecord::new(samples::task_id(&id), "work", vec![7; 300]);
        if early {
            say(&format!("pushed {id}"));
        }
        store.push(task).await.unwrap();
        if !early {
            say(&format!("pushed {id}"));
        }
        let event = if number == 1 {
            samples::accepted(&journal, now, samples::request(samples::package(b"bytes")))
        } else {
            samples::progress(&journal, number, now)
        };
        store.append(vec![event]).await.unwrap();
        say(&format!("appended {journal} {number}"));
    }
}

async fn work(store: Arc<DiskStore>, early: bool) {
    loop {
        let claim = store
            .claim("worker".to_owned(), vec![], Duration::from_secs(60))
            .await;
        let claim = claim.unwrap();
        let id = claim.task.id;
        say(&format!("claimed {id}"));
        if early {
            say(&format!("done {id}"));
        }
        store.settle(claim.token, Settlement::Done).await.unwrap();
        if !early {
            say(&format!("done {id}"));
        }
    }
}

fn say(word: &str) {
    // One write for each word, so that a kill cuts between words.
    std::io::stderr()
        .write_all(format!("@{word}\n").as_bytes())
        .unwrap();
}

/// Runs a child until it has said so many words, kills it, and gives what it said.
fn run_and_kill(path: &Path, mode: &str, cycle: u64, words: usize, delay: Duration) -> Word {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "crash::child_process",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(STORE, path)
        .env(MODE, mode)
        .env(CYCLE, cycle.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut word = Word::default();
    let mut killed = false;
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = 0;
    for line in lines.map_while(Result::ok) {
        let Some(line) = line.strip_prefix('@') else {
            panic!("the child failed: {line}");
        };
        said += 1;
        if said >= words && !killed {
            // Not to wait for anything: the kill is to come at any point of what follows the word.
            std::thread::sleep(delay);
            // What it says until the signal arrives was acknowledged, too.
            child.kill().unwrap();
            killed = true;
        }
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["pushed", id] => drop(word.pushed.insert(id.to_owned())),
            ["claimed", id] => word.claimed.push(id.to_owned()),
            ["done", id] => drop(word.done.insert(id.to_owned())),
            ["appended", task, number] => {
                word.appended
                    .insert(task.to_owned(), number.parse().unwrap());
            }
            _ => {}
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself");
    word
}

/// Kills children at points that a fixed seed chooses, and counts what they lose.
fn cycles(path: &Path, mode: &str, cycles: u64) -> Tally {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut tally = Tally::default();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = |sides: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % sides
    };
    for cycle in 0..cycles {
        let word = run_and_kill(
            path,
            mode,
            cycle,
            2 + usize::try_from(roll(400)).unwrap(),
            Duration::ZERO,
        );
        tally.cycles += 1;
        if roll(10) < 4 {
            // The first word is said before the store is opened, which takes about 10 ms.
            run_and_kill(
                path,
                "recover",
                1_000_000 + cycle,
                1,
                Duration::from_micros(roll(12_000)),
            );
            tally.killed_while_recovering += 1;
        }
        runtime.block_on(check(path, &word, &mut tally));
    }
    tally
}

/// Opens the store and counts what is not as the child said.
async fn check(path: &Path, word: &Word, tally: &mut Tally) {
    let config = QueueConfig::new().with_clock(Arc::new(VirtualClock::new()));
    let store = DiskStore::open(path, config).await.unwrap();
    tally.acknowledged += word.pushed.len() + word.done.len() + word.appended.len();
    for id in &word.pushed {
        let found = store.find(id.parse::<TaskId>().unwrap()).await.unwrap();
        // A task that was claimed may be done without a word of it.
        if found.is_none() && !word.claimed.contains(id) {
            tally.lost += 1;
        }
    }
    for id in &word.done {
        if store
            .find(id.parse::<TaskId>().unwrap())
            .await
            .unwrap()
            .is_some()
        {
            tally.duplicated += 1;
        }
    }
    for (task, number) in &word.appended {
        let task = task.parse::<TaskId>().unwrap();
        let events = store.read(task, Sequence::START, usize::MAX).await.unwrap();
        if (events.len() as u64) < *number {
            tally.lost += 1;
        }
    }
    let claims = word.claimed.iter().collect::<BTreeSet<_>>().len();
    tally.duplicated += word.claimed.len() - claims;
    store.close().await;
}

#[test]
fn what_was_acknowledged_survives_kill_dash_nine_also_during_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let tally = cycles(directory.path(), "honest", CYCLES);
    println!("{tally:?}");
    assert!(
        tally.killed_while_recovering * 10 >= CYCLES * 3,
        "{tally:?}"
    );
    assert!(tally.acknowledged > 1000, "{tally:?}");
    assert_eq!((tally.lost, tally.duplicated), (0, 0), "{tally:?}");
}

#[test]
fn the_crash_test_catches_an_acknowledgement_before_the_commit() {
    let directory = tempfile::tempdir().unwrap();
    let tally = cycles(directory.path(), "early", 10);
    println!("{tally:?}");
    assert!(tally.lost + tally.duplicated > 0, "{tally:?}");
}
