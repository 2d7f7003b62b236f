//! What is said to a host so that it runs a script, and what the host says about it.
//!
//! The command line holds two fixed texts and nothing else, because everybody on the host can read it: a
//! supervisor and a runner. The supervisor starts the runner in a session and process group of its own,
//! waits for it, and tells its status. The runner takes in the script and evaluates it in its own shell; it
//! says "ready" on both streams when it has it, and only then the command's own input is sent, so that it
//! does no harm when `head` reads ahead. What they are not to tell everybody goes over standard input,
//! which shells read byte by byte: the nonces, and the script.
//!
//! Both speak in marks: the byte 0x1e, a nonce of 128 random bits, a word, a line feed. The mark of the
//! end has another nonce than that of the start, which only the supervisor knows.

mod marks;

use std::fs::File;
use std::io::{self, Read as _};

use crate::other_user::Become;

use marks::MARK;
pub(crate) use marks::Marks;

/// What the line for the supervisor begins with.
pub(crate) const BOOT: &str = "deploy-boot ";

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
    format!("{} sh '{}'", line(other, &one_line(SUPERVISOR)), one_line(RUNNER))
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
    let mut sent = Vec::with_capacity(script.len() + 1024);
    if let Some(password) = other.and_then(Become::password) {
        sent.extend_from_slice(password.expose().as_bytes());
        sent.push(b'\n');
    }
    let Nonces { start, end } = nonces;
    // The proof that the script is whole.
    let proof = format!("{MARK}{start}");
    let length = script.len() + proof.len();
    let head = format!("{BOOT}{MARK}{end}\n{proof}\n{length}\n");
    for part in [&head, script, &proof] {
        sent.extend_from_slice(part.as_bytes());
    }
    sent
}

/// A program of ours as one line: it has a command a line, and comments on lines of their own. It holds
/// nothing that any login shell would change between single quotes: neither a quote nor `!`, `\` or a line
/// feed.
fn one_line(program: &str) -> String {
    let lines = program.lines().filter(|line| !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_login_shell_changes_the_command_line() {
        for program in [SUPERVISOR, RUNNER] {
            let line = one_line(program);
            assert!(!line.contains(['\'', '!', '\\', '\n']), "{line}");
        }
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
        assert_eq!(text, "deploy-boot \x1ebb\n\x1eaa\n10\necho\nx\n\x1eaa");
    }
}
