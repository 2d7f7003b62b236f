//! Who the host is, and who we are.

use std::process::{Command, Stdio};

use deploy_core::{ConnectError, Secret};
use deploy_ssh::{Auth, HostKeys, SshConnector};

use crate::support::{Sshd, context, make_key, make_key_of};

fn reason(error: ConnectError) -> String {
    match error {
        ConnectError::Rejected { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_host_with_another_key_learns_nothing_about_us() {
    let sshd = Sshd::start();
    make_key(&sshd.path("other"), "");
    std::fs::rename(sshd.path("host.pub"), sshd.path("true.pub")).unwrap();
    std::fs::rename(sshd.path("other.pub"), sshd.path("host.pub")).unwrap();
    let pinned = HostKeys::pinned([sshd.fingerprint()]);
    let connector = sshd.builder().host_keys(pinned).build().unwrap();
    let error = connector.open(&context(), &sshd.endpoint()).await.unwrap_err();
    assert!(reason(error).contains("none of those that are pinned"));
    assert!(!sshd.log().contains("userauth-request"), "{}", sshd.log());
}

#[tokio::test]
async fn a_key_logs_in() {
    let sshd = Sshd::start();
    drop(sshd.session().await);
    assert!(sshd.log().contains("userauth-request for user root"), "{}", sshd.log());
}

#[tokio::test]
async fn an_encrypted_key_logs_in_with_its_passphrase_alone() {
    let sshd = Sshd::start();
    make_key(&sshd.path("locked"), "canary");
    std::fs::copy(sshd.path("locked.pub"), sshd.path("authorized")).unwrap();
    let builder = || SshConnector::builder().host_keys(HostKeys::pinned([sshd.fingerprint()]));
    let key = |passphrase| Auth::encrypted_key_file(sshd.path("locked"), Secret::new(passphrase));
    let open = async |auth| {
        let connector = builder().auth(auth).build().unwrap();
        connector.open(&context(), &sshd.endpoint()).await
    };
    open(key("canary")).await.unwrap();
    let text = Secret::new(std::fs::read_to_string(sshd.path("locked")).unwrap());
    open(Auth::encrypted_key(text.clone(), Secret::new("canary"))).await.unwrap();
    for wrong in [key("wrong"), Auth::key_file(sshd.path("locked")), Auth::key(text)] {
        let reason = reason(open(wrong).await.unwrap_err());
        assert!(reason.contains("no login as root: ") && !reason.contains("canary"), "{reason}");
    }
}

#[tokio::test]
async fn keys_of_all_kinds_log_in() {
    let sshd = Sshd::start();
    for (kind, bits) in [("ecdsa", "256"), ("ecdsa", "521"), ("rsa", "3072"), ("ed25519", "256")] {
        let path = sshd.path(&format!("{kind}-{bits}"));
        make_key_of(kind, bits, &path, "");
        std::fs::copy(path.with_extension("pub"), sshd.path("authorized")).unwrap();
        let builder = SshConnector::builder().host_keys(HostKeys::pinned([sshd.fingerprint()]));
        let connector = builder.auth(Auth::key_file(&path)).build().unwrap();
        let opened = connector.open(&context(), &sshd.endpoint()).await;
        assert!(opened.is_ok(), "{kind} {bits} {opened:?} {}", sshd.log());
    }
}

#[tokio::test]
async fn rsa_keys_log_in_from_files_of_all_formats_and_by_sha2_alone() {
    let sshd = Sshd::start();
    let builder = || SshConnector::builder().host_keys(HostKeys::pinned([sshd.fingerprint()]));
    for (format, passphrase) in [("RFC4716", ""), ("RFC4716", "x"), ("PEM", ""), ("PKCS8", "")] {
        let path = sshd.path(&format!("rsa-{format}{passphrase}"));
        make_key_of("rsa", "2048", &path, "");
        let mut rewrite = Command::new("ssh-keygen");
        rewrite.args(["-q", "-p", "-P", "", "-N", passphrase, "-m", format, "-f"]).arg(&path);
        assert!(rewrite.stdout(Stdio::null()).status().unwrap().success());
        std::fs::copy(path.with_extension("pub"), sshd.path("authorized")).unwrap();
        let auth = Auth::encrypted_key_file(&path, Secret::new(passphrase));
        let connector = builder().auth(auth).build().unwrap();
        for takes in ["rsa-sha2-512,rsa-sha2-256", "rsa-sha2-256"] {
            sshd.add(&format!("PubkeyAcceptedAlgorithms {takes}"));
            let opened = connector.open(&context(), &sshd.endpoint()).await;
            assert!(opened.is_ok(), "{format} {takes} {opened:?} {}", sshd.log());
        }
    }
    let path = sshd.path("rsa-PEM");
    let sshd = Sshd::with("PubkeyAcceptedAlgorithms ssh-rsa");
    std::fs::copy(path.with_extension("pub"), sshd.path("authorized")).unwrap();
    let builder = SshConnector::builder().host_keys(HostKeys::pinned([sshd.fingerprint()]));
    let connector = builder.auth(Auth::key_file(&path)).build().unwrap();
    let refused = reason(connector.open(&context(), &sshd.endpoint()).await.unwrap_err());
    assert!(refused.contains("did not accept the key"), "{refused}");
}

#[tokio::test]
async fn host_keys_of_all_kinds_are_checked_and_sha1_is_not_used() {
    for (kind, bits) in [("ecdsa", "256"), ("ecdsa", "384"), ("rsa", "3072")] {
        let sshd = Sshd::start();
        std::fs::remove_file(sshd.path("host")).unwrap();
        std::fs::remove_file(sshd.path("host.pub")).unwrap();
        make_key_of(kind, bits, &sshd.path("host"), "");
        drop(sshd.session().await);
        if kind == "rsa" {
            sshd.add("HostKeyAlgorithms ssh-rsa");
            let connector = sshd.builder().build().unwrap();
            let error = connector.open(&context(), &sshd.endpoint()).await.unwrap_err();
            assert!(reason(error).contains("no safe way"));
        }
    }
}

#[tokio::test]
async fn algorithms_that_are_not_safe_are_refused() {
    for lines in [
        "KexAlgorithms diffie-hellman-group14-sha1",
        "Ciphers aes256-cbc",
        "Ciphers aes128-ctr\nMACs hmac-sha1",
    ] {
        let sshd = Sshd::with(lines);
        let connector = sshd.builder().build().unwrap();
        let error = connector.open(&context(), &sshd.endpoint()).await.unwrap_err();
        assert!(reason(error).contains("no safe way"), "{lines}");
        assert!(!sshd.log().contains("userauth-request"), "{}", sshd.log());
    }
    for lines in ["Ciphers aes256-gcm@openssh.com", "Ciphers aes128-ctr\nMACs hmac-sha2-512"] {
        drop(Sshd::with(lines).session().await);
    }
}

#[tokio::test]
async fn an_agent_logs_in_with_one_of_its_keys() {
    let sshd = Sshd::start();
    let socket = sshd.path("agent");
    let mut agent = Command::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("apt-get install openssh-client");
    while !socket.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let add = |name: &str| {
        let mut add = Command::new("ssh-add");
        add.env("SSH_AUTH_SOCK", &socket).arg("-q").arg(sshd.path(name));
        assert!(add.status().unwrap().success());
    };
    make_key(&sshd.path("other"), "");
    add("other");
    let builder = || SshConnector::builder().host_keys(HostKeys::pinned([sshd.fingerprint()]));
    let connector = builder().auth(Auth::agent(&socket)).build().unwrap();
    let refused = connector.open(&context(), &sshd.endpoint()).await.unwrap_err();
    add("client");
    let opened = connector.open(&context(), &sshd.endpoint()).await;
    let missing = builder().auth(Auth::agent(sshd.path("nowhere"))).build().unwrap();
    let missing = missing.open(&context(), &sshd.endpoint()).await.unwrap_err();
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(opened.is_ok(), "{opened:?}");
    assert!(reason(refused).contains("1 keys were refused"));
    assert!(reason(missing).contains("nowhere"));
}

#[tokio::test]
async fn a_refusal_names_what_was_tried_and_what_is_allowed() {
    let sshd = Sshd::start();
    std::fs::write(sshd.path("authorized"), "").unwrap();
    let builder = sshd.builder().auth(Auth::key_file("/nowhere"));
    let connector = builder.auth(Auth::password(Secret::new("canary"))).build().unwrap();
    let reason = reason(connector.open(&context(), &sshd.endpoint()).await.unwrap_err());
    let client = sshd.path("client").display().to_string();
    let start = format!("no login as root: the host did not accept the key {client}; ");
    assert!(reason.starts_with(&start) && reason.ends_with("; it takes publickey"), "{reason}");
    for part in ["the key /nowhere: the file could not be read", "a password"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert!(!reason.contains("canary"));
}

#[tokio::test]
async fn a_server_that_breaks_off_after_too_many_tries_is_a_refusal() {
    let sshd = Sshd::with("MaxAuthTries 2");
    let mut builder = SshConnector::builder().host_keys(HostKeys::pinned([sshd.fingerprint()]));
    for number in 0..4 {
        let path = sshd.path(&format!("other-{number}"));
        make_key(&path, "");
        builder = builder.auth(Auth::key_file(path));
    }
    let connector = builder.build().unwrap();
    let reason = reason(connector.open(&context(), &sshd.endpoint()).await.unwrap_err());
    assert!(reason.contains("broke off"), "{reason}");
}

#[tokio::test]
async fn nothing_of_us_is_forwarded() {
    let sshd = Sshd::with("AcceptEnv *\nAllowAgentForwarding yes\nX11Forwarding yes");
    let session = sshd.session().await;
    let ran = crate::support::run(&session, "env; ls -l /proc/self/fd", Vec::new()).await;
    let text = ran.text();
    assert!(text.contains("SSH_CONNECTION"), "{text}");
    for name in ["SSH_AUTH_SOCK", "DISPLAY=", "CARGO_", "deploy_"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
}
