//! The release bot, built for speed, with an agent and hosts that are directories.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Builds the release bot and gives its path.
///
/// # Errors
///
/// When it does not build.
pub fn build() -> Result<PathBuf, AnyError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--example", "release_bot"])
        .current_dir(&root)
        .status()?;
    if !built.success() {
        return Err("the release bot does not build".into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    Ok(target.join("release/examples/release_bot"))
}

/// A running agent; killed when it is dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Agent {
    /// The id of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts an agent in a directory, for hosts `h1` … `hN` below it, and writes `inventory.toml` there,
/// which leads to it.
///
/// # Errors
///
/// When something cannot be written or started.
pub fn start_agent(bot: &Path, directory: &Path, hosts: usize) -> Result<Agent, AnyError> {
    let project = "[[project]]\nbusiness = \"b\"\nname = \"p\"\nhosts = [\"h*\"]\nroot = \"/srv/p\"\n";
    let host = |n: usize, way: &str| {
        format!("[[host]]\nname = \"h{n}\"\naddress = \"127.0.0.1\"\n{way}\n\n")
    };
    let own = |n| host(n, &format!("endpoint = \"local:{}/h{n}\"", directory.display()));
    let own: String = (1..=hosts).map(own).collect();
    std::fs::write(directory.join("agent.toml"), own + project)?;
    std::fs::write(directory.join("token"), "a-token-of-the-benches")?;
    let mut child = Command::new(bot)
        .args(["agent", "--listen", "127.0.0.1:0", "--state"])
        .arg(directory.join("agent"))
        .arg("--inventory")
        .arg(directory.join("agent.toml"))
        .arg("--token-file")
        .arg(directory.join("token"))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let address = line.trim().rsplit('/').next().unwrap_or("").parse()?;
    let agent =
        format!("[[agent]]\nname = \"a\"\nendpoint = \"http://{address}\"\ntoken_file = \"token\"\n\n");
    let through: String = (1..=hosts).map(|n| host(n, "agent = \"a\"")).collect();
    std::fs::write(directory.join("inventory.toml"), agent + &through + project)?;
    Ok(Agent { child, address })
}

/// The command that deploys a package to all hosts at once, at most `parallel` at a time.
///
/// # Errors
///
/// When the request cannot be written.
pub fn deploy(
    bot: &Path,
    directory: &Path,
    url: &str,
    md5: &str,
    parallel: usize,
) -> Result<Command, AnyError> {
    let request = format!(
        r#"{{"business": "b", "project": "p", "package": {{"url": "{url}", "md5": "{md5}"}},
            "rollout": {{"batches": ["100%"], "max_parallel": {parallel}}}, "release": {{"keep": 3}}}}"#
    );
    std::fs::write(directory.join("request.json"), request)?;
    let mut command = Command::new(bot);
    command
        .arg("deploy")
        .arg(directory.join("request.json"))
        .arg("--inventory")
        .arg(directory.join("inventory.toml"))
        .arg("--state")
        .arg(directory.join("control"))
        .stdout(Stdio::null());
    Ok(command)
}
