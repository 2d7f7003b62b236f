//! A real sshd on a port of its own, and what connects to it.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use deploy_core::model::{Endpoint, TaskId};
use deploy_core::{CommandIo, Context, Exit, Session, SessionError, pipe};
use deploy_ssh::{Auth, Fingerprint, HostKeys, SshConnector, SshConnectorBuilder, SshSession};
use tempfile::TempDir;

/// An sshd that is started for each connection, in inetd's way.
pub(crate) struct Sshd {
    pub(crate) directory: TempDir,
    pub(crate) address: SocketAddr,
    children: Arc<Mutex<Vec<Child>>>,
    stop: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Sshd {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// Starts one whose configuration has more lines.
    pub(crate) fn with(lines: &str) -> Self {
        Self::wrapped(lines, &[])
    }

    /// Starts one behind other words, such as `unshare -m`.
    pub(crate) fn wrapped(lines: &str, words: &[&str]) -> Self {
        assert!(Path::new("/usr/sbin/sshd").exists(), "apt-get install openssh-server");
        fs::create_dir_all("/run/sshd").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        make_key(&path("host"), "");
        make_key(&path("client"), "");
        fs::copy(path("client.pub"), path("authorized")).unwrap();
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             LogLevel DEBUG1\n{lines}\n",
            path("host").display(),
            path("authorized").display(),
        );
        fs::write(path("config"), config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let children = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let listening = std::thread::spawn({
            let (children, stop) = (Arc::clone(&children), Arc::clone(&stop));
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let (config, log) = (path("config"), path("log"));
            move || {
                while let Ok((stream, _)) = listener.accept() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    children.lock().unwrap().push(serve(stream, &words, &config, &log));
                }
            }
        });
        Self { directory, address, children, stop, listening: Some(listening) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::new(&format!("ssh://root@{}", self.address)).unwrap()
    }

    /// The fingerprint of its key.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        fingerprint_of(&self.path("host"))
    }

    /// Adds a line to its configuration, for the connections to come.
    pub(crate) fn add(&self, line: &str) {
        let config = fs::read_to_string(self.path("config")).unwrap();
        fs::write(self.path("config"), format!("{config}{line}\n")).unwrap();
    }

    /// How many connections it was asked for.
    pub(crate) fn connections(&self) -> usize {
        self.children.lock().unwrap().len()
    }

    pub(crate) fn builder(&self) -> SshConnectorBuilder {
        SshConnector::builder()
            .host_keys(HostKeys::pinned([self.fingerprint()]))
            .auth(Auth::key_file(self.path("client")))
    }

    pub(crate) async fn session(&self) -> SshSession {
        let connector = self.builder().build().unwrap();
        connector.open(&context(), &self.endpoint()).await.unwrap()
    }

    /// What it has written to its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Kills what serves the connections.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
    }

    /// Signals what serves the connections, and nothing that was started over them.
    pub(crate) fn signal(&self, name: &str) {
        for child in self.children.lock().unwrap().iter() {
            for pid in descendants(child.id()) {
                let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
                if comm.is_ok_and(|comm| comm.trim() == "sshd") {
                    signal(pid, name);
                }
            }
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
        self.kill();
        for child in self.children.lock().unwrap().iter_mut() {
            let _ = child.wait();
        }
    }
}

fn serve(stream: TcpStream, words: &[String], config: &Path, log: &Path) -> Child {
    let mut line: Vec<&str> = words.iter().map(String::as_str).collect();
    line.extend(["/usr/sbin/sshd", "-i"]);
    let stdin = OwnedFd::from(stream);
    Command::new(line[0])
        .args(&line[1..])
        .arg("-f")
        .arg(config)
        .arg("-E")
        .arg(log)
        .stdout(Stdio::from(stdin.try_clone().unwrap()))
        .stdin(Stdio::from(stdin))
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Makes a key, encrypted with a passphrase unless that is empty.
pub(crate) fn make_key(path: &Path, passphrase: &str) {
    make_key_of("ed25519", "256", path, passphrase);
}

pub(crate) fn make_key_of(kind: &str, bits: &str, path: &Path, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-b", bits, "-N", passphrase, "-f"])
        .arg(path)
        .status()
        .expect("apt-get install openssh-client");
    assert!(made.success());
}

/// The fingerprint of a key.
pub(crate) fn fingerprint_of(path: &Path) -> Fingerprint {
    let path = path.with_extension("pub");
    let said = Command::new("ssh-keygen").arg("-lf").arg(path).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    said.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub(crate) fn signal(pid: u32, signal: &str) {
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status();
}

/// A process and all that descends from it.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while next < all.len() {
        let path = format!("/proc/{0}/task/{0}/children", all[next]);
        let children = fs::read_to_string(path).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        next += 1;
    }
    all
}

pub(crate) fn context() -> Context {
    Context::new(TaskId::new("task-1").unwrap())
}

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Result<Exit, SessionError>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Ran {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Runs a script to its end with a given input.
pub(crate) async fn run(session: &dyn Session, script: &str, input: Vec<u8>) -> Ran {
    run_with(session, context(), script, input).await
}

pub(crate) async fn run_with(
    session: &dyn Session,
    cx: Context,
    script: &str,
    input: Vec<u8>,
) -> Ran {
    let (stdin, their_stdin) = pipe(2);
    let (their_stdout, mut stdout) = pipe(2);
    let (their_stderr, mut stderr) = pipe(2);
    let io = CommandIo::new(their_stdin, their_stdout, their_stderr);
    let feeding = async move {
        for chunk in input.chunks(256 * 1024) {
            if stdin.write(chunk.to_vec()).await.is_err() {
                break;
            }
        }
    };
    let read = |reader: &mut deploy_core::PipeReader| {
        let mut all = Vec::new();
        let reader = std::mem::replace(reader, deploy_core::PipeReader::empty());
        async move {
            let mut reader = reader;
            while let Some(chunk) = reader.read().await {
                all.extend(chunk);
            }
            all
        }
    };
    let (exit, (), stdout, stderr) = tokio::join!(
        session.run(cx, script.to_owned(), io),
        feeding,
        read(&mut stdout),
        read(&mut stderr)
    );
    Ran { exit, stdout, stderr }
}
