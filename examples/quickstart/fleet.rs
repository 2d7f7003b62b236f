//! The fleet: two agents with three hosts each, all on this machine.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy_core::model::TaskId;
use deploy_core::{AgentNode, CancelToken, Context, Inventory, ProbeQuestion, Prober, Secret};
use deploy_examples::{SshHosts, wiring};
use deploy_http::{AccessTokens, HttpProber, Scope, ServeConfig, agent_router, serve};
use tokio::net::TcpListener;
use url::Url;

use crate::AnyError;

/// The agents, with the cloud that each is in and the hosts that each has.
const AGENTS: [(&str, &str, [&str; 3]); 2] = [
    ("east", "private", ["web-1", "web-2", "web-3"]),
    ("west", "public", ["web-4", "web-5", "web-6"]),
];

/// Two agent nodes and their hosts.
#[derive(Debug)]
pub(crate) struct Fleet {
    directory: PathBuf,
    port: u16,
    lifeline: std::net::SocketAddr,
    agents: Vec<AgentNode>,
    stop: CancelToken,
}

impl Fleet {
    /// Starts the agents, each with its API on a port that the system chooses.
    pub(crate) async fn start(directory: &Path) -> Result<Self, AnyError> {
        let stop = CancelToken::new();
        let (port, lifeline) = (free_port().await?, lifeline().await?);
        let mut inventory = String::new();
        let mut agents = Vec::new();
        for (agent, cloud, hosts) in AGENTS {
            let token = token()?;
            std::fs::write(directory.join(format!("{agent}.token")), token.expose())?;
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            write!(
                inventory,
                "[[agent]]\nname = \"{agent}\"\ncloud = \"{cloud}\"\n\
                 endpoint = \"http://{}\"\ntoken_file = \"{agent}.token\"\n\n",
                listener.local_addr()?
            )?;
            let mut own = String::new();
            for host in hosts {
                let address = address(host);
                writeln!(
                    inventory,
                    "[[host]]\nname = \"{host}\"\naddress = \"{address}\"\nagent = \"{agent}\"\n"
                )?;
                let root = directory.join("hosts").join(host);
                std::fs::create_dir_all(&root)?;
                writeln!(
                    own,
                    "[[host]]\nname = \"{host}\"\naddress = \"{address}\"\n\
                     endpoint = \"local:{}\"\n",
                    root.display()
                )?;
            }
            let file = directory.join(format!("{agent}.toml"));
            std::fs::write(&file, own + PROJECT)?;
            let state = wiring::State::open(Some(&directory.join(agent))).await?;
            let node =
                wiring::agent_node(Inventory::load(&file)?, SshHosts::none(), &state).await?;
            let access = AccessTokens::new().with("control", token, Scope::Deploy)?;
            let router = agent_router(node.clone(), access);
            tokio::spawn(serve(listener, router, ServeConfig::default(), stop.clone()));
            agents.push(node);
        }
        std::fs::write(directory.join("inventory.toml"), inventory + PROJECT)?;
        Ok(Self { directory: directory.to_owned(), port, lifeline, agents, stop })
    }

    /// The inventory of the control node.
    pub(crate) fn inventory(&self) -> Result<Inventory, AnyError> {
        Ok(Inventory::load(self.directory.join("inventory.toml"))?)
    }

    /// The port on which the service listens, on each host's own address.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where the services hold on to; when it ends, they do.
    pub(crate) fn lifeline(&self) -> std::net::SocketAddr {
        self.lifeline
    }

    /// Asks every host which version it serves.
    pub(crate) async fn versions(&self) -> Result<Vec<(&'static str, String)>, AnyError> {
        let prober = HttpProber::builder().policy(wiring::url_policy()).build()?;
        let mut versions = Vec::new();
        for host in AGENTS.iter().flat_map(|(_, _, hosts)| hosts) {
            let url = Url::parse(&format!("http://{}:{}/version", address(host), self.port))?;
            let question = ProbeQuestion::new(url, Duration::from_secs(5), 64);
            let answer = prober.probe(Context::new(TaskId::new("versions")?), question).await?;
            versions.push((*host, String::from_utf8_lossy(&answer.body).into_owned()));
        }
        Ok(versions)
    }

    /// Stops the agents. The services follow when this process ends.
    pub(crate) async fn stop(self) {
        for agent in &self.agents {
            agent.shutdown().await;
        }
        self.stop.cancel("the quick start is over");
    }
}

/// What both inventories say of the project.
const PROJECT: &str = r#"
[[project]]
business = "payments"
name = "checkout-api"
hosts = ["web-*"]
root = "/srv/checkout-api"
"#;

/// Every host has a loopback address of its own: `web-4` is 127.0.0.14.
fn address(host: &str) -> String {
    format!("127.0.0.1{}", &host["web-".len()..])
}

/// A port that is free on the addresses of all hosts.
async fn free_port() -> Result<u16, AnyError> {
    'search: loop {
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        for host in AGENTS.iter().flat_map(|(_, _, hosts)| hosts) {
            if TcpListener::bind((address(host), port)).await.is_err() {
                continue 'search;
            }
        }
        return Ok(port);
    }
}

/// Accepts connections and keeps them open as long as this process lives.
async fn lifeline() -> Result<std::net::SocketAddr, AnyError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    Ok(address)
}

/// A token that nobody can guess.
fn token() -> Result<Secret, AnyError> {
    use std::io::Read;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(Secret::new(text))
}
