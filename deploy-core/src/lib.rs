//! An embeddable deployment engine: rolls verified packages out to a fleet, from any Rust program.
//!
//! ```text
//!  Parser → DeploymentRequest → AgentResolver + Verifier → Queue (due at) ─┐
//!                                                                          │ worker
//!  Journal ◄─ every fact ─ driver ◄─ decide(state, now): pure ─────────────┤
//!  Observer: live            │                                             │
//!                            └─► Executor, chosen by the endpoint's scheme ┘
//!                                 http(s): an agent node, the same engine over its own queue
//!                                 local, …: ReleaseExecutor → Connector → Session → the host
//! ```
//!
//! # Quick start
//!
//! A control node needs five parts. Here each is the simplest there is; deploy-http has those that
//! speak HTTP, deploy-queue those that keep what was accepted on disk.
//!
//! ```
//! use deploy_core::model::{HostResult, ReleaseId, ReleaseReport, Target};
//! use deploy_core::{ControlNode, FnExecutor, Format, Inventory, JsonParser, Parser};
//! # use deploy_queue::{MemoryJournal, MemoryQueue, QueueConfig};
//! # use deploy_testkit::FakeVerifier;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let inventory = Inventory::parse(Format::Json, br#"{
//!     "host": [{"name": "web-1", "address": "10.0.1.11", "endpoint": "local:/srv/h1"}],
//!     "project": [{"business": "payments", "name": "api", "hosts": ["web-*"], "root": "/srv/api"}]
//! }"#)?;
//! let optimist = FnExecutor::new(|_cx, task| async move {
//!     let release = ReleaseId::from(&task.deployment);
//!     let done = |target: Target| HostResult::succeeded(target.host, release.clone());
//!     Ok(ReleaseReport::new(task.hosts.into_iter().map(done).collect()))
//! });
//! let node = ControlNode::builder()
//!     .resolver(inventory)
//!     .verifier(FakeVerifier::new(*b"hello world"))
//!     .executor(optimist)
//!     .queue(MemoryQueue::new(QueueConfig::new()))
//!     .journal(MemoryJournal::new())
//!     .build()
//!     .await?;
//! let request = JsonParser::new().parse(br#"{
//!     "business": "payments",
//!     "project": "api",
//!     "package": {"url": "https://packages.example/api-1.4.2.tar.gz",
//!                 "md5": "5eb63bbbe01eeed093cb22bb8f5acdc3"}
//! }"#)?;
//! let report = node.submit(request).await?.wait().await?;
//! assert!(report.succeeded());
//! node.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! # What you implement, and what is here
//!
//! | trait | says | ours |
//! |---|---|---|
//! | [`Parser`] | a document is a request | [`JsonParser`], `TomlParser`, `YamlParser`, [`FnParser`] |
//! | [`AgentResolver`] | a project has these hosts | [`Inventory`], `HttpResolver` (deploy-http), [`ChainResolver`], [`CachedResolver`], [`FnResolver`] |
//! | [`Verifier`] | a package is what was asked for | `HttpVerifier` (deploy-http), [`FnVerifier`] |
//! | [`Executor`] | a release goes onto some hosts | `HttpExecutor` (deploy-http), `ReleaseExecutor`, [`SchemeExecutor`], [`FnExecutor`] |
//! | [`Connector`], [`Session`] | a host can run a command | `LocalConnector`, [`SchemeConnector`] |
//! | [`Queue`], [`Journal`] | tasks and facts are kept | `MemoryQueue`, `MemoryJournal`, `DiskStore` (deploy-queue) |
//! | [`Prober`] | a monitoring address answers | `HttpProber` (deploy-http) |
//! | [`Gate`] | a deployment may start now | `FreezeWindows`, [`Approvals`](gate::Approvals), [`FnGate`] |
//! | [`ApprovalStore`](gate::ApprovalStore) | approvals are kept | [`FileApprovals`](gate::FileApprovals), [`MemoryApprovals`](gate::MemoryApprovals) |
//! | [`Observer`] | an event happened | [`TracingObserver`], [`FnObserver`] |
//! | [`Clock`] | what time it is | [`SystemClock`], `VirtualClock` (deploy-testkit) |
//! | [`Task`] | a unit of queued work | [`DeploymentTask`], [`ReleaseTask`](model::ReleaseTask) |
//!
//! Those whose methods wait are written with `#[async_trait]`, of the crate `async-trait`. A part of your
//! own needs that, or a closure in one of the `Fn…`, which needs nothing.
//!
//! Every trait is object-safe and implemented for `Arc` and `Box`; contracts are numbered clauses in
//! their docs, and deploy-testkit has tests for those of queues, journals, connectors and resolvers.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `release` | no | installing releases: `ReleaseExecutor`, `LocalConnector`, archives |
//! | `toml`, `yaml` | no | formats of requests and inventories |
//! | `zones` | no | freeze windows and documents of gates: `FreezeWindows`, `GatePolicy` |
//! | `mock` | no | mockall mocks of every trait |
//!
//! # Guarantees, and what is none
//!
//! What `submit` has acknowledged is as durable as the journal. Every accepted deployment ends in one
//! terminal state, recorded once, with a reason for every host. A host that is done is not done again;
//! a host in flight when the process died is asked about, or done again by an executor that cannot
//! be asked, so hooks should bear being run twice. What cannot be known is called unknown, and never
//! success. Nothing here reads the environment or the command line.

