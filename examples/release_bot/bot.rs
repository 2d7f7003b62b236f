//! A bot at work: what its command line names, put together over a state directory.

use std::path::Path;
use std::sync::Arc;

use deploy_core::gate::{FileApprovals, MemoryApprovals};
use deploy_core::model::DeploymentRequest;
use deploy_core::{
    ControlNode, Gate, Inventory, JournalQuery, NullObserver, Observer, Plan, SystemClock,
};
use deploy_examples::wiring::{self, Ways};

use crate::args::BotArgs;
use crate::client;
use crate::desk;
use crate::input::{self, AnyError, BadInput};
use crate::server::Server;

/// What a bot works with, read and checked.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    inventory: Inventory,
    ways: Ways,
    gates: Vec<Arc<dyn Gate>>,
}

impl Parts {
    /// Reads all that the command line names.
    pub(crate) fn read(args: BotArgs) -> Result<Self, AnyError> {
        let inventory = input::inventory(&args.inventory);
        let gates = gates(args.gates.as_deref(), args.approvals.as_deref());
        let (inventory, gates) = input::both(inventory, gates)?;
        let ways = input::both(input::ssh(&inventory, args.ssh), input::agent_tls(&args.tls));
        let ((), (ssh, tls)) = input::both(input::tokens(&inventory), ways)?;
        Ok(Self { inventory, ways: Ways { ssh, tls }, gates })
    }
}

impl Parts {
    /// Plans a request with a node of these parts that knows of no deployment, and so works on none.
    pub(crate) async fn plan(&self, request: DeploymentRequest) -> Result<Plan, AnyError> {
        let state = wiring::State::open(None).await?;
        let Self { inventory, ways, gates } = self.clone();
        let node =
            wiring::control_node(inventory, ways, &state, gates, NullObserver::default()).await?;
        let plan = node.plan(request).await;
        node.shutdown().await;
        plan.map_err(|error| client::refusal(desk::refused(&error)))
    }
}

/// The gates of the command line: none where none are named.
fn gates(path: Option<&Path>, approvals: Option<&Path>) -> Result<Vec<Arc<dyn Gate>>, AnyError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let policy = input::gates(path)?;
    match approvals {
        Some(approvals) => Ok(policy.gates(FileApprovals::new(approvals), SystemClock::new())),
        None if policy.needs_approvals() => Err(BadInput::new(format!(
            "{} needs approvals: name their file with --approvals",
            path.display()
        )))?,
        None => Ok(policy.gates(MemoryApprovals::new(), SystemClock::new())),
    }
}

/// A bot at work.
#[derive(Debug)]
pub(crate) struct Bot {
    pub(crate) node: ControlNode,
    server: Option<Server>,
}

impl Bot {
    /// Goes on with what is unfinished, and answers other calls when there is a directory.
    pub(crate) async fn start(
        parts: &Parts,
        state: &wiring::State,
        directory: Option<&Path>,
        observer: impl Observer,
    ) -> Result<Self, AnyError> {
        let Parts { inventory, ways, gates } = parts.clone();
        let node = wiring::control_node(inventory, ways, state, gates, observer).await?;
        let server = directory.and_then(|directory| {
            // It does its work without.
            let warn = |error| {
                eprintln!(
                    "release_bot: nobody can be answered in {}: {error}",
                    directory.display()
                );
            };
            Server::start(directory, node.clone()).map_err(warn).ok()
        });
        Ok(Self { node, server })
    }

    /// The deployments that it goes on with.
    pub(crate) async fn unfinished(&self) -> Result<Vec<deploy_core::TaskSummary>, AnyError> {
        Ok(self.node.history(JournalQuery::new().with_finished(false)).await?)
    }

    /// Answers nobody any more, and shuts down.
    pub(crate) async fn stop(self) {
        if let Some(server) = self.server {
            server.stop().await;
        }
        self.node.shutdown().await;
    }
}
