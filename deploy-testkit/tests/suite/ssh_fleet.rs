//! The fleet of real sshd's: what it lets in, how it fails when told, and that nothing of it stays.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use deploy_testkit::{FleetUser, SshFleet, SshHost};

/// OpenSSH's client, told to use nothing but the fleet's files.
fn ssh(fleet: &SshFleet, endpoint: &str, script: &str) -> Command {
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"]);
    command.arg(fleet.identity());
    command.arg(format!("-oUserKnownHostsFile={}", fleet.known_hosts().display()));
    command.args(["-o", "StrictHostKeyChecking=yes", endpoint, script]);
    command.stdin(Stdio::null());
    command
}

fn run(fleet: &SshFleet, host: &SshHost, script: &str) -> Output {
    ssh(fleet, host.endpoint().url().as_str(), script).output().unwrap()
}

fn says(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    str::from_utf8(&output.stdout).unwrap().trim()
}

/// A client whose command has begun, and runs until something ends it.
fn long_run(fleet: &SshFleet, host: &SshHost) -> Child {
    let mut command = ssh(fleet, host.endpoint().url().as_str(), "echo begun; exec sleep 600");
    let mut client = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    client
}

/// Waits until something is so that no event tells of.
fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if so() {
            return;
        }
        std::thread::yield_now();
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("not in ten seconds: {what}");
}

fn sshds_of(fleet: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let path = fleet.to_str().unwrap();
    lines.filter(|line| String::from_utf8_lossy(line).contains(path)).count()
}

#[test]
fn each_host_lets_the_fleets_key_in_and_knows_its_own_directory() {
    let fleet = SshFleet::start(2);
    for (number, host) in (1..).zip(fleet.hosts()) {
        assert_eq!(host.name().as_str(), format!("host-{number}"));
        assert!(host.directory().is_dir());
        let output = run(&fleet, host, "echo \"$DEPLOY_TESTKIT_HOST\"; echo err >&2; exit 7");
        assert_eq!(output.status.code(), Some(7));
        let base = host.directory().parent().unwrap();
        assert_eq!(output.stdout, format!("{}\n", base.display()).into_bytes());
        assert_eq!((host.logins(), host.connections()), (1, 1), "{}", host.log());
    }
    let targets = fleet.targets("/srv/app");
    assert_ne!(targets[0].root, targets[1].root);
    assert_ne!(targets[0].endpoint, targets[1].endpoint);
    assert!(fleet.hosts()[0].fingerprint().starts_with("SHA256:"));
}

