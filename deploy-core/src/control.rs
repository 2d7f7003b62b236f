//! The control node: takes requests, resolves, verifies, schedules, rolls out, records.

mod builder;
mod deployment;
mod follow;
mod host_history;
mod planning;
mod rest;

use std::sync::Arc;

pub use builder::ControlNodeBuilder;
pub use deployment::Deployment;
pub use host_history::HostRecord;

use crate::document::Faults;
use crate::engine::{Accepted, Engine, NodeError, check, exclusive_key};
use crate::event::Fact;
use crate::journal::JournalQuery;
use crate::model::{DeploymentId, DeploymentRequest, TaskId};
use crate::state::Subject;
use crate::summary::TaskSummary;
use crate::task::{DeploymentTask, TaskRecord};

/// The control node. Cheap to clone; when the last clone is dropped its workers let go of what they
/// are at, and whoever opens the same queue and journal next goes on with it.
///
/// ```no_run
/// # async fn example(
/// #     resolver: impl deploy_core::AgentResolver, verifier: impl deploy_core::Verifier,
/// #     executor: impl deploy_core::Executor, queue: impl deploy_core::Queue,
/// #     journal: impl deploy_core::Journal, request: deploy_core::model::DeploymentRequest,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use deploy_core::ControlNode;
///
/// let node = ControlNode::builder()
///     .resolver(resolver)
///     .verifier(verifier)
///     .executor(executor)
///     .queue(queue)
///     .journal(journal)
///     .build()
///     .await?;
/// let deployment = node.submit(request).await?;
/// let report = deployment.wait().await?;
/// println!("{report}");
/// node.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ControlNode {
    engine: Arc<Engine>,
}

impl ControlNode {
    /// Begins to put a control node together.
    pub fn builder() -> ControlNodeBuilder {
        ControlNodeBuilder::default()
    }

    /// Takes a request. When this has answered, the deployment is kept: it comes to its end also
    /// when this process is killed now and another one opens the same queue and journal.
    ///
    /// A request whose id was submitted before, with the same content, is the same deployment.
    ///
    /// # Errors
    ///
    /// `Invalid` with all faults at once when a field was set to what a document may not say, or the
    /// time in which it may begin is over; `Conflict` when the id is taken by another request, `Busy`,
    /// `ShuttingDown`, `Storage`.
    ///
    /// Cancel safety: when the future is dropped it is open whether the request was taken; submit it
    /// again with the same id.
    pub async fn submit(&self, request: DeploymentRequest) -> Result<Deployment, NodeError> {
        self.judge(&request).await?;
        let (Accepted::New | Accepted::Known, id) =
            submit(&self.engine, request, Vec::new()).await?;
        Ok(self.deployment(id))
    }

    /// Refuses a request that is not one, or whose time is over; not one that was taken in time and
    /// is submitted again.
    async fn judge(&self, request: &DeploymentRequest) -> Result<(), NodeError> {
        let late = request.late(self.engine.now());
        let known = match &request.id {
            Some(id) if !late.is_empty() => match self.engine.state(&TaskId::from(id)).await {
                Err(NodeError::Unknown { .. }) => false,
                state => state.map(|_| true)?,
            },
            _ => false,
        };
        let mut faults = match check(request) {
            Ok(()) => Faults::default(),
            Err(NodeError::Invalid(faults)) => faults,
            Err(error) => return Err(error),
        };
        for fault in late.as_slice().iter().filter(|_| !known) {
            faults.push(fault.clone());
        }
        if faults.is_empty() { Ok(()) } else { Err(NodeError::Invalid(faults)) }
    }

    /// The handle of a deployment, known or not.
    #[must_use]
    pub fn deployment(&self, id: DeploymentId) -> Deployment {
        Deployment::new(Arc::clone(&self.engine), id)
    }

    /// The deployments that match a query, those accepted last first.
    ///
    /// # Errors
    ///
    /// `Storage`.
    pub async fn history(&self, query: JournalQuery) -> Result<Vec<TaskSummary>, NodeError> {
        self.engine.list(query).await
    }

    /// Shuts down, in this order: nothing new is taken; no further host is started; what runs is
    /// waited for as long as the builder's `drain` says; what is left is let go and handed back to
    /// the queue, for the next process to go on with. Agents go on by themselves in the meantime.
    ///
    /// The node still answers for its deployments, and so keeps its queue and its journal open. Whoever
    /// opens the same store again in this process closes it first, or drops the node and all handles and
    /// event streams that came from it.
    ///
    /// Cancel safety: when the future is dropped the shutdown goes on without its end being awaited.
    pub async fn shutdown(&self) {
        self.engine.shutdown().await;
    }
}

/// Takes a request, with what is recorded right behind its acceptance.
async fn submit(
    engine: &Engine,
    request: DeploymentRequest,
    more: Vec<Fact>,
) -> Result<(Accepted, DeploymentId), NodeError> {
    check(&request)?;
    let id = request.id.clone().unwrap_or_else(DeploymentId::generate);
    let request = Box::new(request.with_id(id.clone()));
    let subject = Subject::Deployment { id: id.clone(), request: request.clone() };
    let task = DeploymentTask::new(id.clone(), exclusive_key(&subject));
    let fact = Fact::Accepted { deployment: id.clone(), request };
    Ok((engine.accept(fact, more, TaskRecord::of(&task)).await?, id))
}
