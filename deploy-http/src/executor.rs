//! Carrying out release tasks through agents.

mod agent;
mod builder;
mod errand;
mod feed;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{Endpoint, ReleaseReport, ReleaseTask};
use deploy_core::{Context, ExecuteError, Executor};
use reqwest::header::HeaderValue;
use tokio::sync::Semaphore;

use self::agent::Agent;
pub use self::builder::HttpExecutorBuilder;
use self::errand::{Errand, stopped};
use crate::transport::Transport;

/// Carries out release tasks through agents: gives the task, follows its events, builds the report.
///
/// The task's id makes all of this safe to repeat: a task that was given twice is carried out once,
/// and following begins again after the last event that was seen. Whatever breaks in between is
/// tried again: a task that could not be given is [`ExecuteError::Unreachable`], and one whose agent
/// fell silent for longer than [`HttpExecutorBuilder::lost_after`] is [`ExecuteError::Lost`].
///
/// Cancelling, and a deadline that passes, is handed on to the agent; the report is then waited for
/// as long as [`HttpExecutorBuilder::cancel_grace`] says.
///
/// An endpoint without a token is not contacted.
///
/// ```
/// use deploy_core::{Secret, model::Endpoint};
/// use deploy_http::HttpExecutor;
///
/// let agent = Endpoint::new("http://agent.east:7070")?;
/// let executor = HttpExecutor::builder()
///     .token(&agent, Secret::new("a-long-and-random-text"))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HttpExecutor {
    inner: Arc<Inner>,
}

/// What the builder built.
#[derive(Debug)]
struct Inner {
    transport: Transport,
    agents: BTreeMap<Endpoint, KnownAgent>,
    patience: Patience,
}

/// An agent that may be contacted.
#[derive(Debug)]
struct KnownAgent {
    /// The `Authorization` header for it.
    authorization: HeaderValue,
    /// The places for tasks that are followed there.
    places: Semaphore,
}

/// How many tasks are followed at one agent at once; others wait for their turn. An agent serves 64
/// connections of a peer by default, and calls need some beside the streams of events.
const TASKS_AT_ONCE: usize = 48;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
struct Patience {
    call: Duration,
    retry_window: Duration,
    quiet: Duration,
    lost_after: Duration,
    cancel_grace: Duration,
    first_pause: Duration,
}

impl HttpExecutor {
    /// Begins with the defaults.
    pub fn builder() -> HttpExecutorBuilder {
        HttpExecutorBuilder::default()
    }
}

impl fmt::Debug for HttpExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agents: Vec<_> = self.inner.agents.keys().collect();
        f.debug_struct("HttpExecutor").field("agents", &agents).finish_non_exhaustive()
    }
}

#[async_trait]
impl Executor for HttpExecutor {
    async fn execute(&self, cx: Context, task: ReleaseTask) -> Result<ReleaseReport, ExecuteError> {
        let rejected = |reason: &str| ExecuteError::Rejected { reason: reason.to_owned() };
        let Some(first) = task.hosts.first() else {
            return Err(rejected("it has no hosts"));
        };
        let endpoint = first.endpoint.clone();
        if task.hosts.iter().any(|host| host.endpoint != endpoint) {
            return Err(rejected("its hosts have different endpoints"));
        }
        let Some(known) = self.inner.agents.get(&endpoint) else {
            return Err(rejected(&format!("no token is configured for {endpoint}")));
        };
        let client = self.inner.transport.client(endpoint.url());
        let client = client.map_err(|reason| rejected(&format!("{endpoint}: {reason}")))?;
        let (authorization, patience) = (known.authorization.clone(), self.inner.patience);
        let agent = Agent::new(client.clone(), &endpoint, authorization, &task, patience)
            .map_err(|_| rejected("it cannot be written as JSON"))?;
        let _place = tokio::select! {
            biased;
            _ = stopped(&cx), if cx.attempt == 1 => return Err(ExecuteError::Cancelled),
            // The semaphore is never closed.
            place = known.places.acquire() => place,
        };
        let done = Errand::new(&cx, &task, agent, patience).run().await;
        done.map_err(|error| match error {
            ExecuteError::Rejected { reason } => rejected(&format!("{endpoint}: {reason}")),
            error => error,
        })
    }
}