#[test]
fn a_stranger_is_not_let_in() {
    let (fleet, other) = (SshFleet::start(1), SshFleet::start(0));
    let host = &fleet.hosts()[0];
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"]);
    command.arg(other.identity());
    command.arg(format!("-oUserKnownHostsFile={}", fleet.known_hosts().display()));
    let output = command.args([host.endpoint().url().as_str(), "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(255));
    assert_eq!((host.logins(), host.connections()), (0, 1));
}

#[test]
fn a_host_that_is_down_refuses_until_it_is_up_again() {
    let fleet = SshFleet::start(1);
    let host = &fleet.hosts()[0];
    let mut open = long_run(&fleet, host);
    host.down();
    let refused = TcpStream::connect(host.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(open.try_wait().unwrap(), None);
    host.down();
    host.up();
    assert_eq!(says(&run(&fleet, host, "echo back")), "back");
    host.kill_sessions();
    open.wait().unwrap();
}

#[test]
fn a_host_that_hangs_says_nothing_until_it_is_up_again() {
    let fleet = SshFleet::start(1);
    let host = &fleet.hosts()[0];
    host.hang();
    let mut stream = TcpStream::connect(host.address()).unwrap();
    stream.set_nonblocking(true).unwrap();
    until("the connection is counted", || host.connections() == 1);
    let silence = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    host.up();
    stream.set_nonblocking(false).unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"SSH-");
}

#[test]
fn killed_sessions_end_and_new_ones_are_let_in() {
    let fleet = SshFleet::start(1);
    let host = &fleet.hosts()[0];
    let mut client = long_run(&fleet, host);
    assert_eq!(host.processes().len(), 1);
    host.kill_sessions();
    assert_eq!(client.wait().unwrap().code(), Some(255));
    assert_eq!(says(&run(&fleet, host, "echo on")), "on");
}

#[test]
fn a_frozen_host_stands_still_until_it_is_up_again() {
    let fleet = SshFleet::start(1);
    let host = &fleet.hosts()[0];
    let script = "echo begun; read line; echo \"$line\"";
    let mut command = ssh(&fleet, host.endpoint().url().as_str(), script);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut out = BufReader::new(client.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    host.freeze();
    let stopped = host.log();
    std::io::Write::write_all(&mut client.stdin.take().unwrap(), b"hello\n").unwrap();
    let mut late = ssh(&fleet, host.endpoint().url().as_str(), "true").spawn().unwrap();
    until("the late connection is accepted", || host.connections() == 2);
    assert_eq!(client.try_wait().unwrap(), None);
    assert_eq!(host.log(), stopped);
    host.up();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\nhello\n");
    assert!(client.wait().unwrap().success() && late.wait().unwrap().success());
}

#[test]
fn a_swapped_key_is_noticed_before_the_login() {
    let fleet = SshFleet::start(1);
    let host = &fleet.hosts()[0];
    let before = host.fingerprint();
    host.swap_key();
    assert_ne!(host.fingerprint(), before);
    let output = run(&fleet, host, "true");
    assert_eq!(output.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&output.stderr).contains("HAS CHANGED"));
    assert_eq!((host.logins(), host.connections()), (0, 1));
}

#[test]
fn nothing_of_a_fleet_is_left_when_it_is_dropped() {
    let fleet = SshFleet::start(2);
    let dir = fleet.directory().to_owned();
    let mut clients: Vec<Child> = fleet.hosts().iter().map(|h| long_run(&fleet, h)).collect();
    let left = "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $!";
    let daemon = says(&run(&fleet, &fleet.hosts()[0], left)).to_owned();
    assert!(Path::new("/proc").join(&daemon).exists());
    fleet.hosts()[1].freeze();
    drop(fleet);
    assert!(!dir.exists());
    assert_eq!(sshds_of(&dir), 0);
    until("the daemon is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{daemon}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    for client in &mut clients {
        client.wait().unwrap();
    }
}

#[test]
fn nothing_of_a_fleet_is_left_when_its_test_panics() {
    let seen = std::sync::Mutex::new(None);
    let test = std::panic::AssertUnwindSafe(|| {
        let fleet = SshFleet::start(1);
        let client = long_run(&fleet, &fleet.hosts()[0]);
        *seen.lock().unwrap() = Some((fleet.directory().to_owned(), client));
        std::panic::resume_unwind(Box::new("the test failed"));
    });
    std::panic::catch_unwind(test).unwrap_err();
    let (dir, mut client) = seen.into_inner().unwrap().unwrap();
    client.wait().unwrap();
    assert!(!dir.exists());
    assert_eq!(sshds_of(&dir), 0);
}

#[test]
fn a_line_of_the_tests_own_goes_before_the_fleets() {
    let fleet = SshFleet::builder().sshd_config("ForceCommand echo forced").start(1).unwrap();
    assert_eq!(says(&run(&fleet, &fleet.hosts()[0], "echo asked")), "forced");
}

#[test]
fn the_login_shell_is_the_one_that_was_asked_for() {
    for (shell, name) in [("/bin/bash", "bash"), ("/bin/dash", "dash"), ("/bin/busybox", "busybox")]
    {
        let fleet = SshFleet::builder().login_shell(shell).start(1).unwrap();
        let output = run(&fleet, &fleet.hosts()[0], "readlink /proc/$$/exe; :");
        assert!(says(&output).ends_with(name), "{output:?}");
    }
}

#[test]
fn a_shell_that_is_missing_is_named_with_what_installs_it() {
    let error = SshFleet::builder().login_shell("/bin/zzsh").start(1).unwrap_err();
    assert_eq!(error.to_string(), "/bin/zzsh is missing; apt-get install zzsh");
}

#[test]
fn a_user_of_the_fleet_logs_in_and_is_no_user_of_the_machine() {
    let user = FleetUser::new("deployer").with_password("a secret");
    assert!(!format!("{user:?}").contains("secret"));
    let fleet = SshFleet::builder().user(user).start(1).unwrap();
    let host = &fleet.hosts()[0];
    let endpoint = host.endpoint_as("deployer").to_string();
    let output = ssh(&fleet, &endpoint, "id -un; echo > $DEPLOY_TESTKIT_HOST/files/mine").output();
    assert_eq!(says(&output.unwrap()), "deployer");
    assert!(!std::fs::read_to_string("/etc/passwd").unwrap().contains("deployer"));
    assert!(host.log().contains("Accepted publickey for deployer"));
    // The password counts, and another does not.
    let ask = fleet.directory().join("ask");
    std::fs::write(&ask, "#!/bin/sh\necho \"$PASSWORD\"\n").unwrap();
    Command::new("chmod").arg("+x").arg(&ask).status().unwrap();
    for (password, code) in [("a secret", 0), ("a guess", 255)] {
        let mut command = Command::new("ssh");
        command.args([
            "-F",
            "none",
            "-o",
            "PubkeyAuthentication=no",
            "-o",
            "NumberOfPasswordPrompts=1",
        ]);
        command.arg(format!("-oUserKnownHostsFile={}", fleet.known_hosts().display()));
        command
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("PASSWORD", password);
        let status = command.args([&endpoint, "true"]).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{}", host.log());
    }
}

#[test]
fn a_disk_of_its_own_is_full_alone_and_read_only_when_told() {
    let fleet = SshFleet::builder().disk(1 << 20).start(2).unwrap();
    let [full, other] = fleet.hosts() else { panic!("two hosts") };
    let script = |host: &SshHost| {
        format!("cd '{}' && head -c 2000000 /dev/zero > big", host.directory().display())
    };
    assert!(!run(&fleet, full, &script(full)).status.success());
    assert!(std::fs::metadata(full.directory().join("big")).unwrap().len() <= 1 << 20);
    std::fs::write(other.directory().join("small"), "x").unwrap();
    other.read_only(true);
    let error = std::fs::write(other.directory().join("small"), "y").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
    other.read_only(false);
    std::fs::write(other.directory().join("small"), "y").unwrap();
    let dir = fleet.directory().to_owned();
    drop(fleet);
    assert!(!dir.exists());
}
