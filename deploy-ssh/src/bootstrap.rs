//! What is said to a host so that it runs a script, and what the host says about it.
//!
//! The command line holds a fixed text and nothing else, because everybody on the host can read it.
//! All the rest goes over standard input: a supervisor, a runner, the script. The supervisor starts
//! the runner in a session and process group of its own, waits for it, and tells its status. The runner
//! takes in the script and evaluates it in its own shell; it says "ready" on both streams when it has
//! it, and only then the command's own input is sent, so that it does no harm when `head` reads ahead.
//!
//! Both speak in marks: the byte 0x1e, a nonce of 128 random bits, a word, a line feed. The mark of the
//! end has another nonce than that of the start, which only the supervisor knows.

mod marks;

use std::fs::File;
use std::io::{self, Read as _};

use crate::other_user::Become;

pub(crate) use marks::Marks;

/// Starts the reading of what follows. It holds nothing that any login shell would change between
/// single quotes: neither a quote nor `!`, `\` or a line feed. Lines that are not for it are passed
/// over: a password that nobody asked for.
const LISTEN: &str = r#"while IFS= read -r deploy_b; do case $deploy_b in ": deploy-boot;"*) eval "$deploy_b"; exit ;; esac; done; exit 125"#;

const SUPERVISOR: &str = include_str!("bootstrap/host.sh");
const RUNNER: &str = include_str!("bootstrap/runner.sh");

/// The two nonces of one run, in hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Nonces {
    pub(crate) start: String,
    pub(crate) end: String,
}

impl Nonces {
    /// Makes them from the system's source of randomness.
    pub(crate) fn new() -> io::Result<Self> {
        let mut bytes = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { start: hex(&bytes[..16]), end: hex(&bytes[16..]) })
    }
}

/// The command line that the login shell gets.
pub(crate) fn command_line(other: Option<&Become>) -> String {
    line(other, LISTEN)
}

/// The command line that signals the group of a command, or its leader where it leads none.
pub(crate) fn kill_line(other: Option<&Become>, group: u32, signal: &str) -> String {
    line(other, &format!("kill -{signal} -{group} 2>/dev/null || kill -{signal} {group}"))
}

fn line(other: Option<&Become>, program: &str) -> String {
    let plain = || format!("/bin/sh -c '{program}'");
    format!("exec {}", other.map_or_else(plain, |other| other.command(program)))
}

/// What is sent before the command's own input. `script` holds no NUL.
pub(crate) fn preamble(other: Option<&Become>, nonces: &Nonces, script: &str) -> Vec<u8> {
    let mut sent = Vec::with_capacity(script.len() + 2048);
    if let Some(password) = other.and_then(Become::password) {
        sent.extend_from_slice(password.expose().as_bytes());
        sent.push(b'\n');
    }
    let Nonces { start, end } = nonces;
    let length = script.len() + start.len();
    for line in [
        &format!(": deploy-boot; {}", one_line(SUPERVISOR)),
        end,
        &one_line(RUNNER),
        start,
        &length.to_string(),
    ] {
        sent.extend_from_slice(line.as_bytes());
        sent.push(b'\n');
    }
    sent.extend_from_slice(script.as_bytes());
    // The proof that the script is whole.
    sent.extend_from_slice(start.as_bytes());
    sent
}

/// A program of ours as one line: it has a command a line, and comments on lines of their own.
fn one_line(program: &str) -> String {
    let lines = program.lines().filter(|line| !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_login_shell_changes_the_command_line() {
        assert!(!LISTEN.contains(['\'', '!', '\\', '\n']));
    }

    #[test]
    fn the_nonces_are_not_the_same_twice() {
        let (one, other) = (Nonces::new().unwrap(), Nonces::new().unwrap());
        assert_eq!(one.start.len(), 32);
        assert!(one.start != one.end && one.start != other.start && one.end != other.end);
    }

    #[test]
    fn the_script_is_the_last_thing_before_the_commands_own_input() {
        let nonces = Nonces { start: "aa".to_owned(), end: "bb".to_owned() };
        let sent = preamble(None, &nonces, "echo\nx\n");
        let text = String::from_utf8(sent).unwrap();
        assert!(text.ends_with("\naa\n9\necho\nx\naa"), "{text}");
        assert_eq!(text.lines().count(), 8);
    }
}
