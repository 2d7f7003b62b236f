//! A control node at rest: it answers and records, and works on nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{ControlNode, ControlNodeBuilder};
use crate::engine::BuildError;
use crate::executor::{ExecuteError, FnExecutor};
use crate::model::{TaskId, Timestamp};
use crate::queue::{Claim, LeaseToken, Pushed, Queue, QueueError, Settlement};
use crate::resolver::{FnResolver, ResolveError};
use crate::retention::Retention;
use crate::task::TaskRecord;
use crate::verifier::{FnVerifier, VerifyError};

impl ControlNodeBuilder {
    /// Opens a queue and a journal to ask after deployments, to file requests and to say what a person
    /// wants, without working on anything: for a program that is called while no bot is running. Of
    /// the parts only the queue and the journal are required, and besides them the clock and the
    /// observers count. It has to be called within a tokio runtime.
    ///
    /// What is recorded is kept, and whoever opens the same queue and journal next acts on it. Waiting
    /// for the end of a deployment waits for somebody else to bring it there.
    ///
    /// # Errors
    ///
    /// `Missing` without queue or journal; `Recovery` when they cannot be read.
    pub async fn build_at_rest(mut self) -> Result<ControlNode, BuildError> {
        let resting = |queue| Arc::new(Resting(queue)) as Arc<dyn Queue>;
        self.parts.queue = self.parts.queue.map(resting);
        self.parts.config.retention = Retention::new();
        // Nothing is claimed, so that none of these is asked.
        let resolver = FnResolver::new(|_, business, project| async {
            Err(ResolveError::Unknown { business, project })
        });
        let verifier = FnVerifier::new(|_, source| async move {
            let url = source.url.to_string();
            Err(VerifyError::Refused { url, reason: AT_REST.to_owned() })
        });
        let executor = FnExecutor::new(|_, _| async {
            Err(ExecuteError::Rejected { reason: AT_REST.into() })
        });
        self.resolver(resolver).verifier(verifier).executor(executor).build().await
    }
}

const AT_REST: &str = "this node is at rest";

/// A queue that takes tasks and gives none out.
#[derive(Debug)]
struct Resting(Arc<dyn Queue>);

#[async_trait]
impl Queue for Resting {
    async fn push(&self, task: TaskRecord) -> Result<Pushed, QueueError> {
        self.0.push(task).await
    }

    async fn claim(
        &self,
        _worker: String,
        _kinds: Vec<String>,
        _lease: Duration,
    ) -> Result<Claim, QueueError> {
        std::future::pending().await
    }

    async fn renew(&self, token: LeaseToken, lease: Duration) -> Result<(), QueueError> {
        self.0.renew(token, lease).await
    }

    async fn settle(&self, token: LeaseToken, settlement: Settlement) -> Result<(), QueueError> {
        self.0.settle(token, settlement).await
    }

    async fn reschedule(&self, id: TaskId, due: Timestamp) -> Result<bool, QueueError> {
        self.0.reschedule(id, due).await
    }
}
