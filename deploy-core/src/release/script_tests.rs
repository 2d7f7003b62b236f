//! The program's text: what it holds, and what it never does.

use std::fs::File;
use std::process::Command;
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
    assert!(length < 34 * 1024, "{length}");
}
