//! Putting a control node and an agent node together.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deploy_core::{
    AgentNode, ControlNode, ControlNodeBuilder, Gate, Inventory, Journal, LocalConnector, Observer,
    Queue, ReleaseExecutor, SchemeConnector, SchemeExecutor,
};
use deploy_http::{HttpExecutor, HttpProber, HttpVerifier, TlsIdentity, UrlPolicy};
use deploy_queue::{DiskStore, MemoryJournal, MemoryQueue, OpenError, QueueConfig};

use crate::SshHosts;

/// The schemes of the endpoints that are reached here.
pub const SCHEMES: [&str; 4] = ["http", "https", "local", "ssh"];

/// Where a node keeps what must not be lost, and what may be.
#[derive(Debug)]
pub struct State {
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// The packages that were fetched.
    pub verifier: HttpVerifier,
    /// Removed when the node is, where nobody gave a directory.
    _temporary: Option<tempfile::TempDir>,
}

impl State {
    /// Opens a state directory. Without one, queue and journal live in memory and end with the
    /// process, and packages in a temporary directory.
    ///
    /// # Errors
    ///
    /// When the directory cannot be used, or another process uses it: the message says which.
    pub async fn open(directory: Option<&Path>) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let Some(directory) = directory else {
            let temporary = tempfile::tempdir()?;
            return Ok(Self {
                queue: Arc::new(MemoryQueue::new(QueueConfig::new())),
                journal: Arc::new(MemoryJournal::new()),
                verifier: verifier(temporary.path())?,
                _temporary: Some(temporary),
            });
        };
        let unusable = |error| format!("the state directory {}: {error}", directory.display());
        std::fs::create_dir_all(directory).map_err(unusable)?;
        let store = Arc::new(store(directory).await?);
        Ok(Self {
            queue: Arc::clone(&store) as Arc<dyn Queue>,
            journal: store,
            verifier: verifier(&directory.join("packages"))?,
            _temporary: None,
        })
    }
}

/// How a control node reaches its hosts and agents.
#[derive(Clone, Debug)]
pub struct Ways {
    /// Hosts over SSH.
    pub ssh: SshHosts,
    /// Agents over https.
    pub tls: AgentTls,
}

/// TLS on the way to agents.
#[derive(Clone, Debug, Default)]
pub struct AgentTls {
    /// The authorities that are believed beside the system's, in PEM.
    pub authorities: Option<Vec<u8>>,
    /// Who the control node is, for agents that ask for it.
    pub identity: Option<TlsIdentity>,
}

/// Opens the store of a state directory.
///
/// # Errors
///
/// What [`DiskStore::open`] says; `Locked` while another process has it open.
pub async fn store(directory: &Path) -> Result<DiskStore, OpenError> {
    DiskStore::open(&store_path(directory), QueueConfig::new()).await
}

/// Where the store of a state directory lies.
#[must_use]
pub fn store_path(directory: &Path) -> PathBuf {
    directory.join("store")
}

/// Whoever runs these programs also chooses the package server and the monitoring addresses, often
/// on the same machine: so loopback is allowed, which the library's default is not.
#[must_use]
pub fn url_policy() -> UrlPolicy {
    UrlPolicy::new().allow_loopback()
}

fn verifier(cache: &Path) -> Result<HttpVerifier, Box<dyn Error + Send + Sync>> {
    Ok(HttpVerifier::builder(cache)
        .policy(url_policy())
        .trust_system_roots()
        .allow_file_urls()
        .build()?)
}

/// The executor of hosts that are reached without an agent.
fn release_executor(
    ssh: SshHosts,
    state: &State,
) -> Result<ReleaseExecutor, Box<dyn Error + Send + Sync>> {
    let connector = SchemeConnector::new().with("local", LocalConnector::new()).with("ssh", ssh);
    let prober = HttpProber::builder().policy(url_policy()).trust_system_roots().build()?;
    let executor = ReleaseExecutor::builder(connector, state.verifier.clone());
    Ok(executor.prober(prober).node(format!("process {}", std::process::id())).build())
}

/// A control node for the hosts of an inventory.
///
/// # Errors
///
/// When a token file cannot be read, an authority is not one, or what was left unfinished cannot be
/// taken up.
pub async fn control_node(
    inventory: Inventory,
    ways: Ways,
    state: &State,
    gates: Vec<Arc<dyn Gate>>,
    observer: impl Observer,
) -> Result<ControlNode, Box<dyn Error + Send + Sync>> {
    let Ways { ssh, tls } = ways;
    let mut agents = HttpExecutor::builder()
        .tokens(inventory.tokens()?)
        .policy(url_policy())
        .trust_system_roots();
    if let Some(authorities) = tls.authorities {
        agents = agents.root_certificate_pem(authorities);
    }
    if let Some(identity) = tls.identity {
        agents = agents.identity(identity);
    }
    let agents = agents.build()?;
    let direct = release_executor(ssh, state)?;
    let executor = SchemeExecutor::new()
        .with("http", agents.clone())
        .with("https", agents)
        .with("local", direct.clone())
        .with("ssh", direct);
    let builder = gates.into_iter().fold(ControlNode::builder(), ControlNodeBuilder::gate);
    let node = builder
        .observer(observer)
        .resolver(inventory)
        .verifier(state.verifier.clone())
        .executor(executor)
        .queue(Arc::clone(&state.queue))
        .journal(Arc::clone(&state.journal))
        .build()
        .await?;
    Ok(node)
}

/// An agent node for the hosts of an inventory, those that are reached over SSH among them.
///
/// # Errors
///
/// When what was left unfinished cannot be taken up.
pub async fn agent_node(
    inventory: Inventory,
    ssh: SshHosts,
    state: &State,
) -> Result<AgentNode, Box<dyn Error + Send + Sync>> {
    let node = AgentNode::builder()
        .resolver(inventory)
        .executor(release_executor(ssh, state)?)
        .queue(Arc::clone(&state.queue))
        .journal(Arc::clone(&state.journal))
        .build()
        .await?;
    Ok(node)
}
