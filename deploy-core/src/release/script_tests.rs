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
    let then = "work=. nonce=n step=unpack\nput frame 5 2>/dev/null\nsay step unpack end";
    by_every_shell(&(SHARED.map(code).concat() + then), |said| {
        assert_eq!(said, "@deploy n step unpack end\n");
    });
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

/// What three shells make of a piece of the program, with a directory of their own to work in.
fn by_every_shell(piece: &str, judge: impl Fn(&str)) {
    for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", piece])
            .env("UNDER", shell.join(" "))
            .current_dir(dir.path())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        judge(&String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_time_is_told_without_a_process() {
    let day = 86_400;
    let around = |second: i64| [second - 1, second, second + 1];
    // The ends of years with and without a leap day, of February in them, and of centuries.
    let special = [0, 59, 60, 365, 11_016, 11_017, 19_782, 19_783, 47_541, 47_542, 146_097]
        .into_iter()
        .flat_map(|days| around(days * day));
    let spread = (0..400).map(|n| n * 25_000_003);
    let seconds: Vec<i64> = special.chain(spread).filter(|second| *second >= 0).collect();
    let told = |second: &i64| jiff::Timestamp::from_second(*second).unwrap().to_string() + "\n";
    let expected: String = seconds.iter().map(told).collect();
    let history = code(include_str!("script/history.sh"));
    let calls: String = seconds.iter().map(|second| format!("in_words {second}\n")).collect();
    by_every_shell(&format!("ask() {{ \"$@\"; }}\n{history}{calls}"), |said| {
        assert_eq!(said, expected);
    });
}

/// A watcher of a first hook, with a second one announced; what still runs when it has gone. `before` says what there
/// is when it starts.
fn watch_two(before: &str) -> String {
    let mut script = String::new();
    assign(&mut script, "watch", &(SHARED.map(code).concat() + &code(WATCH))).unwrap();
    script.push_str(
        "for name in first second; do
            setsid sleep 1000 </dev/null >/dev/null 2>&1 &
            eval $name=$!
            until grep -q '^sleep' /proc/$!/cmdline; do sleep 0.01; done
        done
        sleep 1000 </dev/null >/dev/null 2>&1 &
        program=$!
        true >log
        printf '%s\\n' \"$second 1000 0 0 step two\" log /dev/null 'whole ' >watch-2\n",
    );
    script.push_str(before);
    script.push_str(
        "DEPLOY_NONCE=n $UNDER -c \"$watch\" watch $program $first 1000 '' '' /dev/null . step log 0 0 one 1
        # What was killed takes a moment to go.
        tries=0
        while [ $((tries += 1)) -lt ${moments:-1} ] && grep -qs ') [^Z]' /proc/$second/stat; do sleep 0.05; done
        for hook in $first $second; do
            if grep -qs ') [^Z]' /proc/$hook/stat; then echo runs; else echo ended; fi
            kill -KILL $hook 2>/dev/null
        done
        kill -KILL $program 2>/dev/null",
    );
    script
}

#[test]
fn a_watcher_ends_the_hook_that_it_had_not_read_of_when_the_program_was_killed() {
    // What the first hook left behind is a daemon, and lives on.
    let before = "moments=400; true >ended-one; kill -KILL $program; wait $program 2>/dev/null\n";
    by_every_shell(&watch_two(before), |said| assert_eq!(said, "runs\nended\n"));
}

#[test]
fn a_watcher_goes_by_a_file_when_it_did_not_hear_the_signal() {
    let before = "watch='true >go-$$'\"\n$watch\"\n";
    by_every_shell(&watch_two(before), |said| assert_eq!(said, "runs\nruns\n"));
}
