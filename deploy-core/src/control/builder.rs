//! Putting a control node together.

use std::sync::Arc;
use std::time::Duration;

use super::ControlNode;
use crate::clock::Clock;
use crate::engine::{BuildError, NodeParts, Role, node_setters};
use crate::executor::Executor;
use crate::gate::Gate;
use crate::journal::Journal;
use crate::observer::Observer;
use crate::queue::Queue;
use crate::resolver::AgentResolver;
use crate::retention::Retention;
use crate::verifier::Verifier;

/// Puts a control node together: see [`ControlNode`].
#[derive(Debug)]
#[must_use = "nothing runs before `build`"]
pub struct ControlNodeBuilder {
    pub(super) parts: NodeParts,
}

impl Default for ControlNodeBuilder {
    fn default() -> Self {
        Self { parts: NodeParts::new("control", 16) }
    }
}

node_setters!(ControlNodeBuilder, "control", "16");

impl ControlNodeBuilder {
    /// Sets what fetches and checks packages. Required.
    pub fn verifier(mut self, verifier: impl Verifier) -> Self {
        self.parts.verifier = Some(Arc::new(verifier));
        self
    }

    /// Adds a gate: no rollout begins before all gates are open. All are asked, in their
    /// order, and what each closed one says is shown.
    pub fn gate(mut self, gate: impl Gate) -> Self {
        self.parts.gates.push(Arc::new(gate));
        self
    }

    /// Checks the parts, takes up every deployment that the journal holds unfinished, and starts to
    /// work. It has to be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// `Missing` names all parts that are required and not there; `Unfit`; `Recovery`.
    pub async fn build(self) -> Result<ControlNode, BuildError> {
        Ok(ControlNode { engine: self.parts.start(Role::Control).await? })
    }
}
