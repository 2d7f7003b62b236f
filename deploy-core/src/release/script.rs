//! The program that runs on a host: our own fixed text, after assignments whose values are quoted.

mod lists;
mod values;

use std::fmt::Write as _;

use super::confirm::Pass;
use super::job::Bundle;
use super::quote::{HasNul, assign};
use crate::model::{Fence, ReleaseId, ReleaseTask, RollbackTarget, Target};
use crate::prober::ProbeQuestion;

/// What every program that changes something is made of, in the order in which the parts need each
/// other.
const COMMON: [&str; 15] = [
    "eval \"$common_program\"",
    include_str!("script/failure.sh"),
    include_str!("script/durable.sh"),
    include_str!("script/process.sh"),
    include_str!("script/as_user.sh"),
    include_str!("script/hook.sh"),
    MARK,
    include_str!("script/lock.sh"),
    ASKER,
    include_str!("script/look.sh"),
    include_str!("script/switch.sh"),
    include_str!("script/undo_note.sh"),
    include_str!("script/after_failure.sh"),
    include_str!("script/history.sh"),
    include_str!("script/listen.sh"),
];
const START: &str = include_str!("script/start.sh");
const INSTALL: [&str; 8] = [
    include_str!("script/look_ahead.sh"),
    include_str!("script/package.sh"),
    include_str!("script/kept.sh"),
    include_str!("script/share.sh"),
    include_str!("script/put_back.sh"),
    include_str!("script/prune.sh"),
    include_str!("script/await_confirmation.sh"),
    include_str!("script/install.sh"),
];
const ROLLBACK: &str = include_str!("script/undo.sh");
const INSPECT: [&str; 6] = [
    PROTOCOL,
    include_str!("script/failure.sh"),
    MARK,
    include_str!("script/lock.sh"),
    include_str!("script/look.sh"),
    include_str!("script/inspect.sh"),
];
const MARK: &str = include_str!("script/mark.sh");
const CONFIRM: &str = include_str!("script/confirm.sh");
const ASKER: &str = include_str!("script/asker.sh");
const ASK: &str = include_str!("script/ask.sh");
const PROTOCOL: &str = include_str!("script/protocol.sh");
const WATCH: &str = include_str!("script/watch.sh");
/// What the watchers of hooks need, too.
const SHARED: [&str; 3] =
    [PROTOCOL, include_str!("script/ending.sh"), include_str!("script/passing_on.sh")];
const AS_USER: &str = include_str!("script/user_program.sh");

/// The longest program. Linux takes no argument of 128 KiB or more.
const LONGEST: usize = 120 * 1024;

/// What one task on one host is about.
#[derive(Debug)]
pub(crate) struct HostPlan<'a> {
    pub(crate) task: &'a ReleaseTask,
    pub(crate) target: &'a Target,
    pub(crate) work: Work<'a>,
    /// The project's root as the shell on the host sees it.
    pub(crate) root: &'a str,
    pub(crate) fence: Fence,
    /// The name of this node, for whoever finds the host locked.
    pub(crate) node: &'a str,
    /// The name of this run: on the host, in the names of what it has not finished.
    pub(crate) run: &'a str,
    /// What proves that a marker is the program's own. It is in no file, and in no environment but that of the
    /// program's own watchers of hooks.
    pub(crate) nonce: &'a str,
}

/// What a program does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work<'a> {
    /// It installs the deployment's release.
    Install {
        bundle: &'a Bundle,
        /// Whether our own code unpacks the package in process.
        in_process: bool,
        /// What the node proves by that a confirmation is meant for this run.
        token: &'a str,
        /// Free space that stays beyond what the release needs, in bytes.
        margin: u64,
    },
    /// It undoes a release.
    Rollback { release: &'a ReleaseId, to: &'a RollbackTarget },
    /// It looks at what is there.
    Inspect,
}

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptError {
    /// A text holds a NUL.
    #[error(transparent)]
    HasNul(#[from] HasNul),
    /// The hooks and shared paths are too long together.
    #[error(
        "the hooks and shared paths are too long together: {0} bytes of program, of at most {LONGEST}"
    )]
    TooLong(usize),
}

