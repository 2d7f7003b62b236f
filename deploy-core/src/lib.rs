//! The model, the traits and the two engines of an embeddable deployment engine.

mod agent;
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
mod gate;
pub mod inventory;
mod journal;
pub mod model;
mod observer;
mod parser;
mod pipe;
mod prober;
mod queue;
#[cfg(feature = "release")]
pub mod release;
mod release_step;
mod report;
mod resolver;
mod secret;
mod state;
mod summary;
mod task;
mod verifier;
mod wrappers;

pub use agent::{AgentNode, AgentNodeBuilder};
pub use cancel::CancelToken;
pub use clock::{Clock, SystemClock};
pub use connector::{
    CommandIo, ConnectError, Connector, Exit, SchemeConnector, Session, SessionError,
};
pub use context::Context;
pub use control::{ControlNode, ControlNodeBuilder, Deployment};
pub use engine::{Accepted, BuildError, EventStream, NodeError};
pub use event::{Event, Fact, Sequence};
pub use executor::{ExecuteError, Executor, FnExecutor, SchemeExecutor};
pub use failure::{Failure, FailureCode, Retry};
pub use gate::{Gate, GateDecision, GateError};
pub use inventory::{Inventory, InventoryError};
pub use journal::{Journal, JournalError, JournalQuery};
pub use observer::{FnObserver, NullObserver, Observer, TracingObserver};
#[cfg(feature = "toml")]
pub use parser::TomlParser;
#[cfg(feature = "yaml")]
pub use parser::YamlParser;
pub use parser::{FnParser, Format, JsonParser, MAX_DOCUMENT, ParseError, Parser};
pub use pipe::{PipeClosed, PipeReader, PipeWriter, pipe};
pub use prober::{ProbeAnswer, ProbeError, ProbeQuestion, Prober};
pub use queue::{
    Claim, DeadLetter, LeaseToken, Pushed, Queue, QueueAdmin, QueueError, QueueStatistics,
    Settlement, TaskPlace,
};
#[cfg(feature = "release")]
pub use release::{LocalConnector, LocalSession, ReleaseExecutor, ReleaseExecutorBuilder};
pub use release_step::Step;
pub use report::DeploymentReport;
pub use resolver::{AgentResolver, FnResolver, ResolveError};
pub use secret::Secret;
pub use state::{Dispatch, Hold, HostState, Phase, Subject, TaskState};
pub use summary::TaskSummary;
pub use task::{DeploymentTask, Task, TaskRecord};
pub use verifier::{FnVerifier, VerifiedPackage, Verifier, VerifyError};
