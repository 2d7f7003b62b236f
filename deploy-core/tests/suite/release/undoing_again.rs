//! Rollbacks that are interrupted: by a kill at any point, by a lost connection, by a cancel.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use deploy_core::model::{HostStatus, RollbackTarget};
use deploy_core::{Executor, Fact, LocalConnector, ReleaseExecutor, Step};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::fixture::{Host, Package, Reached, Watched, hook, one};
use super::stopping::{Lossy, kill_program};
use super::tools;
use super::undoing::{undo, undone, with_releases};

/// The hook that holds a rollback for ever, the first time.
const HELD: &str = "echo started; [ -e ../../again ] || { echo $$ >../../again; sleep 600; }";

on_every_host! {
    a_program_that_is_killed_in_a_hook_is_taken_up(host) {
        with_releases(&host, &["a", "b"]).await;
        let mut task = undo(&host, "b", RollbackTarget::LastGood, 9);
        task.release.hooks.after_switch = vec![hook(HELD)];
        let watched = Watched::new(&task);
        let kill = async {
            watched.until_output("started\n").await;
            kill_program(&host);
        };
        let (result, ()) = tokio::join!(undone(&host, &task, &watched), kill);
        assert_eq!(result.status, HostStatus::Unknown, "{result:?}");
        assert_eq!(host.read("current/version"), "a");
        host.until_nothing_runs().await;
        let mut again = Watched::new(&task);
        again.cx.attempt = 2;
        let result = undone(&host, &task, &again).await;
        assert_eq!((result.status, result.serves.unwrap().as_str()), (HostStatus::RolledBack, "a"));
        assert_eq!(again.output(), "started\n");
        assert!(!host.root.join(".deploy/undo").exists());
        host.assert_tidy();
    }

    a_host_whose_connection_is_lost_goes_back_to_the_end_by_itself(host) {
        with_releases(&host, &["a", "b"]).await;
        let mut task = undo(&host, "b", RollbackTarget::LastGood, 9);
        task.release.hooks.after_switch = vec![hook("echo started; sleep 2; echo done >done")];
        let watched = Watched::new(&task);
        let cut = Arc::new(Notify::new());
        let lose = async {
            watched.until_output("started\n").await;
            cut.notify_one();
        };
        let reached = Reached { connector: host.connector.clone(), in_process: host.in_process };
        let lossy = Lossy { reached, cut: cut.clone() };
        let executor = ReleaseExecutor::builder(lossy, Package::version("gone").verifier()).build();
        let (report, ()) = tokio::join!(executor.execute(watched.cx.clone(), task.clone()), lose);
        assert_eq!(one(report.unwrap()).status, HostStatus::Unknown);
        // The session of the test waits for the program.
        assert_eq!(host.read("current/done"), "done\n");
        assert_eq!(host.history().pop().unwrap()["outcome"], "rolled_back");
        let mut again = Watched::new(&task);
        again.cx.attempt = 2;
        let result = undone(&host, &task, &again).await;
        assert_eq!((result.status, again.output().as_str()), (HostStatus::RolledBack, ""));
        host.assert_tidy();
    }

    a_cancel_ends_the_hooks_and_the_next_attempt_goes_on(host) {
        with_releases(&host, &["a", "b"]).await;
        let mut task = undo(&host, "b", RollbackTarget::LastGood, 9);
        task.release.hooks.after_switch = vec![hook(HELD)];
        let watched = Watched::new(&task);
        let cancel = async {
            watched.until_output("started\n").await;
            watched.cx.cancel.cancel("enough");
        };
        let (result, ()) = tokio::join!(undone(&host, &task, &watched), cancel);
        assert_eq!((result.status, result.serves.unwrap().as_str()), (HostStatus::Cancelled, "a"));
        assert_eq!(result.failure.unwrap().message, "enough");
        let pid = host.read("again");
        assert!(!Path::new("/proc").join(pid.trim()).exists());
        let again = Watched::new(&task);
        let result = undone(&host, &task, &again).await;
        assert_eq!((result.status, again.output().as_str()), (HostStatus::RolledBack, "started\n"));
        host.assert_tidy();
    }
}

