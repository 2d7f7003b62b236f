//! A directory with everything a release bot needs: packages and their server, inventories, agents.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use deploy_core::model::Md5Digest;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

/// The program under test. Cargo builds the examples of a package with its tests.
pub(crate) fn bot() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/release_bot");
    assert!(program.is_file(), "{program:?} is missing: cargo build --examples builds it");
    program
}

/// A package with one file and a script.
pub(crate) fn package(version: &str) -> Vec<u8> {
    let run = b"#!/bin/sh\necho \"$DEPLOY_HOST $DEPLOY_HOOK\" >> \"$DEPLOY_ROOT/runs\"\n";
    package_of(&[("VERSION", 0o644, version.as_bytes()), ("run", 0o755, run)])
}

/// A package with these files: path, mode, content.
pub(crate) fn package_of(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, mode, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(*mode);
        archive.append_data(&mut header, Path::new(path), *bytes).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// The files of a server, by path; the last one of a path counts.
type Files = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Serves bytes by path over HTTP, one thread a connection.
#[derive(Debug)]
pub(crate) struct PackageServer {
    pub(crate) address: SocketAddr,
    files: Files,
}

impl PackageServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let files = Files::default();
        let served = Arc::clone(&files);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = Arc::clone(&served);
                std::thread::spawn(move || answer(stream, &served));
            }
        });
        Self { address, files }
    }

    /// Serves a file, and gives its URL.
    pub(crate) fn serve(&self, name: &str, bytes: Vec<u8>) -> String {
        self.files.lock().unwrap().push((format!("/{name}"), bytes));
        format!("http://{}/{name}", self.address)
    }
}

fn answer(mut stream: std::net::TcpStream, files: &Files) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = first.split(' ').nth(1).unwrap_or("").to_owned();
    let file = files.lock().unwrap().iter().rfind(|(name, _)| *name == path).cloned();
    let (status, body) = match file {
        Some((_, bytes)) => ("200 OK", bytes),
        None => ("404 Not Found", Vec::new()),
    };
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // The other side may be killed in the middle: that is what some tests are about.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

/// A running agent; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Agent {
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it TERM, and gives its exit status.
    #[cfg(feature = "ssh")]
    pub(crate) fn terminate(mut self) -> Option<i32> {
        terminate(&self.child);
        self.child.wait().unwrap().code()
    }
}

/// Sends TERM to a process.
pub(crate) fn terminate(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The directory, with hosts `h1` … `hN`.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) packages: PackageServer,
    hosts: usize,
}

impl World {
    pub(crate) fn new(hosts: usize) -> Self {
        let world = Self {
            directory: tempfile::tempdir().unwrap(),
            packages: PackageServer::start(),
            hosts,
        };
        let direct: String = (1..=hosts).map(|n| world.host_entry(n)).collect();
        world.write("direct.toml", &(direct + PROJECT));
        world.write("agent.token", "a-token-of-the-tests\n");
        world
    }

    fn host_entry(&self, number: usize) -> String {
        let path = self.path(&format!("h{number}"));
        format!(
            "[[host]]\nname = \"h{number}\"\naddress = \"127.0.0.1\"\nendpoint = \"local:{}\"\n\n",
            path.display()
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts an agent for all hosts and writes `inventory.toml`, which leads to it.
    pub(crate) fn agent(&self, listen: &str) -> Agent {
        let agent = self.start_agent(listen);
        self.lead_to(agent.address);
        agent
    }

    /// Starts an agent for all hosts.
    pub(crate) fn start_agent(&self, listen: &str) -> Agent {
        self.start_agent_with(listen, &[])
    }

    /// The same, with further arguments.
    pub(crate) fn start_agent_with(&self, listen: &str, arguments: &[&str]) -> Agent {
        let mut child = Command::new(bot())
            .args(["agent", "--listen", listen, "--state"])
            .arg(self.path("agent-state"))
            .arg("--inventory")
            .arg(self.path("direct.toml"))
            .arg("--token-file")
            .arg(self.path("agent.token"))
            .args(arguments)
            .current_dir(self.directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, address) = line.trim().split_once("://").unwrap();
        let address = address.parse().unwrap();
        Agent { child, address }
    }

    /// Writes `inventory.toml`, which leads to an agent at an address.
    pub(crate) fn lead_to(&self, address: SocketAddr) {
        let names: Vec<_> = (1..=self.hosts).map(|number| format!("h{number}")).collect();
        self.lead_to_hosts(address, &names, Path::new("/srv/app"));
    }

    /// The same for hosts with these names, on which the project lives at a path.
    pub(crate) fn lead_to_hosts(&self, address: SocketAddr, names: &[String], root: &Path) {
        let host = |name: &String| {
            format!("[[host]]\nname = \"{name}\"\naddress = \"127.0.0.1\"\nagent = \"east\"\n\n")
        };
        let hosts: String = names.iter().map(host).collect();
        let agent = format!(
            "[[agent]]\nname = \"east\"\nendpoint = \"http://{address}\"\ntoken_file = \"agent.token\"\n\n"
        );
        let project = PROJECT.replace("/srv/app", &root.display().to_string());
        self.write("inventory.toml", &(agent + &hosts + &project));
    }

    /// Writes a request for a version of the package.
    pub(crate) fn request(&self, id: &str, bytes: &[u8], more: &str) -> PathBuf {
        let url = self.packages.serve(&format!("app-{id}.tar.gz"), bytes.to_vec());
        let md5 = Md5Digest::of(bytes);
        let text = format!(
            r#"{{"id": "{id}", "business": "b", "project": "p", "work_order": "WO-1",
                "package": {{"url": "{url}", "md5": "{md5}"}} {more}}}"#
        );
        self.write(&format!("{id}.json"), &text)
    }

    /// The command that deploys a request.
    pub(crate) fn deploy(&self, request: &Path, inventory: &str) -> Command {
        let mut command = Command::new(bot());
        command.arg("deploy").arg(request).arg("--inventory").arg(self.path(inventory));
        command
    }

    /// The same, keeping what was accepted in the directory `state`.
    pub(crate) fn deploy_with_state(&self, request: &Path, inventory: &str) -> Command {
        let mut command = self.deploy(request, inventory);
        command.arg("--state").arg(self.path("state"));
        command
    }

    /// What the current release of a host says its version is.
    pub(crate) fn version(&self, host: usize) -> Option<String> {
        let path = self.path(&format!("h{host}/srv/app/current/VERSION"));
        std::fs::read_to_string(path).ok()
    }

    /// How often a hook ran on a host.
    pub(crate) fn runs(&self, host: usize) -> usize {
        let path = self.path(&format!("h{host}/srv/app/runs"));
        std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
    }
}

const PROJECT: &str = r#"
[[project]]
business = "b"
name = "p"
hosts = ["h*"]
root = "/srv/app"
"#;

/// The standard output and standard error of a program, as text.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n---\n{}", text(&output.stdout), text(&output.stderr))
}
