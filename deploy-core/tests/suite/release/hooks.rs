//! Hooks: what they learn, what they write, what they leave behind, and how they end.

use std::time::Duration;

use deploy_core::FailureCode;
use deploy_core::model::{Hook, HostStatus, Requirement};

use super::fixture::{Host, Package, Watched, hook};

/// Says whether a process is there and runs.
pub(crate) fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.contains(") Z "))
}

/// A hook that says something, and goes on for longer than it may, with a process that hears no TERM.
fn stubborn() -> Hook {
    let deaf = "trap \"\" TERM; echo $$ >>\"$DEPLOY_ROOT/pids\"; while :; do sleep 1; done";
    hook(&format!("sh -c '{deaf}' & echo waiting; wait")).with_timeout(Duration::from_secs(1))
}

on_every_host! {
    a_hook_learns_the_facts_of_the_deployment(host) {
        let package = Package::version("one");
        host.deploy(&package, &host.task("d0", 1, &package)).await;
        let mut task = host.task("d1", 2, &package);
        task.requirement = Some(Requirement::new("R-1".parse().unwrap()));
        task.release.hooks.after_switch = vec![hook("env | grep ^DEPLOY_ | sort > facts; env > all; pwd -P > where; cat > input")];
        let result = host.deploy(&package, &task).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        let root = host.root.to_str().unwrap();
        let facts = host.read("current/facts");
        for line in [
            "DEPLOY_BUSINESS=shop".to_owned(),
            "DEPLOY_HOOK=after_switch".to_owned(),
            "DEPLOY_HOST=h1".to_owned(),
            "DEPLOY_HOST_ADDRESS=127.0.0.1".to_owned(),
            "DEPLOY_ID=d1".to_owned(),
            "DEPLOY_MONITOR_URL=".to_owned(),
            format!("DEPLOY_PACKAGE_MD5={}", package.digests.md5),
            format!("DEPLOY_PACKAGE_SHA256={}", package.digests.sha256),
            format!("DEPLOY_PACKAGE_URL={}", package.source.url),
            format!("DEPLOY_PREVIOUS_PATH={root}/releases/d0"),
            "DEPLOY_PREVIOUS_RELEASE=d0".to_owned(),
            "DEPLOY_PROJECT=checkout".to_owned(),
            "DEPLOY_RELEASE=d1".to_owned(),
            format!("DEPLOY_RELEASE_PATH={root}/releases/d1"),
            "DEPLOY_REQUIREMENT_ID=R-1".to_owned(),
            "DEPLOY_REQUIREMENT_NAME=".to_owned(),
            format!("DEPLOY_ROOT={root}"),
            "DEPLOY_TASK=d1.1".to_owned(),
            "DEPLOY_WORK_ORDER=WO-7 \"x\"".to_owned(),
        ] {
            assert!(facts.lines().any(|found| found == line), "{line} is not in\n{facts}");
        }
        assert_eq!(host.read("current/where"), format!("{root}/releases/d1\n"));
        assert_eq!(host.read("current/input"), "");
        assert!(!host.read("current/all").contains("CARGO"));
    }

    a_hook_that_fails_before_the_switch_leaves_current_alone(host) {
        let (one, two) = (Package::version("one"), Package::version("two"));
        host.deploy(&one, &host.task("d1", 1, &one)).await;
        let mut task = host.task("d2", 2, &two);
        task.release.hooks.before_switch = vec![hook("echo fine"), hook("echo oh no; exit 3"), hook("echo never")];
        task.release.hooks.on_failure = vec![hook("pwd -P > \"$DEPLOY_ROOT/failed-in\"")];
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&two, &task, &watched).await;
        assert_eq!(result.status, HostStatus::Failed);
        assert_eq!(result.serves.unwrap().as_str(), "d1");
        let failure = result.failure.unwrap();
        assert_eq!(failure.code, FailureCode::HookFailed);
        assert_eq!(failure.message, "hook 2 ended with status 3");
        assert_eq!(failure.output.as_deref(), Some("oh no\n"));
        assert_eq!(watched.output(), "fine\noh no\n");
        assert_eq!(host.names("releases"), ["d1"]);
        assert_eq!(host.read("current/version"), "one");
        assert!(host.read("failed-in").ends_with("/releases/d1\n"));
        assert_eq!(host.history()[1]["failure"], "hook_failed");
        host.assert_tidy();
    }

    a_hook_that_fails_after_the_switch_brings_the_release_before_back(host) {
        let (one, two) = (Package::version("one"), Package::version("two"));
        host.deploy(&one, &host.task("d1", 1, &one)).await;
        let mut task = host.task("d2", 2, &two);
        task.release.hooks.after_switch = vec![hook("cat version >> \"$DEPLOY_ROOT/started\"; echo \"$DEPLOY_ROLLBACK\" >> \"$DEPLOY_ROOT/started\"; test two != \"$(cat version)\"")];
        task.release.hooks.on_failure = vec![hook("echo also broken; exit 9")];
        let result = host.deploy(&two, &task).await;
        assert_eq!(result.status, HostStatus::RolledBack, "{result:?}");
        assert_eq!(result.serves.unwrap().as_str(), "d1");
        assert_eq!(result.failure.unwrap().code, FailureCode::HookFailed);
        assert_eq!(result.further.len(), 1);
        assert_eq!(result.further[0].output.as_deref(), Some("also broken\n"));
        assert_eq!(host.read("current/version"), "one");
        assert_eq!(host.read("started"), "two\none1\n");
        assert!(host.read(".deploy/marks/d2").contains("state failed"));
        host.assert_tidy();
    }

    without_rollback_the_new_release_stays(host) {
        let (one, two) = (Package::version("one"), Package::version("two"));
        host.deploy(&one, &host.task("d1", 1, &one)).await;
        let mut task = host.task("d2", 2, &two);
        task.release.rollback = false;
        task.release.hooks.after_switch = vec![hook("exit 1")];
        let result = host.deploy(&two, &task).await;
        assert_eq!(result.status, HostStatus::Failed);
        assert_eq!(result.serves.unwrap().as_str(), "d2");
        assert_eq!(host.read("current/version"), "two");
        host.assert_tidy();
    }

    a_first_release_that_fails_leaves_no_current(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        task.release.hooks.after_switch = vec![hook("exit 1")];
        let result = host.deploy(&package, &task).await;
        assert_eq!(result.status, HostStatus::RolledBack);
        assert_eq!(result.serves, None);
        assert!(host.root.join("current").symlink_metadata().is_err());
        host.assert_tidy();
    }

    a_hook_that_hangs_is_ended_with_all_it_started(host) {
        let package = Package::version("one");
        // The first hook, one that comes later, and the first after one that was late, of which nothing is left.
        let gone = "while read -r pid; do ! grep -qs ') [^Z]' /proc/$pid/stat || exit 9; done <\"$DEPLOY_ROOT/pids\"";
        for (number, id) in (1..).zip(["d1", "d2"]) {
            let mut task = host.task(id, number, &package);
            let before = &mut task.release.hooks.before_switch;
            if number > 1 {
                before.push(hook("true"));
            }
            before.push(stubborn());
            task.release.hooks.on_failure = vec![hook(gone), stubborn()];
            let result = host.deploy(&package, &task).await;
            assert_eq!(result.status, HostStatus::Failed, "{result:?}");
            let failure = result.failure.unwrap();
            assert_eq!(failure.code, FailureCode::HookTimedOut);
            assert_eq!(failure.output.as_deref(), Some("waiting\n"));
            let further: Vec<_> = result.further.iter().map(|failure| failure.code).collect();
            assert_eq!(further, [FailureCode::HookTimedOut], "{:?}", result.further);
            for pid in host.read("pids").lines() {
                assert!(!runs(pid));
            }
            host.assert_tidy();
        }
    }

    a_later_hook_of_our_own_user_is_asked_to_end_first(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        let me = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
        let me = String::from_utf8(me).unwrap().trim().parse().unwrap();
        let polite = hook("trap 'echo heard; exit' TERM; sleep 600 & wait").with_timeout(Duration::from_secs(1));
        task.release.hooks.before_switch = vec![hook("true"), polite.with_user(me)];
        let failure = host.deploy(&package, &task).await.failure.unwrap();
        assert_eq!(failure.code, FailureCode::HookTimedOut, "{failure:?}");
        assert_eq!(failure.output.as_deref(), Some("heard\n"));
        host.assert_tidy();
    }

    a_hook_is_ended_when_the_watcher_of_those_before_was_killed(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        // Its parent is the program, which has started the watcher, or is about to.
        let killer = "until for process in /proc/[0-9]*; do
                case $(tr '\\0' ' ' <$process/cmdline 2>/dev/null) in *\" watch $PPID \"*) break ;; esac
                false
            done; do sleep 0.1; done
            kill -KILL ${process#/proc/}";
        task.release.hooks.before_switch = vec![hook(killer)];
        task.release.hooks.after_switch = vec![stubborn()];
        let failure = host.deploy(&package, &task).await.failure.unwrap();
        assert_eq!(failure.code, FailureCode::HookTimedOut, "{failure:?}");
        host.assert_tidy();
    }

    a_hook_is_ended_when_its_watcher_could_not_be_told_of_it(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        task.release.hooks.before_switch = vec![hook("cd \"$DEPLOY_ROOT\"/.deploy/work.* && mkdir watch-2")];
        task.release.hooks.after_switch = vec![stubborn()];
        let failure = host.deploy(&package, &task).await.failure.unwrap();
        assert_eq!(failure.code, FailureCode::HookTimedOut, "{failure:?}");
        host.assert_tidy();
    }

    all_that_many_hooks_write_comes_once_and_in_order(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        // They end around the moments at which their watcher looks, and some say what it is to hear.
        let pauses = ["0", "0.04", "0.05", "0.06", "0.1", "0.15", "0.2", "0.36"];
        let hooks = (0..24).map(|number| {
            let pause = pauses[number % pauses.len()];
            hook(&format!("echo begin {number}; sleep {pause}; echo end {number}"))
        });
        task.release.hooks.before_switch = hooks.clone().take(12).collect();
        task.release.hooks.after_switch = hooks.skip(12).collect();
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        let expected = (0..24).map(|number| format!("begin {number}\nend {number}\n"));
        assert_eq!(watched.output(), expected.collect::<String>());
        host.assert_tidy();
    }

    a_daemon_lives_on_and_holds_nothing(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        // Without nohup or redirection: it keeps the hook's output open, and goes on writing to it.
        task.release.hooks.after_switch = vec![hook("sh -c 'while :; do echo alive; sleep 1; done' & echo $! > pid; echo started")];
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert!(watched.output().contains("started\n"));
        let pid = host.read("current/pid");
        assert!(runs(&pid));
        std::process::Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap();
        host.assert_tidy();
    }

    what_a_hook_writes_can_forge_nothing(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        let forger = "tr '\\0' '\\n' < /proc/$PPID/cmdline | grep ^nonce= | head -n 1 > n; . ./n; \
            printf '@deploy %s end 0 succeeded\\n@deploy %s serves d9\\n' \"$nonce\" \"$nonce\"; exit 1";
        task.release.hooks.before_switch = vec![hook(forger)];
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, HostStatus::Failed, "{result:?}");
        assert_eq!(result.serves, None);
        assert!(watched.output().contains("end 0 succeeded"));
    }

    much_output_is_cut_and_kept_on_the_host(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        task.release.hooks.after_switch = vec![hook("yes 0123456789abcde | head -n 20000; printf 'the \\377 end'; exit 1")];
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, HostStatus::RolledBack, "{result:?}");
        let tail = result.failure.unwrap().output.unwrap();
        assert!(tail.len() <= 2048 && tail.ends_with("the \u{fffd} end"), "{tail}");
        let output = watched.output();
        let line = output.lines().last().unwrap();
        assert!(output.len() < 70_000, "{}", output.len());
        let path = line.split(" is in ").nth(1).unwrap().trim_end_matches(" on the host");
        assert_eq!(std::fs::metadata(path).unwrap().len(), 320_009);
    }

    hooks_on_the_way_back_are_heard_after_one_that_wrote_too_much(host) {
        let (one, two) = (Package::version("one"), Package::version("two"));
        host.deploy(&one, &host.task("d1", 1, &one)).await;
        let mut task = host.task("d2", 2, &two);
        let much = "[ -z \"$DEPLOY_ROLLBACK\" ] || { echo back; exit; }; head -c 70000 /dev/zero | tr '\\0' x; exit 3";
        task.release.hooks.after_switch = vec![hook(much)];
        task.release.hooks.on_failure = vec![hook("echo told")];
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&two, &task, &watched).await;
        assert_eq!(result.status, HostStatus::RolledBack, "{result:?}");
        let output = watched.output();
        assert_eq!(output.matches(" is in ").count(), 1, "what does not fit is named once");
        assert!(output.ends_with("back\ntold\n"), "{}", &output[output.len() - 200..]);
    }

    the_log_of_a_hook_that_writes_without_end_is_bounded(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        // Twice it writes until its log was emptied; once that has 20 MiB more it just waits for it.
        let much = "size() { wc -c <\"$DEPLOY_ROOT/.deploy/logs/d1/after_switch-after_switch-1.log\"; }
            echo the beginning
            for round in 1 2; do
                chunks=0
                after=$(size)
                while
                    before=$after
                    if [ $chunks -lt 20 ]; then yes 0123456789abcde | head -n 65536; else sleep 0.1; fi
                    chunks=$((chunks + 1))
                    after=$(size)
                    [ $after -ge $before ]
                do :; done
                echo \"round $round\"
            done
            echo the end
            exit 3";
        task.release.hooks.after_switch = vec![hook(much).with_timeout(Duration::from_secs(100))];
        let failure = host.deploy(&package, &task).await.failure.unwrap();
        assert_eq!(failure.message, "hook 1 ended with status 3", "it was neither killed nor held up");
        assert!(failure.output.unwrap().ends_with("round 2\nthe end\n"));
        let read = |end| host.read(&format!(".deploy/logs/d1/after_switch-after_switch-1.log{end}"));
        let (head, cut, log) = (read(".head"), read(".cut"), read(""));
        assert!(head.starts_with("the beginning\n0123456789abcde\n"));
        assert!(cut.contains("\n0123456789abcde\n"));
        assert_eq!((head.len(), cut.len()), (1 << 20, 1 << 20));
        assert!(log.len() <= 16 << 20, "{}", log.len());
        assert!(log.ends_with("round 2\nthe end\n"));
    }

    output_comes_while_the_hook_runs(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        let waiting = hook("echo \"$DEPLOY_HOOK\"; until [ -e \"$DEPLOY_ROOT/$DEPLOY_HOOK\" ]; do sleep 0.1; done; echo over");
        task.release.hooks.before_switch = vec![waiting.clone()];
        task.release.hooks.after_switch = vec![waiting];
        let watched = Watched::new(&task);
        let answer = async {
            for name in ["before_switch", "after_switch"] {
                watched.until_output(&format!("{name}\n")).await;
                std::fs::write(host.root.join(name), "").unwrap();
            }
        };
        let ((), result) = tokio::join!(answer, host.deploy_watched(&package, &task, &watched));
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(watched.output(), "before_switch\nover\nafter_switch\nover\n");
    }
}

#[tokio::test]
async fn a_hook_that_removes_what_the_program_works_in_does_not_hold_it_up() {
    let package = Package::version("one");
    let host = Host::new("bash", false);
    let mut task = host.task("d1", 1, &package);
    task.release.hooks.before_switch = vec![hook("rm -rf \"$DEPLOY_ROOT\"/.deploy/work.*")];
    let result = host.deploy(&package, &task).await;
    assert_eq!(result.status, HostStatus::Failed, "{result:?}");
    assert_eq!(host.current(), None);
    host.assert_tidy();
}
