//! Installations that are killed: before one command of the program after another.

use std::fs;
use std::process::Command;

use deploy_core::LocalConnector;
use deploy_core::model::{HostStatus, ReleaseTask};

use super::fixture::{Host, Package, Watched, hook};

/// Ends the program, with everything in its group, before its command number `$AT`.
const DEADLY: &str =
    "set -T; n=0; trap '[ $((n += 1)) -ne $AT ] || kill -KILL 0' DEBUG; eval \"$2\"";

/// Between two commands that are tried: all of them, some 1,500, take minutes.
const STRIDE: usize = 13;

fn task(host: &Host, id: &str, number: u64, package: &Package) -> ReleaseTask {
    let mut task = host.task(id, number, package);
    task.release.shared = vec!["log".parse().unwrap()];
    task.release.hooks.before_switch = vec![hook("echo ready >ready")];
    task
}

/// Installs d2, which the host may have already, and kills the program; what it serves is always whole,
/// and the next attempt does what there is to do.
async fn is_recovered_from(ids: &[&str], from: usize) {
    let package = Package::version("two");
    let whole = Host::new("dash", false);
    for (number, id) in (1..).zip(ids) {
        let result = whole.deploy(&package, &task(&whole, id, number, &package)).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
    }
    let mut serves = [false; 2];
    for at in (from..).step_by(STRIDE) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("app");
        let copied = Command::new("cp").arg("-a").arg(&whole.root).arg(&root).status();
        assert!(copied.unwrap().success());
        let mut host = Host::at(dir, root, "dash", false);
        let steady = host.connector.clone();
        let connector = LocalConnector::new().variable("AT", at.to_string());
        host.connector = connector.shell(["bash", "-c", DEADLY, "deadly"]);
        let mut task = task(&host, "d2", 9, &package);
        task.release.hooks.after_switch = vec![hook("echo hook >>../../hooks")];
        let result = host.deploy(&package, &task).await;
        if result.status == HostStatus::Succeeded {
            assert!(at > 500, "it took no more than {at} commands");
            break;
        }
        assert_eq!(result.status, HostStatus::Unknown, "{at}: {result:?}");
        assert_eq!(host.read("current/version"), "two", "{at}");
        serves[usize::from(host.current().as_deref() == Some("d2"))] = true;
        host.connector = steady;
        let mut again = Watched::new(&task);
        again.cx.attempt = 2;
        let result = host.deploy_watched(&package, &task, &again).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{at}: {result:?}");
        assert_eq!(host.current().as_deref(), Some("d2"), "{at}");
        assert_eq!(host.read("current/ready"), "ready\n", "{at}");
        assert!(host.root.join("hooks").exists(), "{at}: the hook was left out");
        assert!(fs::symlink_metadata(host.root.join("current/log")).unwrap().is_symlink(), "{at}");
        assert_eq!((host.state("d1"), host.state("d2")), ("good".into(), "good".into()), "{at}");
        host.history();
        host.assert_tidy();
    }
    assert_eq!(serves, [true; 2], "it was killed before the switch and after it");
}

#[tokio::test]
async fn a_release_that_is_killed_before_any_command_is_recovered_from() {
    is_recovered_from(&["d1"], 1).await;
}

#[tokio::test]
async fn a_release_that_comes_again_and_is_killed_before_any_command_is_recovered_from() {
    is_recovered_from(&["d0", "d2", "d1"], 7).await;
}
