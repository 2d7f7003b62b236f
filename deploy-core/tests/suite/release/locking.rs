//! One deployment at a time: the lock, its expiry, and the fencing number.

use std::fs;
use std::time::Duration;

use deploy_core::model::HostStatus;
use deploy_core::{Executor, Fact, FailureCode, Retry, Step};

use super::fixture::{Host, Package, Watched, hook, one};

/// Writes a lock as another program would have.
fn held(host: &Host, number: u32, lines: &str) {
    let dir = host.root.join(".deploy");
    fs::create_dir_all(&dir).unwrap();
    let lock = "state held\ntask d9.1\ndeployment d9\nfence 5\nreason shop/checkout, work order WO-9\nnode east-1\nsince 2026-11-23T00:00:00Z\n";
    fs::write(dir.join(format!("lock.{number}")), format!("{lock}{lines}")).unwrap();
}

on_every_host! {
    a_held_lock_is_respected_and_says_who_holds_it(host) {
        let package = Package::version("one");
        held(&host, 3, "expires 9999999999\npid 1\nplace elsewhere\n");
        let result = host.deploy(&package, &host.task("d1", 7, &package)).await;
        assert_eq!(result.status, HostStatus::Failed);
        let failure = result.failure.unwrap();
        assert_eq!(failure.code, FailureCode::HostLocked);
        assert!(matches!(failure.retry, Retry::After(_)));
        for word in ["d9", "d9.1", "east-1", "2026-11-23T00:00:00Z", "WO-9"] {
            assert!(failure.message.contains(word), "{word}: {failure}");
        }
        assert!(!host.is_unlocked());
        assert_eq!(host.names(".deploy"), ["lock.3", "logs", "marks", "packages"]);
    }

    a_held_lock_is_waited_for_as_long_as_the_request_says(host) {
        let package = Package::version("one");
        held(&host, 3, "expires 9999999999\npid 1\nplace elsewhere\n");
        let mut task = host.task("d1", 7, &package);
        task.release.lock_wait = Duration::from_secs(600);
        let watched = Watched::new(&task);
        let again = |fact: &Fact| match fact {
            Fact::AttemptFailed { failure } => Some(failure.clone()),
            _ => None,
        };
        let give_back = async {
            watched.until(|fact| again(fact).is_some()).await;
            held(&host, 3, "expires 9999999999\nstate free\n");
        };
        let (result, ()) = tokio::join!(host.deploy_watched(&package, &task, &watched), give_back);
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        let told: Vec<_> = watched.facts().iter().filter_map(again).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].code, told[0].step), (FailureCode::HostLocked, Some(Step::Lock)));
        assert!(told[0].to_string().starts_with("h1: lock: locked by deployment d9"), "{}", told[0]);
        assert_eq!(host.names(".deploy").iter().filter(|name| *name == "lock.4").count(), 1);
        host.assert_tidy();

        task.id = "d1.2".parse().unwrap();
        held(&host, 5, "expires 9999999999\npid 1\nplace elsewhere\n");
        // Long enough to look more than once, which is told once.
        task.release.lock_wait = Duration::from_secs(2);
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.failure.unwrap().code, FailureCode::HostLocked);
        assert_eq!(watched.facts().iter().filter_map(again).count(), 1);
    }

    whoever_waits_for_a_lock_can_be_cancelled(host) {
        let package = Package::version("one");
        held(&host, 3, "expires 9999999999\npid 1\nplace elsewhere\n");
        let mut task = host.task("d1", 7, &package);
        task.release.lock_wait = Duration::from_secs(600);
        let watched = Watched::new(&task);
        let cancel = async {
            watched.until(|fact| matches!(fact, Fact::AttemptFailed { .. })).await;
            watched.cx.cancel.cancel("enough");
        };
        let (result, ()) = tokio::join!(host.deploy_watched(&package, &task, &watched), cancel);
        assert_eq!(result.status, HostStatus::Cancelled, "{result:?}");
        assert!(!host.is_unlocked());
    }

    who_holds_a_lock_is_said_character_for_character(host) {
        let package = Package::version("one");
        held(&host, 3, "reason a\\c\\nb\nexpires 9999999999\nplace elsewhere\n");
        let failure = host.deploy(&package, &host.task("d1", 7, &package)).await.failure.unwrap();
        assert!(failure.message.ends_with(": a\\c\\nb"), "{failure}");
    }

    what_is_no_number_is_neither_a_lock_nor_what_one_says(host) {
        let package = Package::version("one");
        held(&host, 3, "fence 99999999999999999999\nexpires 099999999999999999999\npid 0x1\n");
        // As somebody keeps them beside.
        for name in ["lock.08", "lock.99999999999999999999", "lock.3.old"] {
            fs::copy(host.root.join(".deploy/lock.3"), host.root.join(".deploy").join(name)).unwrap();
        }
        let result = host.deploy(&package, &host.task("d1", 7, &package)).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(host.read(".deploy/marks/d1").lines().nth(3), Some("order 4"));
    }

    an_expired_lock_is_taken_over(host) {
        let package = Package::version("one");
        held(&host, 3, "expires 1000000000\n");
        let result = host.deploy(&package, &host.task("d1", 7, &package)).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert!(host.names(".deploy").contains(&"lock.4".to_owned()));
        host.assert_tidy();
    }

    a_line_of_history_that_a_crash_tore_is_ended_first(host) {
        let package = Package::version("one");
        host.deploy(&package, &host.task("d1", 1, &package)).await;
        // The crash came while the line was written, so that the lock was not given back.
        let (history, lock) = (host.root.join(".deploy/history.jsonl"), host.root.join(".deploy/lock.1"));
        let given_back = "history whole\nstate free\n";
        let held = fs::read_to_string(&lock).unwrap().replace(given_back, "");
        fs::write(&lock, held).unwrap();
        fs::write(&history, fs::read_to_string(&history).unwrap() + "{\"business\":\"b").unwrap();
        for (id, number) in [("d2", 2), ("d3", 3)] {
            let result = host.deploy(&package, &host.task(id, number, &package)).await;
            assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        }
        let lines = fs::read_to_string(&history).unwrap();
        let deployment = |line| Some(serde_json::from_str::<serde_json::Value>(line).ok()?["deployment"].clone());
        let seen: Vec<_> = lines.lines().map(deployment).collect();
        assert_eq!(seen, [Some("d1".into()), None, Some("d2".into()), Some("d3".into())], "{lines}");
    }

    a_lock_that_a_crash_tore_is_taken_over(host) {
        let package = Package::version("one");
        fs::create_dir_all(host.root.join(".deploy")).unwrap();
        fs::write(host.root.join(".deploy/lock.8"), "").unwrap();
        let result = host.deploy(&package, &host.task("d1", 7, &package)).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        host.assert_tidy();
    }

    a_later_attempt_at_the_same_task_enters_its_own_lock(host) {
        let package = Package::version("one");
        held(&host, 3, "expires 9999999999\n");
        let mut task = host.task("d9", 5, &package);
        task.id = "d9.1".parse().unwrap();
        let again = host.deploy(&package, &task).await;
        assert_eq!(again.failure.unwrap().code, FailureCode::HostLocked);
        let mut watched = Watched::new(&task);
        watched.cx.attempt = 2;
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        host.assert_tidy();
    }

    an_older_deployment_is_refused_for_good(host) {
        let package = Package::version("one");
        host.deploy(&package, &host.task("d2", 20, &package)).await;
        let result = host.deploy(&package, &host.task("d1", 10, &package)).await;
        assert_eq!(result.status, HostStatus::Failed);
        let failure = result.failure.unwrap();
        assert_eq!((failure.code, failure.retry), (FailureCode::HostLocked, Retry::Never));
        assert!(failure.message.contains("a newer deployment has been here"));
        assert_eq!(host.current().as_deref(), Some("d2"));
    }

    whoever_lost_the_lock_changes_nothing_any_more(host) {
        let package = Package::version("one");
        host.deploy(&package, &host.task("d0", 1, &package)).await;
        let mut task = host.task("d1", 2, &package);
        // Its own hook plays the one who takes the lock over.
        let steal = "cd \"$DEPLOY_ROOT/.deploy\"; n=$(ls | sed -n 's/^lock\\.//p' | sort -n | tail -n 1); sed 's/^task .*/task other/' lock.$n > lock.$((n + 1))";
        task.release.hooks.before_switch = vec![hook(steal)];
        task.release.hooks.on_failure = vec![hook("true >\"$DEPLOY_ROOT/failed\"")];
        let result = host.deploy(&package, &task).await;
        assert_eq!(result.status, HostStatus::Failed, "{result:?}");
        assert_eq!(result.failure.unwrap().code, FailureCode::HostLocked);
        assert_eq!(host.current().as_deref(), Some("d0"));
        assert!(!host.is_unlocked());
        assert!(!host.root.join("failed").exists());
        // The release is the new holder's to judge, and the mark says that it may not be used.
        assert_eq!(host.state("d1"), "unfinished");
    }

    of_two_at_once_exactly_one_wins(host) {
        let package = Package::version("one");
        let go = "until [ -e \"$DEPLOY_ROOT/go\" ]; do sleep 0.1; done";
        let mut first = host.task("d1", 1, &package);
        let mut second = host.task("d2", 2, &package);
        first.release.hooks.before_switch = vec![hook(go)];
        second.release.hooks.before_switch = vec![hook(go)];
        let (a, b) = (Watched::new(&first), Watched::new(&second));
        let executor = host.executor(&package).build();
        let race = async {
            tokio::join!(
                executor.execute(a.cx.clone(), first),
                executor.execute(b.cx.clone(), second),
            )
        };
        let release = async {
            let lost = |watched: Watched| async move { watched.until(|f| f.name() == "host_finished").await };
            tokio::select! { () = lost(a.clone()) => {}, () = lost(b.clone()) => {} }
            fs::write(host.root.join("go"), "").unwrap();
        };
        let ((first, second), ()) = tokio::join!(race, release);
        let results = [one(first.unwrap()), one(second.unwrap())];
        let won = results.iter().filter(|r| r.status == HostStatus::Succeeded).count();
        let locked = results.iter().filter(|r| r.failure.as_ref().is_some_and(|f| f.code == FailureCode::HostLocked)).count();
        assert_eq!((won, locked), (1, 1), "{results:?}");
        host.assert_tidy();
    }

    a_second_attempt_waits_for_the_first_to_put_the_host_back(host) {
        let (former, package) = (Package::version("one"), Package::version("two"));
        host.deploy(&former, &host.task("d1", 1, &former)).await;
        let mut task = host.task("d2", 100, &package);
        // The first time it hangs; on the way back it takes until it is let go.
        task.release.hooks.after_switch = vec![hook(
            "if [ -n \"$DEPLOY_ROLLBACK\" ]; then : >\"$DEPLOY_ROOT/back\"
                 until [ -e \"$DEPLOY_ROOT/go\" ]; do sleep 0.1; done
             elif [ ! -e \"$DEPLOY_ROOT/first\" ]; then : >\"$DEPLOY_ROOT/first\"; sleep 600; fi
             cat version >\"$DEPLOY_ROOT/service\"",
        )];
        let executor = host.executor(&package).build();
        let (first, cx) = (executor.clone(), Watched::new(&task).cx);
        let running = task.clone();
        let running = tokio::spawn(async move { first.execute(cx, running).await });
        appears(&host.root.join("first")).await;
        // What a lost lease does, or a shutdown that has waited long enough.
        running.abort();
        appears(&host.root.join("back")).await;
        let mut second = Watched::new(&task);
        second.cx.attempt = 2;
        let work = executor.execute(second.cx.clone(), task);
        let release = async {
            second.until(|fact| matches!(fact, Fact::StepStarted { step: Step::Lock, .. })).await;
            fs::write(host.root.join("go"), "").unwrap();
        };
        let (result, ()) = tokio::join!(work, release);
        assert_eq!(one(result.unwrap()).status, HostStatus::Succeeded);
        assert_eq!(host.read("service"), "two");
        assert_eq!(host.state("d2"), "good");
        host.assert_tidy();
    }

    the_number_of_a_deployment_outlasts_a_later_lock_that_a_crash_tore(host) {
        let package = Package::version("one");
        host.deploy(&package, &host.task("d2", 20, &package)).await;
        fs::write(host.root.join(".deploy/lock.2"), "").unwrap();
        let result = host.deploy(&package, &host.task("d1", 10, &package)).await;
        let failure = result.failure.unwrap();
        assert!(failure.message.contains("its number is 20, ours 10"), "{failure}");
        let result = host.deploy(&package, &host.task("d3", 30, &package)).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        host.assert_tidy();
    }
}

/// Waits until a file is there.
async fn appears(path: &std::path::Path) {
    while !path.exists() {
        tokio::task::yield_now().await;
    }
}