/// The tools that a rollback changes the host with, or waits for, or asks.
const COUNTED: [&str; 8] = ["date", "ln", "mkdir", "mv", "readlink", "rm", "sync", "wc"];

/// Tools of which the one that is called as number `$AT` ends the program, with everything in its group,
/// before or after it has done its work.
fn deadly_tools(when: &str) -> TempDir {
    let plain: Vec<_> =
        tools::NEEDED.iter().filter(|name| !COUNTED.contains(name)).copied().collect();
    let dir = tools::tools(&plain);
    for name in COUNTED {
        let (before, after) = match when {
            "before" => ("kill -KILL 0", ":"),
            _ => (":", "kill -KILL 0"),
        };
        let text = format!(
            "#!/bin/sh\nn=$(/bin/cat \"$COUNT\"); n=$((n + 1)); echo $n >\"$COUNT\"\n\
             [ $n != \"$AT\" ] || {before}\n/usr/bin/{name} \"$@\"; s=$?\n\
             [ $n != \"$AT\" ] || {after}\nexit $s\n"
        );
        tools::add(&dir, name, &text);
    }
    dir
}

/// Kills the program at its every call of a tool, one after another; and the next attempt finishes what
/// there was to be done.
#[tokio::test]
async fn a_program_that_is_killed_at_any_point_is_taken_up_and_current_is_always_whole() {
    let whole = Host::new("dash", false);
    with_releases(&whole, &["a", "b"]).await;
    let mut points = BTreeSet::new();
    for when in ["before", "after"] {
        let tools = deadly_tools(when);
        for at in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("app");
            let copied = Command::new("cp").arg("-a").arg(&whole.root).arg(&root).status();
            assert!(copied.unwrap().success());
            let count = dir.path().join("count");
            fs::write(&count, "0\n").unwrap();
            let mut host = Host::at(dir, root, "dash", false);
            let steady = host.connector.clone();
            host.connector = LocalConnector::new()
                .variable("PATH", tools.path())
                .variable("COUNT", &count)
                .variable("AT", at.to_string());
            let mut task = undo(&host, "b", RollbackTarget::LastGood, 9);
            task.release.hooks.after_switch = vec![hook("echo hook >>../../hooks")];
            let result = undone(&host, &task, &Watched::new(&task)).await;
            if result.status == HostStatus::RolledBack {
                assert!(at > 10, "it took more than {at} calls");
                break;
            }
            assert_eq!(result.status, HostStatus::Unknown, "{when} {at}: {result:?}");
            let current = host.current().unwrap();
            assert_eq!(host.read("current/version"), current, "{when} {at}");
            points.insert((when, current));
            host.connector = steady;
            let mut again = Watched::new(&task);
            again.cx.attempt = 2;
            let result = undone(&host, &task, &again).await;
            assert_eq!(result.status, HostStatus::RolledBack, "{when} {at}: {result:?}");
            assert_eq!(host.current().unwrap(), "a", "{when} {at}");
            assert!(host.root.join("hooks").exists(), "{when} {at}: the hook was left out");
            assert!(host.read(".deploy/marks/b").contains("state failed"), "{when} {at}");
            assert!(!host.root.join(".deploy/undo").exists(), "{when} {at}");
            host.assert_tidy();
        }
    }
    assert_eq!(points.len(), 4, "it was killed before the switch and after it: {points:?}");
}

/// The steps of a rollback that is taken up say so.
#[tokio::test]
async fn what_is_taken_up_is_said() {
    let host = Host::new("dash", true);
    with_releases(&host, &["a", "b"]).await;
    let mut task = undo(&host, "b", RollbackTarget::LastGood, 9);
    task.release.hooks.after_switch = vec![hook("exit 1")];
    undone(&host, &task, &Watched::new(&task)).await;
    let watched = Watched::new(&task);
    undone(&host, &task, &watched).await;
    let note = watched.facts().into_iter().find_map(|fact| match fact {
        Fact::StepFinished { step: Step::Lock, note, .. } => note,
        _ => None,
    });
    assert_eq!(note.as_deref(), Some("taking up what was interrupted"));
}
