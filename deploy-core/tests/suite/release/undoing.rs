//! Going back to a release that the host has: to which one, when there is none, and what it leaves.

use std::fs;

use deploy_core::model::{HostResult, HostStatus, ReleaseAction, ReleaseTask, RollbackTarget};
use deploy_core::{Executor, FailureCode};

use super::fixture::{Host, Package, Watched, hook, one};

/// The task that undoes a release; its fencing number is `number`.
pub(crate) fn undo(host: &Host, release: &str, to: RollbackTarget, number: u64) -> ReleaseTask {
    let release = release.parse().unwrap();
    // The package is one that nobody has.
    let task = host.task(&format!("u{number}"), number, &Package::version("gone"));
    task.with_action(ReleaseAction::Rollback { release, to })
}

/// Carries it out with a verifier that has nothing.
pub(crate) async fn undone(host: &Host, task: &ReleaseTask, watched: &Watched) -> HostResult {
    let executor = host.executor_without_packages().build();
    one(executor.execute(watched.cx.clone(), task.clone()).await.unwrap())
}

async fn undo_now(host: &Host, release: &str, to: RollbackTarget, number: u64) -> HostResult {
    let task = undo(host, release, to, number);
    undone(host, &task, &Watched::new(&task)).await
}

/// Installs releases that say their own ids.
pub(crate) async fn with_releases(host: &Host, ids: &[&str]) {
    for (number, id) in ids.iter().enumerate() {
        let package = Package::version(id);
        let result = host.deploy(&package, &host.task(id, number as u64 + 1, &package)).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
    }
}

fn assert_serves(host: &Host, result: &HostResult, release: &str) {
    assert_eq!(result.status, HostStatus::RolledBack, "{result:?}");
    assert_eq!(result.failure, None);
    assert_eq!(result.serves.as_ref().unwrap().as_str(), release);
    assert_eq!(host.current().unwrap(), release);
    assert_eq!(host.read("current/version"), release);
    assert!(!host.root.join(".deploy/undo").exists());
    host.assert_tidy();
}

