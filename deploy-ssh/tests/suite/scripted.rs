//! Servers that do what no sshd does: passwords without PAM, missing and false statuses, old algorithms.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use deploy_core::model::Endpoint;
use deploy_core::{CommandIo, ConnectError, Exit, PipeReader, Secret, Session as _, pipe};
use deploy_ssh::{Auth, Fingerprint, HostKeys, SshConnector, SshConnectorBuilder};
use tempfile::TempDir;

use crate::support::{context, fingerprint_of, make_key, make_key_of, run};

struct Scripted {
    directory: TempDir,
    endpoint: Endpoint,
    fingerprint: Fingerprint,
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Scripted {
    fn start(mode: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("host");
        make_key(&key, "");
        let script =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/suite/scripted_server.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(&key)
            .arg(mode)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut port).unwrap();
        assert!(!port.is_empty(), "apt-get install python3-paramiko");
        let endpoint = Endpoint::new(&format!("ssh://someone@127.0.0.1:{}", port.trim())).unwrap();
        Self { fingerprint: fingerprint_of(&key), directory, endpoint, child, said }
    }

    fn builder(&self) -> SshConnectorBuilder {
        SshConnector::builder().host_keys(HostKeys::pinned([self.fingerprint])).retries(0)
    }

    async fn refusal(&self, auth: Auth) -> String {
        let connector = self.builder().auth(auth).build().unwrap();
        match connector.open(&context(), &self.endpoint).await {
            Err(ConnectError::Rejected { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// How a script ended for a server that lets everybody in who knows the password.
    async fn exit_of(&self, script: &str) -> Result<Exit, String> {
        let auth = Auth::password(Secret::new("right"));
        let connector = self.builder().auth(auth).build().unwrap();
        let session = connector.open(&context(), &self.endpoint).await.unwrap();
        run(&session, script, Vec::new()).await.exit.map_err(|error| format!("{error:?}"))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_password_logs_in() {
    let server = Scripted::start("password");
    assert_eq!(server.exit_of("exit 6").await, Ok(Exit::Exited(6)));
    let refusal = server.refusal(Auth::password(Secret::new("canary"))).await;
    let expected = "the host did not accept a password; it takes password";
    assert!(refusal.ends_with(expected), "{refusal}");
    assert!(!refusal.contains("canary"));
}

#[tokio::test]
async fn answers_to_questions_log_in() {
    let server = Scripted::start("interactive");
    let auth = Auth::interactive(|question| {
        let secret = question.text.starts_with("Password") && !question.is_public;
        Secret::new(if secret { "right" } else { "blue" })
    });
    let connector = server.builder().auth(auth).build().unwrap();
    connector.open(&context(), &server.endpoint).await.unwrap();
    let refusal = server.refusal(Auth::interactive_password(Secret::new("canary"))).await;
    assert!(refusal.contains("answers to questions"), "{refusal}");
    assert!(!refusal.contains("canary"));
}

#[tokio::test]
async fn methods_are_tried_in_their_order_until_one_does() {
    let server = Scripted::start("password");
    let connector = server
        .builder()
        .auth(Auth::key_file("/nowhere"))
        .auth(Auth::password(Secret::new("wrong")))
        .auth(Auth::password(Secret::new("right")));
    connector.build().unwrap().open(&context(), &server.endpoint).await.unwrap();
}

#[tokio::test]
async fn an_rsa_key_signs_with_sha2_for_a_server_that_does_not_say_what_it_takes() {
    // It takes any algorithm, and tells each that is named to it.
    let mut server = Scripted::start("says-nothing");
    let key = server.directory.path().join("rsa");
    make_key_of("rsa", "2048", &key, "");
    let connector = server.builder().auth(Auth::key_file(&key)).build().unwrap();
    connector.open(&context(), &server.endpoint).await.unwrap();
    server.child.kill().unwrap();
    let mut named = String::new();
    server.said.read_to_string(&mut named).unwrap();
    assert_eq!(named, "rsa-sha2-512\nrsa-sha2-512\n");
}

#[tokio::test]
async fn what_is_vulnerable_without_strict_key_exchange_is_not_agreed_on() {
    // This server knows no strict key exchange. It offers a MAC that is vulnerable, and others.
    let server = Scripted::start("password");
    assert_eq!(server.exit_of("true").await, Ok(Exit::Exited(0)));
    let server = Scripted::start("only-etm");
    let refusal = server.refusal(Auth::password(Secret::new("right"))).await;
    assert!(refusal.contains("safe"), "{refusal}");
    let server = Scripted::start("only-old");
    let refusal = server.refusal(Auth::password(Secret::new("right"))).await;
    assert!(refusal.contains("safe"), "{refusal}");
}

#[tokio::test]
async fn no_status_and_no_lie_makes_a_success() {
    for mode in ["cut-none", "cut-zero", "cut-twice"] {
        let server = Scripted::start(mode);
        assert_eq!(server.exit_of("echo now; sleep 100").await, Ok(Exit::Unknown), "{mode}");
    }
    let server = Scripted::start("cut-connection");
    let exit = server.exit_of("echo now; sleep 100").await;
    // The start may be lost with the connection.
    assert!(matches!(exit, Ok(Exit::Lost(_)) | Err(_)), "{exit:?}");
    for mode in ["silent-exec", "zero-exec", "refuse-exec"] {
        let server = Scripted::start(mode);
        let exit = server.exit_of("true").await;
        assert!(exit.as_ref().is_err_and(|error| error.contains("NotStarted")), "{mode} {exit:?}");
    }
}

#[tokio::test]
async fn input_reaches_a_server_that_tells_of_it_late() {
    // Only after half of its window, one of them in the name of a server that tells sooner.
    for mode in ["late-news", "late-news-of-openssh"] {
        let server = Scripted::start(mode);
        let auth = Auth::password(Secret::new("right"));
        // Nothing else wakes this side for a long time.
        let connector = server.builder().auth(auth).silence_timeout(Duration::from_secs(36_000));
        let connector = connector.build().unwrap();
        let session = connector.open(&context(), &server.endpoint).await.unwrap();
        let ran = run(&session, "wc -c", vec![b'x'; 5 << 20]).await;
        assert_eq!(ran.text().trim(), "5242880", "{mode}: {:?}", ran.exit);
    }
}

#[tokio::test]
async fn the_end_is_proved_by_the_host_itself() {
    // The server's own word about the status is not needed, and a false one does no harm.
    for mode in ["no-status", "lying-zero", "late-one"] {
        let server = Scripted::start(mode);
        assert_eq!(server.exit_of("exit 5").await, Ok(Exit::Exited(5)), "{mode}");
        assert_eq!(server.exit_of("exit 0").await, Ok(Exit::Exited(0)), "{mode}");
    }
}

#[tokio::test]
async fn a_signal_is_over_also_when_its_command_complains() {
    // It tells each channel that we close, and the end of the connection.
    let mut server = Scripted::start("noisy-kill");
    let auth = Auth::password(Secret::new("right"));
    let session = server.builder().auth(auth).build().unwrap();
    let session = session.open(&context(), &server.endpoint).await.unwrap();
    let ((stdout, mut said), (stderr, _errors)) = (pipe(1), pipe(1));
    let io = CommandIo::new(PipeReader::empty(), stdout, stderr);
    let script = "echo up; exec sleep 1000".to_owned();
    tokio::select! {
        exit = session.run(context(), script, io) => panic!("{exit:?}"),
        up = said.read() => assert_eq!(up.unwrap(), b"up\n"),
    }
    // The first connection was given up, as this server knows no strict key exchange.
    let mut lines = server.said.by_ref().lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "over");
    let mut closed: Vec<String> = lines.by_ref().take(2).collect();
    closed.sort();
    assert_eq!(closed, ["closed 0", "closed 1"]);
    drop(session);
    assert_eq!(lines.next().unwrap(), "over");
}
