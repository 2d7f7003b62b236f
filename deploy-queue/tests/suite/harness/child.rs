//! The child process: what it was told to do, and how it says what it did.

use std::io::{BufRead, Write};
use std::sync::Arc;

use deploy_queue::{DiskStore, FailAction, QueueConfig, set_fail_point, set_log_limit};

use super::load::Actor;
use super::process::{CYCLE, FAIL_POINT, PLAN, Plan, STORE};

/// The child, when it was started as one.
#[test]
fn child() {
    let Ok(path) = std::env::var(STORE) else {
        return;
    };
    let plan = Plan::named(&std::env::var(PLAN).unwrap());
    let cycle = std::env::var(CYCLE).unwrap();
    say(&format!("pid {}", std::process::id()));
    let mut builder = match plan {
        Plan::Load | Plan::Early => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    // Long enough for some commits, so that the log begins anew in the middle of a short run.
    set_log_limit(2048);
    let runtime = builder.worker_threads(2).enable_time().build().unwrap();
    if let Ok(point) = std::env::var(FAIL_POINT) {
        arm(&point);
    }
    runtime.block_on(async {
        say("opening");
        let store = match DiskStore::open(&path, QueueConfig::new()).await {
            Ok(store) => store,
            Err(error) => return say(&format!("refused {error:?}")),
        };
        say("open");
        let actor = Actor { store: Arc::new(store), cycle, early: plan == Plan::Early };
        match plan {
            Plan::Load | Plan::Early => actor.load().await,
            Plan::Script | Plan::Twice => actor.script().await,
            Plan::Recover => {}
            Plan::Hold => {
                // Until the parent closes its end.
                let _ = std::io::stdin().lock().read_line(&mut String::new());
            }
        }
        actor.store.close().await;
        say("closed");
        // What has failed can be opened again by the same process.
        drop(actor);
        if plan == Plan::Twice {
            match DiskStore::open(&path, QueueConfig::new()).await {
                Ok(_) => say("again"),
                Err(error) => say(&format!("wrong {error:?}, the second time")),
            }
        }
    });
}

/// Sets a fail point: its name, at which time it is reached, and what happens then.
fn arm(point: &str) {
    let [name, times, action] = point.split(' ').collect::<Vec<_>>()[..] else {
        panic!("no such fail point: {point}");
    };
    let action = if action == "panic" { FailAction::Panic } else { FailAction::Abort };
    set_fail_point(name, times.parse().unwrap(), action);
}

/// Says a word, in one write, so that a kill cuts between words.
pub(super) fn say(word: &str) {
    std::io::stderr().write_all(format!("@{word}\n").as_bytes()).unwrap();
}
