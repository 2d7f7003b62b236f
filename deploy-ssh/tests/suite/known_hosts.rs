//! Files of known hosts, held against what ssh-keygen says of them.

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use deploy_core::ConnectError;
use deploy_ssh::{Fingerprint, HostKeyVerdict, HostKeys, KnownHosts};

use crate::support::{Sshd, context};

/// Runs ssh-keygen.
fn keygen(arguments: &[&str]) -> Output {
    let output = Command::new("ssh-keygen").args(arguments).output();
    output.expect("ssh-keygen runs: apt-get install openssh-client installs it")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a key pair, and gives the line of its public half: type and key.
fn make_key(directory: &Path, algorithm: &str) -> String {
    let path = directory.join(algorithm).to_str().unwrap().to_owned();
    let made = keygen(&["-q", "-t", algorithm, "-N", "", "-C", "", "-f", &path]);
    assert!(made.status.success(), "{made:?}");
    std::fs::read_to_string(format!("{path}.pub")).unwrap().trim().to_owned()
}

fn blob(public: &str) -> Vec<u8> {
    STANDARD.decode(public.split(' ').nth(1).unwrap()).unwrap()
}

#[test]
fn the_fingerprint_is_the_one_that_ssh_keygen_prints() {
    let directory = tempfile::tempdir().unwrap();
    for algorithm in ["ed25519", "ecdsa", "rsa"] {
        let public = make_key(directory.path(), algorithm);
        let file = directory.path().join(format!("{algorithm}.pub"));
        let printed = said(&keygen(&["-l", "-f", file.to_str().unwrap()]));
        let expected = printed.split(' ').nth(1).unwrap();
        assert_eq!(Fingerprint::of(&blob(&public)).to_string(), expected);
        assert_eq!(expected.parse::<Fingerprint>().unwrap(), Fingerprint::of(&blob(&public)));
    }
}

#[test]
fn hosts_are_found_where_ssh_keygen_finds_them() {
    let directory = tempfile::tempdir().unwrap();
    let (ed, ecdsa) = (make_key(directory.path(), "ed25519"), make_key(directory.path(), "ecdsa"));
    let text = format!(
        "# the fleet\n\
         web-1,10.0.0.1 {ed} root@web-1\n\
         [web-1]:2222 {ecdsa}\n\
         *.example.org,!db.example.org {ed}\n\
         [10.0.?.9]:22* {ecdsa}\n\
         Mixed.Case {ed}\n\
         ::1,[::1]:2222 {ed}\n\
         @revoked old-* {ed}\n\
         @cert-authority *.cert.example {ed}\n"
    );
    let plain = directory.path().join("known_hosts");
    std::fs::write(&plain, text).unwrap();
    let hashed = directory.path().join("hashed");
    std::fs::copy(&plain, &hashed).unwrap();
    let made = keygen(&["-q", "-H", "-f", hashed.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    assert!(std::fs::read_to_string(&hashed).unwrap().contains("|1|"));

    for file in [&plain, &hashed] {
        let known = KnownHosts::load(file).unwrap();
        let mut found = 0;
        for host in [
            "web-1",
            "WEB-1",
            "10.0.0.1",
            "web-2",
            "a.example.org",
            "db.example.org",
            "example.org",
            "10.0.3.9",
            "10.0.33.9",
            "mixed.case",
            "::1",
            "old-1",
            "a.cert.example",
        ] {
            for port in [22, 2222, 2022] {
                // ssh(1) asks in lower case.
                let host = &host.to_lowercase();
                let name = if port == 22 { host.clone() } else { format!("[{host}]:{port}") };
                let printed = said(&keygen(&["-F", &name, "-f", file.to_str().unwrap()]));
                let lines: Vec<&str> =
                    printed.lines().filter(|line| !line.starts_with('#')).collect();
                let of = |line: &&str| !line.starts_with('@');
                for (key, algorithm) in [(&ed, "ssh-ed25519"), (&ecdsa, "ecdsa-sha2-nistp256")] {
                    let listed =
                        lines.iter().filter(|line| of(line)).any(|l| l.contains(algorithm));
                    let listed_revoked = lines
                        .iter()
                        .any(|line| line.starts_with("@revoked") && line.contains(algorithm));
                    let verdict = known.check(host, port, &blob(key));
                    match &verdict {
                        HostKeyVerdict::Known => assert!(listed, "{name} {algorithm}"),
                        HostKeyVerdict::Changed { known } => {
                            assert!(!listed && !known.is_empty(), "{name} {algorithm}");
                        }
                        HostKeyVerdict::Unknown => {
                            assert!(!lines.iter().any(of), "{name} {algorithm}: {printed}");
                        }
                        // What is revoked without a port is so at every port.
                        HostKeyVerdict::Revoked => {
                            assert!(listed_revoked || (port != 22 && host == "old-1"), "{name}");
                        }
                    }
                    assert_eq!(verdict == HostKeyVerdict::Known, listed, "{name} {algorithm}");
                    let known = known.algorithms(host, port);
                    assert_eq!(known.iter().any(|a| a == algorithm), listed, "{name} {algorithm}");
                    found += usize::from(listed);
                }
            }
        }
        assert!(found >= 8, "the names that are asked for are in the file: {found}");
    }
}

#[tokio::test]
async fn a_real_host_is_let_in_by_known_hosts_and_nobody_logs_in_to_another() {
    let sshd = Sshd::start();
    let public = std::fs::read_to_string(sshd.path("host.pub")).unwrap();
    let port = sshd.address.port();
    let judged = async |text: String| {
        let known = HostKeys::known_hosts(KnownHosts::parse(text.as_bytes()).unwrap());
        let connector = sshd.builder().host_keys(known).build().unwrap();
        match connector.open(&context(), &sshd.endpoint()).await {
            Ok(_) => "let in".to_owned(),
            Err(ConnectError::Rejected { reason, .. }) => reason,
            Err(other) => panic!("{other:?}"),
        }
    };
    let other = make_key(sshd.directory.path(), "ed25519");
    let refused = [
        (format!("web-1 {public}"), "no key is known of it"),
        // A name without a port is not about another port.
        (format!("127.0.0.1 {public}"), "no key is known of it"),
        (format!("[127.0.0.1]:{port} {other}"), "and known is ssh-ed25519 SHA256:"),
        (format!("[127.0.0.1]:{port} {public}@revoked * {public}"), "is revoked"),
    ];
    for (text, expected) in refused {
        let reason = judged(text).await;
        assert!(reason.contains(expected), "{reason}");
        assert!(
            !reason.contains("let in") && reason.contains(&sshd.fingerprint().to_string()),
            "{reason}"
        );
    }
    assert!(!sshd.log().contains("userauth-request"), "{}", sshd.log());
    assert_eq!(
        judged(format!("[127.0.0.1]:{port} {other}\n[127.*]:{port} {public}")).await,
        "let in"
    );
}
