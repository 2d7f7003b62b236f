//! A connector whose hosts run Rust.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{HostName, Target};
use deploy_core::{
    CommandIo, ConnectError, Connector, Context, Exit, PipeReader, PipeWriter, SESSION_GRACE,
    Session, SessionError, pipe,
};

/// A command that a scripted host is to run.
#[derive(Debug)]
#[non_exhaustive]
pub struct ScriptedCall {
    /// The host.
    pub target: Target,
    /// What it is to run.
    pub script: String,
    /// The command's streams. The input ends when the command is cancelled, too.
    pub io: CommandIo,
}

type Command = Pin<Box<dyn Future<Output = Exit> + Send>>;
type Handler = dyn Fn(ScriptedCall) -> Command + Send + Sync;

/// A connector whose hosts run Rust in place of a shell: a closure gets each script and its streams,
/// and says how it exits.
///
/// It keeps the contract of [`Session`] around the closure: a cancelled command's input ends, and a
/// command that does not end within the grace that the contract gives is dropped, as a process would
/// be killed. All on the runtime's clock, so that a paused one works. Clones share everything.
///
/// ```
/// use deploy_core::{CommandIo, Connector, Context, Exit, PipeReader, pipe};
/// use deploy_testkit::{ScriptedConnector, samples};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let connector = ScriptedConnector::new(|call| async move {
///     let answer = format!("you said {:?}", call.script);
///     let _ = call.io.stdout.write(answer.into_bytes()).await;
///     Exit::Exited(0)
/// });
/// let cx = Context::new(samples::task_id("task-1"));
/// let session = connector.connect(cx.clone(), samples::target(1)).await?;
/// let (out, mut answer) = pipe(1);
/// let io = CommandIo::new(PipeReader::empty(), out, pipe(1).0);
/// assert_eq!(session.run(cx, "uptime".to_owned(), io).await?, Exit::Exited(0));
/// assert_eq!(answer.read().await.unwrap(), b"you said \"uptime\"");
/// assert_eq!(connector.scripts(&samples::host(1)), ["uptime"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScriptedConnector {
    handler: Arc<Handler>,
    hosts: Arc<Mutex<HashMap<HostName, Seen>>>,
}

/// What happened at a host, and what is to happen.
#[derive(Debug, Default)]
struct Seen {
    connects: usize,
    scripts: Vec<String>,
    errors: VecDeque<ConnectError>,
}

impl fmt::Debug for ScriptedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedConnector").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl ScriptedConnector {
    /// Runs all commands of all hosts by a closure.
    #[must_use]
    pub fn new<F>(run: impl Fn(ScriptedCall) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Exit> + Send + 'static,
    {
        let handler = Arc::new(move |call| Box::pin(run(call)) as Command);
        Self { handler, hosts: Arc::default() }
    }

    /// Refuses the next connection to a host. Several errors come in turn.
    #[must_use]
    pub fn with_error(self, host: HostName, error: ConnectError) -> Self {
        self.hosts().entry(host).or_default().errors.push_back(error);
        self
    }

    /// How many connections to a host were asked for.
    #[must_use]
    pub fn connects(&self, host: &HostName) -> usize {
        self.hosts().get(host).map_or(0, |seen| seen.connects)
    }

    /// The scripts that a host was to run, in order.
    #[must_use]
    pub fn scripts(&self, host: &HostName) -> Vec<String> {
        self.hosts().get(host).map(|seen| seen.scripts.clone()).unwrap_or_default()
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<HostName, Seen>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Connector for ScriptedConnector {
    async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError> {
        if cx.cancel.is_cancelled() {
            return Err(ConnectError::Cancelled);
        }
        let error = {
            let mut hosts = self.hosts();
            let seen = hosts.entry(target.host.clone()).or_default();
            seen.connects += 1;
            seen.errors.pop_front()
        };
        match error {
            Some(error) => Err(error),
            None => Ok(Box::new(ScriptedSession { connector: self.clone(), target })),
        }
    }
}

/// A session on a scripted host.
#[derive(Debug)]
struct ScriptedSession {
    connector: ScriptedConnector,
    target: Target,
}

/// What the contract gives a command between TERM and KILL.
const TERM_TO_KILL: Duration = Duration::from_secs(5);

#[async_trait]
impl Session for ScriptedSession {
    async fn run(&self, cx: Context, script: String, io: CommandIo) -> Result<Exit, SessionError> {
        let target = self.target.clone();
        {
            let mut hosts = self.connector.hosts();
            hosts.entry(target.host.clone()).or_default().scripts.push(script.clone());
        }
        let (to, stdin) = pipe(1);
        let own = CommandIo::new(stdin, io.stdout, io.stderr);
        let mut command = (self.connector.handler)(ScriptedCall { target, script, io: own });
        let mut feeding = Box::pin(feed(io.stdin, to));
        let mut fed = false;
        loop {
            tokio::select! {
                exit = &mut command => return Ok(exit),
                () = until_it_must_stop(&cx) => break,
                () = &mut feeding, if !fed => fed = true,
            }
        }
        drop(feeding);
        match tokio::time::timeout(SESSION_GRACE + TERM_TO_KILL, command).await {
            Ok(exit) => Ok(exit),
            Err(_) => Ok(Exit::Signalled("KILL".to_owned())),
        }
    }
}

async fn until_it_must_stop(cx: &Context) {
    match cx.remaining() {
        Some(left) => {
            let _ = tokio::time::timeout(left, cx.cancel.cancelled()).await;
        }
        None => cx.cancel.cancelled().await,
    }
}

/// Passes the input on, as fast as it is taken. Its end ends the command's.
async fn feed(mut from: PipeReader, to: PipeWriter) {
    while let Some(chunk) = from.read().await {
        if to.write(chunk).await.is_err() {
            return;
        }
    }
}