mod agent;
mod agent_report;
#[cfg(feature = "release")]
pub mod archive;
mod cancel;
mod clock;
mod connector;
mod context;
mod control;
pub mod document;
mod engine;
mod event;
mod executor;
mod failure;
pub mod gate;
pub mod inventory;
mod journal;
#[cfg(feature = "mock")]
pub mod mock;
pub mod model;
mod observer;
mod parser;
mod pipe;
mod plan;
mod prober;
mod queue;
#[cfg(feature = "release")]
pub mod release;
mod release_step;
mod report;
mod resolver;
mod retention;
mod secret;
mod state;
mod summary;
mod task;
mod verifier;
mod wrappers;

pub use agent::{AgentNode, AgentNodeBuilder};
pub use agent_report::AgentReport;
pub use cancel::CancelToken;
pub use clock::{Clock, SystemClock};
pub use connector::{
    CommandIo, ConnectError, Connector, Exit, SESSION_GRACE, SchemeConnector, Session, SessionError,
};
pub use context::Context;
pub use control::{ControlNode, ControlNodeBuilder, Deployment, HostRecord};
pub use document::{Fault, Faults, Invalid};
pub use engine::{Accepted, BuildError, EventStream, NodeError, Verb};
pub use event::{BatchHold, Event, Fact, Sequence};
pub use executor::{ExecuteError, Executor, FnExecutor, SchemeExecutor};
pub use failure::{Failure, FailureCode, Retry};
pub use gate::{FnGate, Gate, GateDecision, GateError};
pub use inventory::{Inventory, InventoryError};
pub use journal::{Journal, JournalError, JournalQuery};
pub use observer::{FnObserver, NullObserver, Observer, TracingObserver};
#[cfg(feature = "toml")]
pub use parser::TomlParser;
#[cfg(feature = "yaml")]
pub use parser::YamlParser;
pub use parser::{FnParser, Format, JsonParser, MAX_DOCUMENT, ParseError, Parser};
pub use pipe::{PipeClosed, PipeReader, PipeWriter, pipe};
pub use plan::{Drift, Plan, PlannedChange, PlannedHook, PlannedHost};
pub use prober::{ProbeAnswer, ProbeError, ProbeQuestion, Prober};
pub use queue::{
    Claim, DeadLetter, LeaseToken, Pushed, Queue, QueueAdmin, QueueError, QueueStatistics,
    Settlement, TaskPlace,
};
#[cfg(feature = "release")]
pub use release::{LocalConnector, LocalSession, ReleaseExecutor, ReleaseExecutorBuilder};
pub use release_step::Step;
pub use report::DeploymentReport;
pub use resolver::{AgentResolver, CachedResolver, ChainResolver, FnResolver, ResolveError};
pub use retention::Retention;
pub use secret::Secret;
pub use state::{
    Dispatch, Gap, Hold, HostState, Pause, Phase, Rollback, Stop, Subject, TaskState,
    WantedRollback,
};
pub use summary::TaskSummary;
pub use task::{DeploymentTask, Task, TaskRecord};
pub use verifier::{FnVerifier, VerifiedPackage, Verifier, VerifyError};
