//! Hooks of other users: that they are the same hooks, that nobody reads them, and how they end.
//!
//! The tests have to run as root, which may become anybody by `sudo` and by `su`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use deploy_core::model::{HookPoint, HostStatus, ReleaseTask};
use deploy_core::{Fact, FailureCode, Step};
use tempfile::TempDir;

use super::fixture::{Host, Package, Watched, busybox_tools, hook};
use super::hooks::runs;
use super::tools::{NEEDED, add, tools};

/// What makes us another user: each test goes both ways.
const WAYS: [&str; 2] = ["sudo", "su"];

/// The same host, open to other users, with one way to become them.
fn open(host: &Host, way: Option<&str>) -> (Host, TempDir) {
    let host = Host::new(host.shell, host.in_process);
    let more = ["id", "env", "grep", "sha256sum", "sort"];
    let found = match host.shell {
        "busybox" => tools(&[]),
        _ => tools(&[NEEDED, &more].concat()),
    };
    if let Some(way) = way {
        let tool = Path::new("/usr/bin").join(way);
        assert!(tool.exists(), "{way} is missing; apt-get install sudo util-linux");
        symlink(tool, found.path().join(way)).unwrap();
    }
    let mut path = found.path().to_str().unwrap().to_owned();
    open_to_all(found.path());
    open_to_all(host.dir.path());
    if host.shell == "busybox" {
        open_to_all(&busybox_tools());
        path = format!("{}:{path}", busybox_tools().display());
    }
    fs::create_dir(host.dir.path().join("drop")).unwrap();
    fs::set_permissions(host.dir.path().join("drop"), fs::Permissions::from_mode(0o777)).unwrap();
    let shell = if host.shell == "busybox" {
        busybox_tools().join("sh")
    } else {
        Path::new("/usr/bin").join(host.shell)
    };
    let connector = host.connector.clone().variable("PATH", path).shell([shell]);
    (Host { connector, ..host }, found)
}

fn open_to_all(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A task with one hook of the user nobody, who may write to `../../../drop` of a release.
fn task(host: &Host, point: HookPoint, run: &str, package: &Package) -> ReleaseTask {
    let run = run.replace("DROP", host.dir.path().join("drop").to_str().unwrap());
    let mut task = host.task("d1", 1, package);
    task.release = task.release.with_hook(point, hook(&run).with_user("nobody".parse().unwrap()));
    task
}

fn dropped(host: &Host, name: &str) -> String {
    fs::read_to_string(host.dir.path().join("drop").join(name)).unwrap()
}

/// The command lines of all processes that hold the text, but for those of the program itself.
fn command_lines(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(text) && !line.contains("nonce="))
        .collect()
}

