//! The engine that both nodes share: take a durable task, do its hosts in batches, record facts,
//! finish.
//!
//! What to do next is decided by pure code ([`decide`]) from the task's state, which is a fold over
//! its journal ([`TaskState`](crate::TaskState)). A [`driver`] carries the decisions out for one
//! task; [`workers`] claim tasks and drive them; a [`node`] holds it all together. The control node
//! and the agent node are thin wrappers around the latter.

mod active;
mod assembly;
mod batches;
mod book;
mod decide;
mod driver;
mod error;
mod fence;
mod line;
mod node;
mod parts;
mod progress;
mod recover;
mod room;
mod stream;
mod together;
mod verbs;
mod workers;

pub use assembly::BuildError;
pub(crate) use assembly::{NodeParts, node_setters};
pub(crate) use batches::batches;
pub use error::NodeError;
pub use node::Accepted;
pub(crate) use node::{Engine, check, exclusive_key};
pub(crate) use parts::{Parts, Role};
pub use stream::EventStream;
pub(crate) use together::together;
pub use verbs::Verb;
pub(crate) use verbs::Wish;
