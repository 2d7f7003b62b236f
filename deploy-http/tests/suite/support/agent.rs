//! An agent node with scripted hosts, served over HTTP.

use std::net::SocketAddr;

use deploy_core::model::{
    DeploymentId, Endpoint, Fence, PackageSource, ReleaseTask, Target, TaskId,
};
use deploy_core::{AgentNode, CancelToken, Secret};
use deploy_http::{AccessTokens, HttpExecutor, Scope, ServeConfig, agent_router, serve};
use deploy_queue::{MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::{ScriptedExecutor, StaticResolver, samples};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{SOON, package};

/// A token that may do everything.
pub(crate) const DEPLOY: &str = "canary-deploy-0123456789";
/// A token that may look.
pub(crate) const READ: &str = "canary-read-0123456789";

/// An agent that is served.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) node: AgentNode,
    pub(crate) address: SocketAddr,
    pub(crate) hosts: ScriptedExecutor,
    pub(crate) shutdown: CancelToken,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
}

impl Agent {
    /// An agent whose hosts succeed at once.
    pub(crate) async fn start() -> Self {
        Self::with(ScriptedExecutor::new(), QueueConfig::new(), ServeConfig::new()).await
    }

    /// An agent with scripted hosts.
    pub(crate) async fn with_hosts(hosts: ScriptedExecutor) -> Self {
        Self::with(hosts, QueueConfig::new(), ServeConfig::new()).await
    }

    pub(crate) async fn with(
        hosts: ScriptedExecutor,
        queue: QueueConfig,
        config: ServeConfig,
    ) -> Self {
        let node = AgentNode::builder()
            .resolver(StaticResolver::new(samples::fleet(5)))
            .executor(hosts.clone())
            .queue(MemoryQueue::new(queue))
            .journal(MemoryJournal::new())
            .drain(SOON)
            .build()
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancelToken::new();
        let router = agent_router(node.clone(), access());
        let serving = tokio::spawn(serve(listener, router, config, shutdown.clone()));
        Self { node, address, hosts, shutdown, serving }
    }
}

/// Whom the nodes of the tests believe.
pub(crate) fn access() -> AccessTokens {
    AccessTokens::new()
        .with("robot", Secret::new(DEPLOY), Scope::Deploy)
        .and_then(|access| access.with("reader", Secret::new(READ), Scope::Read))
        .unwrap()
}

/// The endpoint of an agent at an address.
pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::new(&format!("http://{address}")).unwrap()
}

/// An executor that knows the agent at an address, and does not wait long.
pub(crate) fn executor(address: SocketAddr) -> deploy_http::HttpExecutorBuilder {
    HttpExecutor::builder().token(&endpoint(address), Secret::new(DEPLOY)).first_pause(SOON)
}

/// A task for so many hosts that are reached over an endpoint.
pub(crate) fn task(id: &str, endpoint: &Endpoint, hosts: usize) -> ReleaseTask {
    let package: PackageSource =
        package::pinned("https://packages.test/checkout-1.4.2.tar.gz", b"package");
    let through_agent = |target: Target| {
        let (host, address, root) = (target.host, target.address, target.root);
        Target::new(host, address, endpoint.clone(), root)
    };
    let hosts = samples::fleet(hosts).into_iter().map(through_agent).collect();
    ReleaseTask::new(
        TaskId::new(id).unwrap(),
        DeploymentId::new("deployment-1").unwrap(),
        &samples::request(package.clone()),
        package,
        hosts,
        Fence::new(7),
    )
}
