//! Keys of hosts and of the fleet's client, made by ssh-keygen.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools;

const PACKAGE: &str = "openssh-client";

/// Where ssh-keygen puts the public half.
fn public_half(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Makes a key without a passphrase at a path; what was there goes. Gives its public half: type and
/// base64.
pub(super) fn make(path: &Path) -> io::Result<String> {
    let public = public_half(path);
    for old in [path, &public] {
        match fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "deploy-testkit", "-f"]).arg(path);
    tools::run(PACKAGE, &mut command, "")?;
    let line = fs::read_to_string(public)?;
    Ok(line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// The fingerprint of a key as OpenSSH shows it: `SHA256:…`.
pub(super) fn fingerprint(path: &Path) -> io::Result<String> {
    let mut command = Command::new("ssh-keygen");
    command.arg("-l").arg("-f").arg(public_half(path));
    let line = tools::run(PACKAGE, &mut command, "")?;
    let print = line.split_whitespace().nth(1).map(str::to_owned);
    print.ok_or_else(|| tools::error(format!("ssh-keygen gave no fingerprint: {line}")))
}
