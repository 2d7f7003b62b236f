//! The program's text: what it holds, and what it never does.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::archive::{PackageContents, PackageFormat};
use crate::model::{
    DeploymentId, DeploymentRequest, Digests, Hook, PackageSource, PackageUrl, ReleaseId, TaskId,
};
use crate::verifier::VerifiedPackage;

/// The program that installs a task whose every free text holds a command.
fn script(hooks: usize) -> Result<String, ScriptError> {
    script_of(hooks, None)
}

/// The same task, when it does something else.
fn script_of(hooks: usize, other: Option<Work<'_>>) -> Result<String, ScriptError> {
    let url = PackageUrl::new("https://h/app.tar.gz?token=canary#x").unwrap();
    let digests = Digests::new().finish();
    let source = PackageSource::new(url, digests.md5).pinned(&digests);
    let request =
        DeploymentRequest::new("b".parse().unwrap(), "p".parse().unwrap(), source.clone())
            .with_work_order("'; touch pwned; '$(touch pwned)`touch pwned`".parse().unwrap());
    let target = Target::new(
        "h1".parse().unwrap(),
        "::1".parse().unwrap(),
        "local:/".parse().unwrap(),
        "/srv/it's; touch pwned".parse().unwrap(),
    );
    let id = DeploymentId::new("d1").unwrap();
    let hosts = vec![target.clone()];
    let mut task = ReleaseTask::new(TaskId::from(&id), id, &request, source, hosts, Fence::new(1));
    task.release.shared = vec!["a'; touch pwned; '/b".parse().unwrap()];
    task.release.hooks.before_switch = vec![Hook::new("x".repeat(16_000)).unwrap(); hooks];
    let null = Arc::new(File::open("/dev/null").unwrap());
    let bundle = Bundle {
        package: VerifiedPackage::new(null, digests, "app.tar.gz".to_owned()),
        contents: PackageContents::new(PackageFormat::TarGz, 2, 1, 5000),
    };
    let plan = HostPlan {
        task: &task,
        target: &target,
        work: other.unwrap_or(Work::Install {
            bundle: &bundle,
            in_process: false,
            token: "t",
            margin: 0,
        }),
        root: target.root.as_str(),
        fence: task.fence,
        node: "node\n'; touch pwned",
        run: "run",
        nonce: "nonce",
    };
    plan.script()
}

#[test]
fn no_text_of_a_request_is_ever_a_command() {
    let dir = tempfile::tempdir().unwrap();
    let script = script(0).unwrap();
    // The assignments and lists alone, without the program that they are for.
    let head = script.split("\neval \"$common_program\"").next().unwrap().to_owned();
    assert!(head.contains("pwned") && head.contains("shared_paths"));
    let check = format!(
        "{head}\nshare() {{ printf '%s\\n' \"$1\" \"$2\"; }}\nshared_paths\nprintf '%s\\n' \"$root\" \"$node\""
    );
    for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", &check])
            .current_dir(dir.path())
            .output()
            .unwrap_or_else(|e| panic!("{shell:?}: {e}; apt-get install dash bash busybox"));
        let expected =
            "a'; touch pwned; '/b\n../../../\n/srv/it's; touch pwned\nnode '; touch pwned\n";
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_token_in_the_packages_address_reaches_no_host() {
    assert!(!script(0).unwrap().contains("canary"));
}

#[test]
fn a_program_too_long_for_a_host_is_refused() {
    assert!(script(3).is_ok());
    assert!(matches!(script(8), Err(ScriptError::TooLong(_))));
}

#[test]
fn every_shell_takes_every_part() {
    let release = ReleaseId::new("d0").unwrap();
    let rollback = Work::Rollback { release: &release, to: &RollbackTarget::LastGood };
    for work in [None, Some(rollback), Some(Work::Inspect)] {
        let script = script_of(1, work).unwrap();
        for shell in [&["dash"][..], &["bash", "--posix"], &["busybox", "sh"]] {
            let output = Command::new(shell[0])
                .args(&shell[1..])
                .args(["-n", "-c", &script])
                .output()
                .unwrap_or_else(|e| panic!("{shell:?}: {e}; apt-get install dash bash busybox"));
            assert!(output.status.success(), "{shell:?}: {output:?}");
        }
    }
}

#[test]
fn the_space_asked_for_counts_blocks_and_what_lies_beside() {
    let script = script(0).unwrap();
    // Two entries of a block each and 5,000 bytes; the package is empty.
    assert!(script.contains("needed_kib='13'\n"), "{script}");
}

#[test]
fn the_program_stays_small() {
    let length = script(0).unwrap().len();
    assert!(length < 38 * 1024, "{length}");
}

#[test]
fn a_frame_whose_bytes_have_gone_is_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let then = "work=. nonce=n step=unpack\nput frame 5 2>/dev/null\nsay step unpack end";
    for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", &(SHARED.map(code).concat() + then)])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, "@deploy n step unpack end\n", "{shell:?}");
    }
}

/// A hook that writes without end, its watcher, whose words nobody takes, and what stands for the program.
fn watched(shell: &[&str], dir: &Path, seconds: &str) -> [Child; 3] {
    let (work, log) = (dir.join("work"), dir.join("log"));
    std::fs::create_dir_all(&work).unwrap();
    let output = std::fs::File::create(&log).unwrap();
    let program = Command::new("sleep").arg("1000").spawn().unwrap();
    let endless = "while :; do head -c 100000 /dev/zero; sleep 0.1; done";
    let hook = Command::new("setsid").args(["sh", "-c", endless]).stdout(output).spawn().unwrap();
    let watcher = Command::new("setsid")
        .args(shell)
        .args(["-c", &(SHARED.map(code).concat() + &code(WATCH)), "watch"])
        .args([&program.id().to_string(), &hook.id().to_string(), seconds, "", "", "/dev/null"])
        .args([&work, Path::new("before_switch"), &log])
        .args(["0", "0", "name"])
        .env("DEPLOY_NONCE", "nonce")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    [program, hook, watcher]
}

#[test]
fn a_watcher_does_its_duties_when_nobody_takes_what_it_says() {
    for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        for late in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let seconds = if late { "1" } else { "1000" };
            let [mut program, mut hook, mut watcher] = watched(shell, dir.path(), seconds);
            if !late {
                // What was written first is more than a pipe holds.
                while !dir.path().join("work/passed-name").exists() {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                program.kill().unwrap();
                program.wait().unwrap();
            }
            let signal = hook.wait().unwrap().signal();
            assert_eq!(signal, Some(if late { 15 } else { 9 }), "{shell:?}");
            assert_eq!(dir.path().join("work/late-name").exists(), late, "{shell:?}");
            let mut said = Vec::new();
            watcher.stdout.take().unwrap().read_to_end(&mut said).unwrap();
            watcher.wait().unwrap();
            if late {
                assert!(said.starts_with(b"@deploy nonce out before_switch "), "{shell:?}");
                program.kill().unwrap();
                program.wait().unwrap();
            }
        }
    }
}
