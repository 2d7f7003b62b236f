//! Putting a node together: the parts and figures that both nodes have.

use std::sync::Arc;
use std::time::Duration;

use super::error::NodeError;
use super::fence::Fences;
use super::node::Engine;
use super::parts::{EngineConfig, Parts, Role};
use super::room::Room;
use crate::clock::{Clock, SystemClock};
use crate::executor::Executor;
use crate::gate::Gate;
use crate::journal::Journal;
use crate::observer::Observer;
use crate::queue::Queue;
use crate::resolver::AgentResolver;
use crate::retention::Retention;
use crate::verifier::Verifier;

/// Why a node could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Parts that have no default are missing.
    #[error("the node lacks {}", parts.join(", "))]
    Missing {
        /// Which, by the names of the builder's methods.
        parts: Vec<&'static str>,
    },
    /// A figure makes no sense.
    #[error("{what} must be {allowed}")]
    Unfit {
        /// Which, by the name of the builder's method.
        what: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// What was left unfinished could not be taken up.
    #[error("what was left unfinished could not be taken up")]
    Recovery {
        /// What failed.
        #[source]
        source: NodeError,
    },
}

/// The parts and figures of a node: the control node's and the agent node's alike.
#[derive(Debug)]
pub(crate) struct NodeParts {
    pub(crate) resolver: Option<Arc<dyn AgentResolver>>,
    pub(crate) verifier: Option<Arc<dyn Verifier>>,
    pub(crate) executor: Option<Arc<dyn Executor>>,
    pub(crate) queue: Option<Arc<dyn Queue>>,
    pub(crate) journal: Option<Arc<dyn Journal>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gates: Vec<Arc<dyn Gate>>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) config: EngineConfig,
}

impl NodeParts {
    pub(crate) fn new(name: &str, workers: usize) -> Self {
        Self {
            resolver: None,
            verifier: None,
            executor: None,
            queue: None,
            journal: None,
            clock: Arc::new(SystemClock::new()),
            gates: Vec::new(),
            observers: Vec::new(),
            config: EngineConfig {
                name: name.to_owned(),
                workers,
                lease: Duration::from_secs(30),
                max_attempts: 20,
                drain: Duration::from_secs(30),
                retention: Retention::new(),
                max_hosts: None,
            },
        }
    }

    /// Checks what was given, takes up what was left unfinished, and starts the workers.
    pub(crate) async fn start(self, role: Role) -> Result<Arc<Engine>, BuildError> {
        // An agent has no verifier of its own: its executor fetches the packages.
        let needs_verifier = role == Role::Control;
        let mut missing = Vec::new();
        for (name, there) in [
            ("resolver", self.resolver.is_some()),
            ("verifier", self.verifier.is_some() || !needs_verifier),
            ("executor", self.executor.is_some()),
            ("queue", self.queue.is_some()),
            ("journal", self.journal.is_some()),
        ] {
            if !there {
                missing.push(name);
            }
        }
        if self.config.workers == 0 {
            return Err(BuildError::Unfit { what: "workers", allowed: "at least 1" });
        }
        if self.config.lease < Duration::from_millis(100) {
            return Err(BuildError::Unfit { what: "lease", allowed: "at least 100 ms" });
        }
        if self.config.max_hosts == Some(0) {
            return Err(BuildError::Unfit { what: "max_hosts", allowed: "at least 1" });
        }
        let (Some(resolver), Some(executor), Some(queue), Some(journal), true) =
            (self.resolver, self.executor, self.queue, self.journal, missing.is_empty())
        else {
            return Err(BuildError::Missing { parts: missing });
        };
        let parts = Parts {
            role,
            room: Room::new(self.config.max_hosts),
            config: self.config,
            resolver,
            verifier: self.verifier,
            executor,
            queue,
            journal,
            clock: self.clock,
            gates: self.gates,
            observer: Arc::new(self.observers),
            fences: Fences::default(),
        };
        let engine = Engine::start(parts).await;
        engine.map(Arc::new).map_err(|source| BuildError::Recovery { source })
    }
}

/// Implements, for a node's builder, the setters that both builders have.
macro_rules! node_setters {
    ($builder:ty, $node:literal, $workers:literal) => {
        impl $builder {
            /// Sets what resolves business and project to hosts. Required.
            pub fn resolver(mut self, resolver: impl AgentResolver) -> Self {
                self.parts.resolver = Some(Arc::new(resolver));
                self
            }

            /// Sets what carries out release tasks. Required.
            pub fn executor(mut self, executor: impl Executor) -> Self {
                self.parts.executor = Some(Arc::new(executor));
                self
            }

            /// Sets the queue. Required. Several nodes of one kind may share it.
            pub fn queue(mut self, queue: impl Queue) -> Self {
                self.parts.queue = Some(Arc::new(queue));
                self
            }

            /// Sets the journal. Required.
            pub fn journal(mut self, journal: impl Journal) -> Self {
                self.parts.journal = Some(Arc::new(journal));
                self
            }

            /// Sets the clock: this machine's by default.
            pub fn clock(mut self, clock: impl Clock) -> Self {
                self.parts.clock = Arc::new(clock);
                self
            }

            /// Adds an observer: it sees every event once it is recorded.
            pub fn observer(mut self, observer: impl Observer) -> Self {
                self.parts.observers.push(Arc::new(observer));
                self
            }

            #[doc = concat!("Sets the name of the node, which stands in leases: \"", $node, "\" by default.")]
            pub fn name(mut self, name: impl Into<String>) -> Self {
                self.parts.config.name = name.into();
                self
            }

            #[doc = concat!("Sets how many tasks are worked on at once: ", $workers, " by default.")]
            pub fn workers(mut self, workers: usize) -> Self {
                self.parts.config.workers = workers;
                self
            }

            /// Sets how many hosts are done at once at most, over all tasks of this node: any number
            /// by default. Tasks that find no room wait for it in their order. What was being done
            /// when another process of the node ended counts from the start.
            pub fn max_hosts(mut self, hosts: usize) -> Self {
                self.parts.config.max_hosts = Some(hosts);
                self
            }

            /// Sets how long a task that this process is working on stays its own when it is not
            /// heard of: 30 s by default, which outlasts a machine that swaps and keeps a crash
            /// short. It is renewed every third of that.
            pub fn lease(mut self, lease: Duration) -> Self {
                self.parts.config.lease = lease;
                self
            }

            /// Sets how long a shutdown waits for what runs: 30 s by default.
            pub fn drain(mut self, drain: Duration) -> Self {
                self.parts.config.drain = drain;
                self
            }

            /// Sets how long finished tasks stay in the journal: for ever by default, because what was
            /// deployed when, and by whom, is asked years later. It is seen to at the start and then
            /// once an hour.
            pub fn retention(mut self, retention: Retention) -> Self {
                self.parts.config.retention = retention;
                self
            }

            /// Sets how often a task is attempted before it ends as failed: 20 times by default. An
            /// attempt ends when the process does, or when something fails that may pass.
            pub fn max_attempts(mut self, attempts: u32) -> Self {
                self.parts.config.max_attempts = attempts;
                self
            }
        }
    };
}
pub(crate) use node_setters;
