//! Running the programs of the system that a fleet is made of, and saying which package has a missing one.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// An error that a person reads.
pub(super) fn error(text: impl Into<String>) -> io::Error {
    io::Error::other(text.into())
}

/// The path of sshd, which is not on everybody's `PATH`.
pub(super) fn sshd() -> io::Result<PathBuf> {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| error("sshd is missing; apt-get install openssh-server"))
}

/// Runs a program to its end with an input, and gives what it wrote. `package` has the program.
pub(super) fn run(package: &str, command: &mut Command, input: &str) -> io::Result<String> {
    let name = Path::new(command.get_program()).display().to_string();
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => error(format!("{name} is missing; apt-get install {package}")),
        _ => source,
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that reads nothing has its reasons, and its status tells.
        let _ = stdin.write_all(input.as_bytes());
    }
    let Output { status, stdout, stderr } = child.wait_with_output()?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&stderr);
    Err(error(format!("{name} failed with {status}: {}", text.trim())))
}

/// Whether the process may do what root may.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