impl HostPlan<'_> {
    /// The directory, in `releases`, into which the package is unpacked first.
    pub(crate) fn incoming(run: &str) -> String {
        format!("releases/.incoming-{run}")
    }

    /// Writes the program.
    pub(crate) fn script(&self) -> Result<String, ScriptError> {
        let mut script = String::with_capacity(32 * 1024);
        for (name, value) in self.common() {
            assign(&mut script, name, &value)?;
        }
        match self.work {
            Work::Inspect => INSPECT.into_iter().for_each(|part| push_code(&mut script, part)),
            Work::Install { bundle, in_process, token, margin } => {
                for (name, value) in self.of_install(bundle, in_process, token, margin) {
                    assign(&mut script, name, &value)?;
                }
                self.changes(&mut script)?;
                INSTALL.into_iter().for_each(|part| push_code(&mut script, part));
            }
            Work::Rollback { release, to } => {
                for (name, value) in Self::of_rollback(release, to) {
                    assign(&mut script, name, &value)?;
                }
                self.changes(&mut script)?;
                push_code(&mut script, ROLLBACK);
            }
        }
        if script.len() > LONGEST {
            return Err(ScriptError::TooLong(script.len()));
        }
        Ok(script)
    }

    /// What every program begins with that changes something.
    fn changes(&self, script: &mut String) -> Result<(), HasNul> {
        for (name, value) in self.of_changes() {
            assign(script, name, &value)?;
        }
        for (name, value) in self.environment() {
            assign(script, name, &value)?;
            let _ = writeln!(script, "export {name}");
        }
        self.lists(script)?;
        COMMON.into_iter().for_each(|part| push_code(script, part));
        push_code(script, START);
        Ok(())
    }
}

/// The program that confirms a release over a new connection, and says what became of it.
pub(crate) fn confirm_script(
    pass: &Pass,
    task: &ReleaseTask,
    nonce: &str,
) -> Result<String, HasNul> {
    let mut script = String::with_capacity(4 * 1024);
    for (name, value) in [
        ("nonce", nonce),
        ("root", &pass.root),
        ("run", &pass.run),
        ("token", &pass.token),
        ("release", task.deployment.as_str()),
        ("task", task.id.as_str()),
    ] {
        assign(&mut script, name, value)?;
    }
    [PROTOCOL, MARK, CONFIRM].into_iter().for_each(|part| push_code(&mut script, part));
    Ok(script)
}

/// The program that asks a monitoring address once, from the host; `wanted` bytes of the answer at most.
pub(crate) fn ask_script(
    question: &ProbeQuestion,
    wanted: usize,
    nonce: &str,
) -> Result<String, HasNul> {
    let url = &question.url;
    // Of a name in a URL, an IPv6 address has brackets that no tool but a browser wants.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let mut script = String::with_capacity(4 * 1024);
    for (name, value) in [
        ("nonce", nonce.to_owned()),
        ("scheme", url.scheme().to_owned()),
        ("url", url.to_string()),
        ("ask_host", host.to_owned()),
        ("ask_port", url.port().unwrap_or_default().to_string()),
        ("patience", values::seconds(question.timeout).max(1).to_string()),
        ("wanted", wanted.to_string()),
    ] {
        assign(&mut script, name, &value)?;
    }
    [PROTOCOL, ASKER, ASK].into_iter().for_each(|part| push_code(&mut script, part));
    Ok(script)
}

/// A part of the program without comments and indentation: what is sent to each host stays small.
fn code(part: &str) -> String {
    let mut code = String::new();
    push_code(&mut code, part);
    code
}

fn push_code(script: &mut String, part: &str) {
    for line in part.lines().map(str::trim_start) {
        if !line.is_empty() && !line.starts_with('#') {
            script.push_str(line);
            script.push('\n');
        }
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
