//! Putting an agent node together.

use std::sync::Arc;
use std::time::Duration;

use super::AgentNode;
use crate::clock::Clock;
use crate::engine::{BuildError, NodeParts, Role, node_setters};
use crate::executor::Executor;
use crate::journal::Journal;
use crate::observer::Observer;
use crate::queue::Queue;
use crate::resolver::AgentResolver;
use crate::retention::Retention;

/// Puts an agent node together: see [`AgentNode`].
#[derive(Debug)]
#[must_use = "nothing runs before `build`"]
pub struct AgentNodeBuilder {
    parts: NodeParts,
}

impl Default for AgentNodeBuilder {
    fn default() -> Self {
        Self { parts: NodeParts::new("agent", 32) }
    }
}

node_setters!(AgentNodeBuilder, "agent", "32");

impl AgentNodeBuilder {
    /// Checks the parts, takes up every task that the journal holds unfinished, and starts to work.
    /// It has to be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// `Missing` names all parts that are required and not there; `Unfit`; `Recovery`.
    pub async fn build(self) -> Result<AgentNode, BuildError> {
        Ok(AgentNode { engine: self.parts.start(Role::Agent).await? })
    }
}