on_every_host! {
    a_hook_of_another_user_is_the_same_hook(host) {
        for way in WAYS {
            let (host, _tools) = open(&host, Some(way));
            let package = Package::version("one");
            let say = "echo \"it's $(id -un)\"; env | grep ^DEPLOY_ | sort; pwd; cat; umask";
            let mut task = task(&host, HookPoint::BeforeSwitch, &format!("{say}; env | grep ^HOME"), &package);
            task.requirement = serde_json::from_str("{\"id\":\"R-1\",\"name\":\"it's $(new) `x` \\\\ \\\"\"}").ok();
            assert!(task.requirement.is_some());
            task.release.hooks.before_switch.push(hook(say));
            let watched = Watched::new(&task);
            let result = host.deploy_watched(&package, &task, &watched).await;
            assert_eq!(result.status, HostStatus::Succeeded, "{way}: {result:?}");
            let output = watched.output();
            let (theirs, ours) = output.split_once("it's root\n").unwrap_or_else(|| panic!("{way}: {output}"));
            let theirs = theirs.strip_prefix("it's nobody\n").unwrap();
            let theirs = theirs.strip_suffix("HOME=/nonexistent\n").unwrap_or_else(|| panic!("{way}: {theirs}"));
            assert_eq!(theirs, ours, "{way}");
            assert!(ours.contains("DEPLOY_REQUIREMENT_NAME=it's $(new) `x` \\ \"\n"));
            host.assert_tidy();
        }
    }

    nobody_reads_a_hook_of_another_user(host) {
        for way in WAYS {
            let (host, _tools) = open(&host, Some(way));
            let package = Package::version("one");
            let wait = "echo begun; until [ -e DROP/go ]; do sleep 0.1; done; true a-canary";
            let task = task(&host, HookPoint::AfterSwitch, wait, &package);
            let watched = Watched::new(&task);
            let ((), result) = tokio::join!(
                async {
                    watched.until_output("begun\n").await;
                    assert!(!command_lines("user").is_empty(), "{way}: the hook runs");
                    assert_eq!(command_lines("a-canary"), [""; 0], "{way}");
                    assert_eq!(command_lines("WO-7"), [""; 0], "{way}");
                    let work = host.names(".deploy").into_iter().find(|n| n.starts_with("work.")).unwrap();
                    let input = host.root.join(".deploy").join(work).join("input");
                    assert_eq!(input.metadata().unwrap().permissions().mode() & 0o777, 0o600);
                    assert!(fs::read_to_string(input).unwrap().contains("a-canary"));
                    fs::write(host.dir.path().join("drop/go"), "").unwrap();
                },
                host.deploy_watched(&package, &task, &watched),
            );
            assert_eq!(result.status, HostStatus::Succeeded, "{way}: {result:?}");
        }
    }

    a_hook_of_another_user_that_fails_says_so(host) {
        for way in WAYS {
            let (host, _tools) = open(&host, Some(way));
            let package = Package::version("one");
            let task = task(&host, HookPoint::BeforeSwitch, "echo oh no; exit 3", &package);
            let failure = host.deploy(&package, &task).await.failure.unwrap();
            assert_eq!((failure.code, failure.message.as_str()), (FailureCode::HookFailed, "hook 1 ended with status 3"));
            assert_eq!(failure.output.as_deref(), Some("oh no\n"), "{way}");
        }
    }

    a_hook_of_another_user_that_hangs_is_ended_with_all_it_started(host) {
        for way in WAYS {
            let (host, _tools) = open(&host, Some(way));
            let package = Package::version("one");
            let stubborn = "sh -c 'trap \"\" TERM; echo $$ >DROP/pid; while :; do sleep 1; done' & echo waiting; wait";
            let mut task = task(&host, HookPoint::BeforeSwitch, stubborn, &package);
            task.release.hooks.before_switch[0].timeout = Duration::from_secs(1);
            let failure = host.deploy(&package, &task).await.failure.unwrap();
            assert_eq!(failure.code, FailureCode::HookTimedOut, "{way}: {failure:?}");
            assert_eq!(failure.output.as_deref().map(|o| o.lines().next()), Some(Some("waiting")));
            assert!(!runs(&dropped(&host, "pid")), "{way}");
            host.assert_tidy();
        }
    }

    a_cancel_ends_a_hook_of_another_user(host) {
        for way in WAYS {
            let (host, _tools) = open(&host, Some(way));
            let package = Package::version("one");
            let long = "echo $$ >DROP/pid; echo begun; sleep 600";
            let task = task(&host, HookPoint::AfterSwitch, long, &package);
            let watched = Watched::new(&task);
            let ((), result) = tokio::join!(
                async {
                    watched.until_output("begun\n").await;
                    watched.cx.cancel.cancel("enough");
                },
                host.deploy_watched(&package, &task, &watched),
            );
            assert_eq!(result.status, HostStatus::Cancelled, "{way}: {result:?}");
            assert!(!runs(&dropped(&host, "pid")), "{way}");
            host.assert_tidy();
        }
    }

    a_cancel_while_another_users_hook_begins_leaves_the_host_whole(host) {
        for way in WAYS {
            let (host, _tools) = open(&host, Some(way));
            let package = Package::version("one");
            let task = task(&host, HookPoint::BeforeSwitch, "sleep 600", &package);
            let watched = Watched::new(&task);
            let begun = |fact: &Fact| matches!(fact, Fact::StepStarted { step: Step::BeforeSwitch, .. });
            let ((), result) = tokio::join!(
                async {
                    watched.until(begun).await;
                    watched.cx.cancel.cancel("enough");
                },
                host.deploy_watched(&package, &task, &watched),
            );
            assert_eq!(result.status, HostStatus::Cancelled, "{way}: {result:?}");
            host.until_nothing_runs().await;
            host.assert_tidy();
        }
    }

    a_hook_of_another_user_does_not_outlive_a_program_that_is_killed(host) {
        for way in WAYS {
            let (host, _tools) = open(&host, Some(way));
            let package = Package::version("one");
            let long = "echo $$ >DROP/pid; echo begun; sleep 600";
            let task = task(&host, HookPoint::BeforeSwitch, long, &package);
            let watched = Watched::new(&task);
            let ((), result) = tokio::join!(
                async {
                    watched.until_output("begun\n").await;
                    let lock = host.read(".deploy/lock.1");
                    let pid = lock.lines().find_map(|l| l.strip_prefix("pid ")).unwrap();
                    let kill = std::process::Command::new("kill").args(["-KILL", pid]).status();
                    assert!(kill.unwrap().success());
                },
                host.deploy_watched(&package, &task, &watched),
            );
            assert_eq!(result.status, HostStatus::Unknown, "{way}: {result:?}");
            host.until_nothing_runs().await;
            let pid = dropped(&host, "pid");
            while runs(&pid) {
                tokio::task::yield_now().await;
            }
        }
    }

    a_daemon_of_another_user_lives_on(host) {
        for way in WAYS {
            let (host, _tools) = open(&host, Some(way));
            let package = Package::version("one");
            let daemon = "sh -c 'while :; do echo alive; sleep 1; done' & echo $! >DROP/pid; echo started";
            let task = task(&host, HookPoint::AfterSwitch, daemon, &package);
            let result = host.deploy(&package, &task).await;
            assert_eq!(result.status, HostStatus::Succeeded, "{way}: {result:?}");
            let pid = dropped(&host, "pid");
            assert!(runs(&pid), "{way}");
            std::process::Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap();
        }
    }

    without_a_way_to_the_user_the_host_is_left_alone(host) {
        let (host, found) = open(&host, None);
        let package = Package::version("one");
        let task = task(&host, HookPoint::OnFailure, "true", &package);
        let failure = host.deploy(&package, &task).await.failure.unwrap();
        assert_eq!(failure.code, FailureCode::ToolMissing, "{failure:?}");
        assert_eq!(failure.message, "the host lacks sudo, which a hook of the user nobody needs");
        assert_eq!(failure.host, Some("h1".parse().unwrap()));
        // Neither does a sudo help that refuses.
        add(&found, "sudo", "#!/bin/sh\necho 'sudo: a password is required' >&2; echo more >&2; exit 1\n");
        let failure = host.deploy(&package, &task).await.failure.unwrap();
        assert_eq!(failure.code, FailureCode::HostRejected, "{failure:?}");
        assert_eq!(failure.message, "sudo does not let root run hooks as nobody: sudo: a password is required");
        assert!(!host.root.exists());
    }

    the_user_that_we_are_already_needs_nothing(host) {
        let (host, _tools) = open(&host, None);
        let package = Package::version("one");
        let mut task = task(&host, HookPoint::AfterSwitch, "id -un", &package);
        task.release.hooks.after_switch[0].user = "root".parse().ok();
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(watched.output(), "root\n");
    }
}
