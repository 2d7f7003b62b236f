//! What is on a host's disk before something rests on it: a cut of the power takes all that was not synced.

use std::fs;

use deploy_core::model::{HostStatus, Monitor, RollbackTarget};
use deploy_core::{Executor, Fact, FailureCode, LocalConnector, Step};
use tempfile::TempDir;

use super::fixture::{Host, Package, Watched, one};
use super::stopping::{Silent, kill_program};
use super::tools::{NEEDED, add, tools};
use super::undoing::{undo, undone, with_releases};

/// A host whose `sync` is a script of the test's, which has its real name in `$sync`.
fn syncing(script: &str) -> (Host, TempDir) {
    let names: Vec<_> = NEEDED.iter().copied().filter(|name| *name != "sync").collect();
    let tools = tools(&[&names[..], &["sha256sum"]].concat());
    add(&tools, "sync", &format!("#!/bin/sh\nsync=/usr/bin/sync\n{script}\n"));
    let mut host = Host::new("dash", false);
    host.connector = LocalConnector::new().variable("PATH", tools.path());
    (host, tools)
}

#[tokio::test]
async fn a_lock_that_is_not_on_the_disk_takes_the_place_of_none() {
    let host = Host::new("dash", false);
    let package = Package::version("one");
    host.deploy(&package, &host.task("d2", 20, &package)).await;
    // One that gets the lock and goes no further.
    let executor = host.executor(&package).free_space(1 << 60).build();
    let task = host.task("d3", 30, &package);
    let full = one(executor.execute(Watched::new(&task).cx, task).await.unwrap());
    assert_eq!(full.failure.unwrap().code, FailureCode::HostFull);
    // And one that finds nothing to do.
    let task = undo(&host, "d1", RollbackTarget::LastGood, 40);
    assert_eq!(undone(&host, &task, &Watched::new(&task)).await.status, HostStatus::RolledBack);
    // Neither had to wait for the disk, so the power takes what they wrote.
    for number in [2, 3] {
        fs::write(host.root.join(format!(".deploy/lock.{number}")), "").unwrap();
    }
    let result = host.deploy(&package, &host.task("d1", 10, &package)).await;
    let failure = result.failure.unwrap();
    assert!(failure.message.contains("its number is 20, ours 10"), "{failure}");
    assert_eq!(host.current().as_deref(), Some("d2"));
}

#[tokio::test]
async fn what_a_killed_program_did_is_on_the_disk_before_it_counts_as_done() {
    let (host, tools) = syncing("echo \"$*\" >>\"${0%/*}/synced\"\nexec $sync \"$@\"");
    with_releases(&host, &["d1"]).await;
    let package = Package::version("two");
    let mut task = host.task("d2", 2, &package);
    task.monitor = Some(Monitor::new("http://h/").unwrap());
    let watched = Watched::new(&task);
    let kill = async {
        watched.until(|f| matches!(f, Fact::StepStarted { step: Step::Probe, .. })).await;
        kill_program(&host);
    };
    let executor = host.executor(&package).prober(Silent).build();
    let (report, ()) = tokio::join!(executor.execute(watched.cx.clone(), task.clone()), kill);
    assert_eq!(one(report.unwrap()).status, HostStatus::Unknown);
    host.until_nothing_runs().await;
    // The switch may be all that it did, and the word that the release is good.
    task.monitor = None;
    for state in ["complete", "good"] {
        let mark = host.root.join(".deploy/marks/d2");
        fs::write(&mark, format!("{}state {state}\n", fs::read_to_string(&mark).unwrap())).unwrap();
        fs::remove_file(tools.path().join("synced")).unwrap();
        assert_eq!(host.deploy(&package, &task).await.status, HostStatus::Succeeded);
        let synced = fs::read_to_string(tools.path().join("synced")).unwrap();
        let words = format!("{} {}", mark.display(), host.root.display());
        assert!(synced.lines().any(|line| line.ends_with(&words)), "{state}: {synced}");
    }
    // The same of a rollback.
    let mut task = undo(&host, "d2", RollbackTarget::LastGood, 9);
    task.monitor = Some(Monitor::new("http://h/").unwrap());
    let watched = Watched::new(&task);
    let kill = async {
        watched.until(|f| matches!(f, Fact::StepStarted { step: Step::Probe, .. })).await;
        kill_program(&host);
    };
    let executor = host.executor_without_packages().prober(Silent).build();
    let (report, ()) = tokio::join!(executor.execute(watched.cx.clone(), task.clone()), kill);
    assert_eq!(one(report.unwrap()).status, HostStatus::Unknown);
    fs::remove_file(tools.path().join("synced")).unwrap();
    task.monitor = None;
    assert_eq!(undone(&host, &task, &Watched::new(&task)).await.status, HostStatus::RolledBack);
    let synced = fs::read_to_string(tools.path().join("synced")).unwrap();
    let root = format!(" {}", host.root.display());
    assert!(synced.lines().any(|line| line.ends_with(&root)), "{synced}");
}

#[tokio::test]
async fn a_disk_that_takes_no_release_is_not_taken_for_an_old_sync() {
    // The release, the switch, and the lock with the first mark.
    for (fails, status) in [
        ("*releases/d2", HostStatus::Failed),
        ("*app\\ *marks/d2", HostStatus::RolledBack),
        ("*lock.2\\ *marks/d2*", HostStatus::Failed),
    ] {
        let broken = "echo 'sync: error syncing: Input/output error' >&2; exit 1";
        let script = format!("case $* in {fails}) {broken} ;; esac\nexec $sync \"$@\"");
        let (host, _tools) = syncing(&script);
        with_releases(&host, &["d1"]).await;
        let package = Package::version("two");
        let result = host.deploy(&package, &host.task("d2", 2, &package)).await;
        assert_eq!(result.status, status, "{fails}: {result:?}");
        assert_eq!(result.failure.unwrap().code, FailureCode::HostFailed, "{fails}");
        assert_eq!(host.current().as_deref(), Some("d1"));
        host.assert_tidy();
    }
}

#[tokio::test]
async fn a_sync_that_takes_no_paths_writes_everything() {
    let script = "echo \"$*\" >>\"${0%/*}/synced\"\n[ $# = 0 ] || exit 1\nexec $sync";
    let (host, tools) = syncing(script);
    with_releases(&host, &["d1"]).await;
    let synced = fs::read_to_string(tools.path().join("synced")).unwrap();
    assert_eq!(synced.lines().filter(|line| line.is_empty()).count(), 4, "{synced}");
}
