//! Carrying out a release task.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::context::Context;
use crate::failure::{Failure, FailureCode, Retry};
use crate::model::{ReleaseReport, ReleaseTask};

/// Does on the hosts of a task, which share an endpoint, what the task's
/// [action](crate::model::ReleaseAction) says: mostly, installs a release.
///
/// # Contract
///
/// 1. The report has one result for each host of the task, in their order, whatever happened there.
/// 2. A task id is carried out once: the same task again, after a crash of either side, goes on
///    where it was, or gives the report that there is. Hosts that are done are not done again.
/// 3. What is not known is [`HostStatus::Unknown`](crate::model::HostStatus::Unknown), never success.
/// 4. While it works, it reports `HostStarted`, `StepStarted`, `StepFinished`, `Output` and
///    `HostFinished` through the context; the last one before it returns, for every host. It reports
///    `AttemptFailed` when it cannot reach somebody and tries again, the first few times.
/// 5. An error means that no host was touched, or that nothing is known about any
///    ([`ExecuteError::Lost`]).
/// 6. A host on which all went well ends as the action [aims](crate::model::ReleaseAction::aim), and what
///    it was found to have is in its result. An action that the executor does not know is `Rejected`, and
///    one that only looks changes nothing.
///
/// # Cancellation
///
/// When the context is cancelled, no further host is started, work on the others is stopped where it
/// leaves the host whole, and the report says where each of them stands. Dropping the future stops
/// waiting; it need not stop the work.
///
/// # Implementing
///
/// ```
/// use deploy_core::{FnExecutor, model::{HostResult, ReleaseId, ReleaseReport}};
///
/// // An executor that believes in everything.
/// let optimist = FnExecutor::new(|_cx, task| async move {
///     let release = ReleaseId::from(&task.deployment);
///     let done = |t: deploy_core::model::Target| HostResult::succeeded(t.host, release.clone());
///     Ok(ReleaseReport::new(task.hosts.into_iter().map(done).collect()))
/// });
/// ```
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` does not carry out release tasks",
        note = "use `HttpExecutor` or `ReleaseExecutor`, implement `deploy_core::Executor`, or wrap a closure in `FnExecutor::new`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Executor: fmt::Debug + Send + Sync + 'static {
    /// Carries out a task.
    ///
    /// # Errors
    ///
    /// Every variant of [`ExecuteError`]; see the contract's last clause.
    async fn execute(&self, cx: Context, task: ReleaseTask) -> Result<ReleaseReport, ExecuteError>;
}

crate::wrappers::forward_async! {
    Executor {
        async fn execute(&self, cx: Context, task: ReleaseTask) -> Result<ReleaseReport, ExecuteError>;
    }
}

/// Why a task was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The other side could not be reached; nothing was started there.
    #[error("{endpoint} could not be reached")]
    Unreachable {
        /// The endpoint.
        endpoint: String,
        /// What failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The other side, or this one, refused the task; nothing was started.
    #[error("the task was refused: {reason}")]
    Rejected {
        /// Why.
        reason: String,
    },
    /// No executor is there for the endpoint's scheme.
    #[error(
        "no executor is configured for endpoints of the scheme {scheme:?} (configured: {known})"
    )]
    Unsupported {
        /// The scheme.
        scheme: String,
        /// The schemes for which there is one.
        known: String,
    },
    /// The task's package could not be had.
    #[error("the package is not there")]
    Package {
        /// Why.
        #[source]
        failure: Box<Failure>,
    },
    /// The other side took the task and has not been heard of since; what it did is not known.
    #[error("{endpoint} took the task and does not answer any more")]
    Lost {
        /// The endpoint.
        endpoint: String,
        /// What failed last.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The work was cancelled before anything was started.
    #[error("cancelled")]
    Cancelled,
}

impl ExecuteError {
    /// Whether the same task is worth carrying out again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { .. } => Retry::After(Duration::from_secs(10)),
            Self::Package { failure } => failure.retry,
            // The same task asked again is how what happened is found out.
            Self::Lost { .. } => Retry::After(Duration::from_secs(30)),
            Self::Rejected { .. } | Self::Unsupported { .. } | Self::Cancelled => Retry::Never,
        }
    }
}

impl From<&ExecuteError> for Failure {
    fn from(error: &ExecuteError) -> Self {
        let code = match error {
            ExecuteError::Package { failure } => return (**failure).clone(),
            ExecuteError::Unreachable { .. } => FailureCode::AgentUnreachable,
            ExecuteError::Rejected { .. } => FailureCode::AgentRejected,
            ExecuteError::Unsupported { .. } => FailureCode::Invalid,
            ExecuteError::Lost { .. } => FailureCode::Unknown,
            ExecuteError::Cancelled => FailureCode::Cancelled,
        };
        Self::of(code, error).with_retry(error.retry())
    }
}

/// Chooses the executor by the scheme of the hosts' endpoint.
///
/// ```
/// # use deploy_core::{FnExecutor, SchemeExecutor, model::ReleaseReport};
/// # let http = FnExecutor::new(|_, _| async { Ok(ReleaseReport::default()) });
/// # let local = FnExecutor::new(|_, _| async { Ok(ReleaseReport::default()) });
/// let executor = SchemeExecutor::new().with("http", http).with("local", local);
/// ```
#[derive(Clone, Debug, Default)]
pub struct SchemeExecutor {
    executors: BTreeMap<String, Arc<dyn Executor>>,
}

impl SchemeExecutor {
    /// Knows no scheme yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses an executor for endpoints of a scheme.
    #[must_use]
    pub fn with(mut self, scheme: &str, executor: impl Executor) -> Self {
        self.executors.insert(scheme.to_owned(), Arc::new(executor));
        self
    }
}

#[async_trait]
impl Executor for SchemeExecutor {
    async fn execute(&self, cx: Context, task: ReleaseTask) -> Result<ReleaseReport, ExecuteError> {
        let scheme = task.hosts.first().map_or("", |host| host.endpoint.scheme());
        match self.executors.get(scheme) {
            Some(executor) => executor.execute(cx, task).await,
            None => Err(ExecuteError::Unsupported {
                scheme: scheme.to_owned(),
                known: self.executors.keys().cloned().collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

/// What a [`FnExecutor`]'s closure returns, boxed.
type Answer = Pin<Box<dyn Future<Output = Result<ReleaseReport, ExecuteError>> + Send>>;

/// An executor made of an async closure.
pub struct FnExecutor(Box<dyn Fn(Context, ReleaseTask) -> Answer + Send + Sync>);

impl FnExecutor {
    /// Calls `f` for every task.
    pub fn new<F, A>(f: F) -> Self
    where
        F: Fn(Context, ReleaseTask) -> A + Send + Sync + 'static,
        A: Future<Output = Result<ReleaseReport, ExecuteError>> + Send + 'static,
    {
        Self(Box::new(move |cx, task| Box::pin(f(cx, task))))
    }
}

impl fmt::Debug for FnExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnExecutor(…)")
    }
}

#[async_trait]
impl Executor for FnExecutor {
    async fn execute(&self, cx: Context, task: ReleaseTask) -> Result<ReleaseReport, ExecuteError> {
        (self.0)(cx, task).await
    }
}
