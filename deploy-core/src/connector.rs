//! Reaching a host: a connection that can run a command.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::context::Context;
use crate::failure::{Failure, FailureCode, Retry};
use crate::model::{HostPath, Target};
use crate::pipe::{PipeReader, PipeWriter};

/// Opens sessions on hosts.
///
/// # Contract
///
/// 1. A session that is given is ready to run a command.
/// 2. It is on the host that was asked for: a host that is not who it should be is `Rejected`.
/// 3. `connect` ends by the context's deadline.
///
/// # Cancellation
///
/// Dropping the future closes what was opened.
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` does not connect to hosts",
        note = "use `LocalConnector`, or implement `deploy_core::Connector`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Opens a session on a host.
    ///
    /// # Errors
    ///
    /// Every variant of [`ConnectError`].
    async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError>;
}

crate::wrappers::forward_async! {
    Connector {
        async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError>;
    }
}

/// Chooses the connector by the scheme of the host's endpoint.
#[derive(Clone, Debug, Default)]
pub struct SchemeConnector {
    connectors: BTreeMap<String, Arc<dyn Connector>>,
}

impl SchemeConnector {
    /// Knows no scheme yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses a connector for endpoints of a scheme.
    #[must_use]
    pub fn with(mut self, scheme: &str, connector: impl Connector) -> Self {
        self.connectors.insert(scheme.to_owned(), Arc::new(connector));
        self
    }
}

#[async_trait]
impl Connector for SchemeConnector {
    async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError> {
        match self.connectors.get(target.endpoint.scheme()) {
            Some(connector) => connector.connect(cx, target).await,
            None => {
                let known: Vec<_> = self.connectors.keys().map(String::as_str).collect();
                Err(ConnectError::Unsupported {
                    endpoint: target.endpoint.to_string(),
                    allowed: format!("one of the schemes {}", known.join(", ")),
                })
            }
        }
    }
}

/// An open connection to one host, able to run a command.
///
/// Runs go on side by side; the end of one, or a future of one that is dropped, leaves the others
/// and the session as they are.
///
/// # Contract
///
/// 1. `run` gives the script to `/bin/sh` on the host, word for word, in the login's home or any
///    other directory. Nothing of it is interpreted on the way. It may have some hundred kilobytes,
///    which is more than one word of a command line holds on most systems.
/// 2. What comes from `stdin` reaches the command's standard input in order, and its end is the end;
///    it is read only as fast as the command takes it.
/// 3. Standard output and standard error go to their writers in order, as they come. A writer that
///    is full holds the command up, and so bounds the memory; a writer that is closed does not: what
///    comes then is dropped. The streams of one connection may share a window, so that one which is
///    full holds up the other: read both.
/// 4. `run` ends when the command has ended, also when processes that it left behind hold its output
///    open. What the command itself had written has been passed on then, and the writers are dropped.
///    What it left behind lives on.
/// 5. [`Exit::Exited`] is given only when the host said so. A lost connection is [`Exit::Lost`]. Where
///    a host tells only what a shell says, 128 and a signal's number stand for that signal.
/// 6. When the context is cancelled, or its deadline has passed, the command's standard input is
///    closed, which our scripts take as the word to stop; when it has not ended
///    [`SESSION_GRACE`] later, its process group gets TERM, 5 s later KILL. `run` then gives
///    the exit that there was.
///
/// # Cancellation
///
/// Dropping the future of `run` kills the command's process group without grace, as far as the
/// connection still reaches.
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` does not run commands on a host",
        note = "use the sessions of `LocalConnector`, or implement `deploy_core::Session`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Session: fmt::Debug + Send + Sync + 'static {
    /// Runs a script.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the command could not be started.
    async fn run(&self, cx: Context, script: String, io: CommandIo) -> Result<Exit, SessionError>;

    /// Where the host's `path` is in the file system of this process, when our own code runs on the
    /// host: then packages are unpacked in process. The scripts that `run` starts see it at the same
    /// place, and get this path in the host's place. By default our code runs elsewhere: `None`.
    fn local_path(&self, path: &HostPath) -> Option<PathBuf> {
        let _ = path;
        None
    }
}

/// How long a command may take to stop by itself once its standard input was closed: 20 s, which
/// is enough for a hook's TERM, 5 s, KILL and for putting the host back.
pub const SESSION_GRACE: Duration = Duration::from_secs(20);

crate::wrappers::forward_async! {
    Session {
        async fn run(&self, cx: Context, script: String, io: CommandIo) -> Result<Exit, SessionError>;
        fn local_path(&self, path: &HostPath) -> Option<PathBuf>;
    }
}

/// The three streams of a command.
#[derive(Debug)]
#[non_exhaustive]
pub struct CommandIo {
    /// What the command reads.
    pub stdin: PipeReader,
    /// Where its standard output goes.
    pub stdout: PipeWriter,
    /// Where its standard error goes.
    pub stderr: PipeWriter,
}

impl CommandIo {
    /// Names the three streams.
    #[must_use]
    pub fn new(stdin: PipeReader, stdout: PipeWriter, stderr: PipeWriter) -> Self {
        Self { stdin, stdout, stderr }
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// It ended with a status.
    Exited(i32),
    /// A signal ended it.
    Signalled(String),
    /// The connection was lost before it was known to have ended.
    Lost(String),
    /// The host did not say how it ended.
    Unknown,
}

/// Why a host could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It does not answer, or broke off.
    #[error("{endpoint} could not be reached")]
    Unreachable {
        /// The endpoint.
        endpoint: String,
        /// What failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It refused us, or is not the host that was asked for.
    #[error("{endpoint} was refused: {reason}")]
    Rejected {
        /// The endpoint.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The endpoint is not one of this connector.
    #[error("{endpoint} is not an endpoint of this connector: {allowed} is")]
    Unsupported {
        /// The endpoint.
        endpoint: String,
        /// What is.
        allowed: String,
    },
    /// It took longer than it may.
    #[error("{endpoint} did not answer in time")]
    TimedOut {
        /// The endpoint.
        endpoint: String,
    },
    /// The work was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl ConnectError {
    /// Whether the same host is worth trying again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => {
                Retry::After(Duration::from_secs(2))
            }
            Self::Rejected { .. } | Self::Unsupported { .. } | Self::Cancelled => Retry::Never,
        }
    }
}

impl From<&ConnectError> for Failure {
    fn from(error: &ConnectError) -> Self {
        let code = match error {
            ConnectError::Unreachable { .. } | ConnectError::TimedOut { .. } => {
                FailureCode::HostUnreachable
            }
            ConnectError::Rejected { .. } => FailureCode::HostRejected,
            ConnectError::Unsupported { .. } => FailureCode::Invalid,
            ConnectError::Cancelled => FailureCode::Cancelled,
        };
        Self::of(code, error).with_retry(error.retry())
    }
}

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The session is over.
    #[error("the session is closed")]
    Closed,
    /// The host did not start the command: nothing of it has run. Where that is not sure, the run
    /// ends with [`Exit::Lost`].
    #[error("the command could not be started")]
    NotStarted {
        /// What failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SessionError {
    /// Whether the same command is worth running again: yes, over a new session.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Immediately
    }
}
