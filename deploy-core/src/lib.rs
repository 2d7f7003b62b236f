//! The model, the traits and the two engines of an embeddable deployment engine.

#[cfg(feature = "release")]
pub mod archive;
mod cancel;
mod clock;
mod connector;
mod context;
pub mod document;
mod event;
mod executor;
mod failure;
mod gate;
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
mod resolver;
mod secret;
mod summary;
mod task;
mod verifier;
mod wrappers;

pub use cancel::CancelToken;
pub use clock::{Clock, SystemClock};
pub use connector::{
    CommandIo, ConnectError, Connector, Exit, SchemeConnector, Session, SessionError,
};
pub use context::Context;
pub use event::{Event, Fact, Sequence};
pub use executor::{ExecuteError, Executor, FnExecutor, SchemeExecutor};
pub use failure::{Failure, FailureCode, Retry};
pub use gate::{Gate, GateDecision, GateError};
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
pub use resolver::{AgentResolver, FnResolver, ResolveError};
pub use secret::Secret;
pub use summary::TaskSummary;
pub use task::{DeploymentTask, Task, TaskRecord};
pub use verifier::{FnVerifier, VerifiedPackage, Verifier, VerifyError};
