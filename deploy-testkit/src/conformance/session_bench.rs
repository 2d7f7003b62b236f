//! What a case of a connector works with: the connector, a host, and commands that run there.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::Target;
use deploy_core::{
    CommandIo, Connector, Context, Exit, PipeReader, PipeWriter, Session, SessionError, pipe,
};
use tokio::task::JoinHandle;

use crate::samples;

/// A connector and a host that it reaches.
///
/// The host has a POSIX shell at `/bin/sh`, and `cat`, `head`, `kill`, `od`, `readlink`, `sleep`, `tr` and `wc`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectorBench {
    /// The connector.
    pub connector: Arc<dyn Connector>,
    /// The host.
    pub target: Target,
    /// A host that accepts connections and says nothing, where there can be one.
    pub silent: Option<Target>,
}

/// How a command ended, and what it had written.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// A command that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) stdin: Option<PipeWriter>,
    pub(super) stdout: PipeReader,
    pub(super) stderr: PipeReader,
    pub(super) run: JoinHandle<Result<Exit, SessionError>>,
}

impl ConnectorBench {
    /// Sets up a connector and a host that it reaches.
    #[must_use]
    pub fn new(connector: impl Connector, target: Target) -> Self {
        Self { connector: Arc::new(connector), target, silent: None }
    }

    /// Adds a host that accepts connections and says nothing.
    #[must_use]
    pub fn with_silent(mut self, target: Target) -> Self {
        self.silent = Some(target);
        self
    }

    pub(super) async fn session(&self) -> Arc<dyn Session> {
        let session = self.connector.connect(context(), self.target.clone()).await;
        Arc::from(session.expect("the host lets a session in"))
    }

    /// Runs a script to its end over a session of its own, without input.
    pub(super) async fn run(&self, script: &str) -> Ended {
        begin(&self.session().await, context(), script).end().await
    }

    /// Whether a process of the host runs: one that has ended and was not waited for does not.
    pub(super) async fn lives(&self, process: &str) -> bool {
        let script = format!(
            "kill -0 {process} 2>/dev/null || exit 1
            case $(cat /proc/{process}/stat 2>/dev/null) in *') Z '*) exit 1 ;; esac"
        );
        self.run(&script).await.exit == Exit::Exited(0)
    }

    /// Waits until a process of the host is gone. One that stays is a case that hangs.
    pub(super) async fn until_gone(&self, process: &str) {
        while self.lives(process).await {}
    }
}

/// A context of no task in particular.
pub(super) fn context() -> Context {
    Context::new(samples::task_id("task-1"))
}

/// Starts a script on a task of the runtime.
pub(super) fn begin(session: &Arc<dyn Session>, cx: Context, script: &str) -> Running {
    let (stdin, a) = pipe(1);
    let (b, stdout) = pipe(1);
    let (c, stderr) = pipe(1);
    let (session, script) = (Arc::clone(session), script.to_owned());
    let run = async move { session.run(cx, script, CommandIo::new(a, b, c)).await };
    Running { stdin: Some(stdin), stdout, stderr, run: tokio::spawn(run) }
}

impl Running {
    /// Ends the input and waits for the command, which `run` starts without a fault.
    pub(super) async fn end(mut self) -> Ended {
        self.stdin = None;
        let (stdout, stderr, exit) = tokio::join!(all(self.stdout), all(self.stderr), self.run);
        let exit = exit.expect("run does not panic").expect("the command starts");
        Ended { exit, stdout, stderr }
    }

    pub(super) async fn write(&self, bytes: impl Into<Vec<u8>>) {
        let stdin = self.stdin.as_ref().expect("the case has not ended the input");
        stdin.write(bytes.into()).await.expect("the session takes what the command reads");
    }

    /// The next line of the output, which comes while the command runs.
    pub(super) async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            line.extend(self.stdout.read().await.expect("the command writes a line"));
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }
}

/// Reads a stream to its end.
pub(super) async fn all(mut reader: PipeReader) -> String {
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.read().await {
        bytes.extend(chunk);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits until a number has stood still for a while. That something waits for ever shows in nothing
/// else; when the while is too short, the case shows less, and does not fail.
pub(super) async fn until_it_stands(mut number: impl FnMut() -> u64) {
    let (mut last, mut still) = (number(), 0);
    while still < 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = number();
        still = if now == last { still + 1 } else { 0 };
        last = now;
    }
}