on_every_host! {
    the_last_good_release_is_served_again_without_its_package(host) {
        with_releases(&host, &["z", "b", "y"]).await;
        let mut task = undo(&host, "y", RollbackTarget::LastGood, 9);
        let say = "echo \"$DEPLOY_ROLLBACK $DEPLOY_RELEASE after $DEPLOY_PREVIOUS_RELEASE: $(cat version)\"; pwd";
        task.release.hooks.before_switch = vec![hook("exit 1")];
        task.release.hooks.after_switch = vec![hook(say)];
        let watched = Watched::new(&task);
        let result = undone(&host, &task, &watched).await;
        assert_serves(&host, &result, "b");
        let directory = fs::canonicalize(host.root.join("releases/b")).unwrap();
        assert_eq!(watched.output(), format!("1 b after y: b\n{}\n", directory.display()));
        let steps = ["connect", "lock", "switch", "after_switch"];
        let expected: Vec<_> = steps.iter().flat_map(|s| [format!("+{s}"), format!("-{s}")]).collect();
        assert_eq!(watched.steps(), expected);
        assert_eq!((host.state("y"), host.state("b")), ("failed".to_owned(), "good".to_owned()));
        let line = host.history().pop().unwrap();
        for (key, value) in [
            ("action", "rollback"), ("release", "y"), ("to", "last_good"), ("target", "b"),
            ("outcome", "rolled_back"), ("deployment", "u9"), ("task", "u9.1"),
        ] {
            assert_eq!(line[key], value, "{line}");
        }
    }

    what_was_undone_is_never_gone_back_to(host) {
        with_releases(&host, &["z", "b", "y"]).await;
        assert_serves(&host, &undo_now(&host, "y", RollbackTarget::LastGood, 9).await, "b");
        // Once more is done already, whatever it asks for.
        assert_serves(&host, &undo_now(&host, "y", RollbackTarget::Previous, 10).await, "b");
        assert_serves(&host, &undo_now(&host, "b", RollbackTarget::LastGood, 11).await, "z");
        let result = undo_now(&host, "z", RollbackTarget::LastGood, 12).await;
        let failure = result.failure.unwrap();
        assert_eq!((result.status, failure.code), (HostStatus::Failed, FailureCode::ReleaseMissing));
        assert_eq!(failure.message, "the host has no good release from before z; beside z it has b (failed), y (failed)");
        for to in [RollbackTarget::Previous, RollbackTarget::Release("y".parse().unwrap())] {
            let result = undo_now(&host, "z", to, 13).await;
            assert_eq!(result.failure.unwrap().code, FailureCode::ReleaseMissing);
        }
        assert_eq!(host.current().unwrap(), "z");
        assert_eq!(host.state("z"), "good");
        host.assert_tidy();
    }

    only_releases_from_before_the_undone_one_are_the_last_good_one(host) {
        with_releases(&host, &["a", "b", "c"]).await;
        assert_serves(&host, &undo_now(&host, "c", RollbackTarget::Release("a".parse().unwrap()), 9).await, "a");
        // b is good, but newer than what is undone now.
        let result = undo_now(&host, "a", RollbackTarget::LastGood, 10).await;
        assert_eq!(result.failure.unwrap().code, FailureCode::ReleaseMissing);
        assert_serves(&host, &undo_now(&host, "a", RollbackTarget::Release("b".parse().unwrap()), 11).await, "b");
    }

    releases_keep_their_order_when_somebody_removes_the_locks(host) {
        with_releases(&host, &["a", "b"]).await;
        fs::remove_file(host.root.join(".deploy/lock.2")).unwrap();
        with_releases(&host, &["c"]).await;
        assert_serves(&host, &undo_now(&host, "c", RollbackTarget::LastGood, 9).await, "b");
    }

    the_release_before_may_be_unproven_and_proves_itself(host) {
        with_releases(&host, &["a", "b", "c"]).await;
        // As a node that died between the switch and the end leaves it.
        let path = host.root.join(".deploy/marks/b");
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("state good", "state complete")).unwrap();
        let result = undo_now(&host, "c", RollbackTarget::Previous, 9).await;
        assert_serves(&host, &result, "b");
        assert_eq!(host.state("b"), "good");
    }

    the_last_good_release_is_not_the_unproven_one(host) {
        with_releases(&host, &["a", "b", "c"]).await;
        let path = host.root.join(".deploy/marks/b");
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("state good", "state complete")).unwrap();
        assert_serves(&host, &undo_now(&host, "c", RollbackTarget::LastGood, 9).await, "a");
        assert_eq!(host.state("b"), "complete");
    }

    a_release_without_its_directory_is_not_gone_back_to(host) {
        with_releases(&host, &["a", "b", "c"]).await;
        fs::remove_dir_all(host.root.join("releases/b")).unwrap();
        assert_serves(&host, &undo_now(&host, "c", RollbackTarget::LastGood, 9).await, "a");
    }

    what_has_to_be_whole_and_is_not_is_named(host) {
        with_releases(&host, &["a", "b"]).await;
        let before = host.names(".deploy/marks");
        for (number, to, words) in [
            (9, RollbackTarget::Release("x".parse().unwrap()), "not the release x as a whole that has not failed; beside b it has a (good)"),
            (10, RollbackTarget::Release("b".parse().unwrap()), "not the release b as a whole"),
        ] {
            let result = undo_now(&host, "b", to, number).await;
            assert_eq!((result.status, result.serves.unwrap().as_str()), (HostStatus::Failed, "b"));
            let failure = result.failure.unwrap();
            assert_eq!(failure.code, FailureCode::ReleaseMissing);
            assert!(failure.message.contains(words), "{failure}");
        }
        assert_eq!((host.current().unwrap().as_str(), host.names(".deploy/marks")), ("b", before));
        let line = host.history().pop().unwrap();
        assert_eq!((&line["outcome"], &line["failure"]), (&"failed".into(), &"release_missing".into()));
    }

    a_host_that_serves_something_else_is_left_as_it_is(host) {
        let nothing = undo_now(&host, "a", RollbackTarget::LastGood, 1).await;
        assert_eq!((nothing.status, nothing.serves), (HostStatus::RolledBack, None));
        assert!(!host.root.exists());
        with_releases(&host, &["a", "b"]).await;
        let lines = host.history().len();
        let mut task = undo(&host, "a", RollbackTarget::LastGood, 9);
        task.release.hooks.after_switch = vec![hook("echo started")];
        let watched = Watched::new(&task);
        let result = undone(&host, &task, &watched).await;
        assert_serves(&host, &result, "b");
        assert_eq!((watched.output().as_str(), host.history().len()), ("", lines));
        assert_eq!(host.state("a"), "good");
    }

    a_hook_that_fails_is_no_rollback_and_nothing_goes_forward(host) {
        with_releases(&host, &["a", "b"]).await;
        let mut task = undo(&host, "b", RollbackTarget::LastGood, 9);
        task.release.hooks.after_switch = vec![hook("echo broken; exit 3")];
        task.release.hooks.on_failure = vec![hook("echo \"alarm in $DEPLOY_RELEASE\"")];
        let watched = Watched::new(&task);
        let result = undone(&host, &task, &watched).await;
        assert_eq!((result.status, result.serves.unwrap().as_str()), (HostStatus::Failed, "a"));
        let failure = result.failure.unwrap();
        assert_eq!((failure.code, failure.output.as_deref()), (FailureCode::HookFailed, Some("broken\n")));
        assert_eq!(watched.output(), "broken\nalarm in a\n");
        assert_eq!((host.read("current/version"), host.state("b")), ("a".to_owned(), "failed".to_owned()));
        host.assert_tidy();
        // The same again does what did not come to its end.
        task.release.hooks.after_switch = vec![hook("echo mended")];
        task.id = "u10.1".parse().unwrap();
        let watched = Watched::new(&task);
        let result = undone(&host, &task, &watched).await;
        assert_serves(&host, &result, "a");
        assert_eq!(watched.output(), "mended\n");
    }

    another_target_may_be_tried_when_the_first_one_failed(host) {
        with_releases(&host, &["a", "b", "c"]).await;
        let mut task = undo(&host, "c", RollbackTarget::LastGood, 9);
        task.release.hooks.after_switch = vec![hook("exit 3")];
        let result = undone(&host, &task, &Watched::new(&task)).await;
        assert_eq!((result.status, host.current().unwrap().as_str()), (HostStatus::Failed, "b"));
        let result = undo_now(&host, "c", RollbackTarget::Release("a".parse().unwrap()), 10).await;
        assert_serves(&host, &result, "a");
    }

    an_installation_ends_a_rollback_that_did_not_come_to_its_end(host) {
        with_releases(&host, &["a", "b"]).await;
        let mut task = undo(&host, "b", RollbackTarget::LastGood, 9);
        task.release.hooks.after_switch = vec![hook("exit 3")];
        undone(&host, &task, &Watched::new(&task)).await;
        assert!(host.read(".deploy/undo").contains("target a"));
        // As if the power had been lost right after the switch.
        let path = host.root.join(".deploy/marks/b");
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("state failed", "state good")).unwrap();
        let package = Package::version("c");
        let mut install = host.task("c", 10, &package);
        install.release.keep = 1;
        install.release.hooks.before_switch = vec![hook("test -e ../../.deploy/undo")];
        let result = host.deploy(&package, &install).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert!(!host.root.join(".deploy/undo").exists());
        // What was undone is no good release any more, and was pruned as one that failed.
        assert_eq!(host.names("releases"), ["a", "c"]);
        assert_serves(&host, &undo_now(&host, "c", RollbackTarget::LastGood, 11).await, "a");
    }

    the_last_good_release_outlives_those_that_failed_after_it(host) {
        with_releases(&host, &["a"]).await;
        let package = Package::version("b");
        let mut broken = host.task("b", 5, &package);
        broken.release.rollback = false;
        broken.release.hooks.after_switch = vec![hook("exit 1")];
        assert_eq!(host.deploy(&package, &broken).await.serves.unwrap().as_str(), "b");
        let package = Package::version("c");
        let mut task = host.task("c", 6, &package);
        task.release.keep = 1;
        assert_eq!(host.deploy(&package, &task).await.status, HostStatus::Succeeded);
        // What was served before is kept in any case, but it is not good.
        assert_eq!(host.names("releases"), ["a", "b", "c"]);
        let result = undo_now(&host, "c", RollbackTarget::Previous, 9).await;
        assert_eq!(result.failure.unwrap().code, FailureCode::ReleaseMissing);
        assert_serves(&host, &undo_now(&host, "c", RollbackTarget::LastGood, 10).await, "a");
    }
}

on_every_host! {
    a_rollback_is_fenced_and_locked_as_an_installation_is(host) {
        with_releases(&host, &["a", "b"]).await;
        let result = undo_now(&host, "b", RollbackTarget::LastGood, 1).await;
        assert_eq!(result.failure.unwrap().code, FailureCode::HostLocked);
        let lock = "state held\ntask x\ndeployment x\nfence 5\nexpires 9999999999\npid 1\nplace elsewhere\n";
        fs::write(host.root.join(".deploy/lock.77"), lock).unwrap();
        let result = undo_now(&host, "b", RollbackTarget::LastGood, 9).await;
        assert_eq!(result.failure.unwrap().code, FailureCode::HostLocked);
        assert_eq!(host.current().unwrap(), "b");
    }
}
