//! The hosts of an inventory that are reached over SSH, each with the connector that reaches it.

use std::collections::HashMap;
use std::env;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use deploy_core::inventory::{Host, SshSecrets, SshSettings};
use deploy_core::model::{Endpoint, HostName, Target};
use deploy_core::{ConnectError, Connector, Context, Inventory, Session};
use deploy_ssh::{
    Auth, Become, ConfiguredJump, HostKeyPolicy, HostKeys, HostSettings, JumpHost, KnownHosts,
    KnownHostsError, LocalUser, SshConfig, SshConnector,
};

use crate::ssh_options::{SshOptions, SshUnusable, ssh_hosts};

/// The hosts of an inventory that are reached over SSH.
#[derive(Clone, Debug, Default)]
pub struct SshHosts {
    hosts: HashMap<HostName, Way>,
}

/// How a host is reached.
#[derive(Clone, Debug)]
struct Way {
    connector: SshConnector,
    /// Where the ssh config leads, if there is one.
    endpoint: Endpoint,
    known_keys: Vec<String>,
}

/// What hosts have in common whose connections share one connector, and so its limits.
#[derive(Clone, Debug, PartialEq)]
struct Common {
    identities: Vec<PathBuf>,
    agent: Option<PathBuf>,
    keys: Keys,
    jumps: Vec<Jump>,
}

/// A host to go through, with what the ssh config has for it alone.
#[derive(Clone, Debug, PartialEq)]
struct Jump {
    endpoint: Endpoint,
    identities: Vec<PathBuf>,
    keys: Option<Keys>,
}

/// The keys that are known, and the name by which that of the last host is known, when it has one.
#[derive(Clone, Debug, PartialEq)]
struct Keys {
    known: KnownHosts,
    alias: Option<(String, u16, String)>,
}

impl Keys {
    /// As in ssh(1), no port belongs to a name that stands for a host's.
    fn known_as<'a>(&'a self, host: &'a str, port: u16) -> (&'a str, u16) {
        match &self.alias {
            Some((of, at, alias)) if of == host && *at == port => (alias, 22),
            _ => (host, port),
        }
    }
}

impl HostKeyPolicy for Keys {
    fn check(&self, host: &str, port: u16, key: &[u8]) -> Result<(), String> {
        let (host, port) = self.known_as(host, port);
        HostKeyPolicy::check(&self.known, host, port, key)
    }

    fn algorithms(&self, host: &str, port: u16) -> Vec<String> {
        let (host, port) = self.known_as(host, port);
        self.known.algorithms(host, port)
    }
}

impl SshHosts {
    /// No hosts.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads all files that are needed to reach the hosts of an inventory over SSH. Without such
    /// hosts, none is read.
    ///
    /// # Errors
    ///
    /// Everything that is missing or wrong, for all hosts at once.
    pub fn of(inventory: &Inventory, options: &SshOptions) -> Result<Self, SshUnusable> {
        if ssh_hosts(inventory).next().is_none() {
            return Ok(Self::none());
        }
        let one = |error: &dyn std::error::Error| SshUnusable(vec![chain(error)]);
        let settings = options.over(inventory);
        let secrets = settings.secrets().map_err(|error| one(&error))?;
        let config = settings.config.as_deref().map(|path| SshConfig::load(path, local_user()));
        let config = config.transpose().map_err(|error| one(&error))?;
        let mut reader = Reader { settings, secrets, config, options, connectors: Vec::new() };
        let (mut hosts, mut faults) = (HashMap::new(), Vec::new());
        for host in ssh_hosts(inventory) {
            match reader.way(host) {
                Ok(way) => drop(hosts.insert(host.name.clone(), way)),
                Err(fault) if faults.contains(&fault) => {}
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(Self { hosts }) } else { Err(SshUnusable(faults)) }
    }

    /// The types of the keys that are known of a host: `None` for one that is not reached over SSH.
    #[must_use]
    pub fn known_keys(&self, host: &HostName) -> Option<Vec<String>> {
        self.hosts.get(host).map(|way| way.known_keys.clone())
    }
}

#[async_trait]
impl Connector for SshHosts {
    async fn connect(
        &self,
        cx: Context,
        mut target: Target,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let Some(way) = self.hosts.get(&target.host) else {
            return Err(ConnectError::Unsupported {
                endpoint: target.endpoint.to_string(),
                allowed: "a host of the inventory".to_owned(),
            });
        };
        target.endpoint.clone_from(&way.endpoint);
        way.connector.connect(cx, target).await
    }
}

/// Finds out how each host is reached.
struct Reader<'a> {
    settings: SshSettings,
    secrets: SshSecrets,
    config: Option<SshConfig>,
    options: &'a SshOptions,
    connectors: Vec<(Common, SshConnector)>,
}

impl Reader<'_> {
    fn way(&mut self, host: &Host) -> Result<Way, String> {
        let endpoint = host.endpoint.as_ref().ok_or("a host without an endpoint")?;
        let url = endpoint.url();
        let name = url.host_str().unwrap_or_default();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let said = self.said(name)?;
        let user = Some(url.username()).filter(|user| !user.is_empty()).map(str::to_owned);
        let place = self.place(&said, user, url.port())?;
        let jumps = self.jumps(&said)?;
        let keys = self.keys(&said, &place)?;
        let port = place.url().port().unwrap_or(22);
        let known_keys = HostKeyPolicy::algorithms(&keys, &said.host, port);
        let identities = self.own_identities(&said);
        let identities = identities.unwrap_or_else(|| self.settings.identities.clone());
        // Servers break off after a few keys, so an agent is asked only where no key is named.
        let agent = env::var_os("SSH_AUTH_SOCK").filter(|_| identities.is_empty());
        let agent = agent.map(PathBuf::from);
        let connector = self.connector(Common { identities, agent, keys, jumps })?;
        Ok(Way { connector, endpoint: place, known_keys })
    }

    /// The hosts to go through: those that the ssh config has for the host, or else the inventory's.
    fn jumps(&self, said: &HostSettings) -> Result<Vec<Jump>, String> {
        let Some(jumps) = &said.jumps else {
            let plain = |endpoint: &Endpoint| Jump {
                endpoint: endpoint.clone(),
                identities: Vec::new(),
                keys: None,
            };
            return Ok(self.settings.jumps.iter().map(plain).collect());
        };
        let jump = |jump: &ConfiguredJump| {
            let said = self.said(&jump.host)?;
            let endpoint = self.place(&said, jump.user.clone(), jump.port)?;
            let identities = self.own_identities(&said).unwrap_or_default();
            let keys = Some(self.keys(&said, &endpoint)?);
            Ok(Jump { endpoint, identities, keys })
        };
        jumps.iter().map(jump).collect()
    }

    /// The keys that the ssh config has for a host, unless the command line says others.
    fn own_identities(&self, said: &HostSettings) -> Option<Vec<PathBuf>> {
        let own = self.options.identities.is_empty() && !said.identities.is_empty();
        own.then(|| said.identities.clone())
    }

    /// What the ssh config says of a host, if there is one.
    fn said(&self, name: &str) -> Result<HostSettings, String> {
        match &self.config {
            Some(config) => config.resolve(name),
            None => SshConfig::parse(b"", local_user()).and_then(|config| config.resolve(name)),
        }
        .map_err(|error| chain(&error))
    }

    /// Where a host is, and who logs in there. What is said in the endpoint comes first, then what
    /// the ssh config says of the host, then what the inventory says of all.
    fn place(
        &self,
        said: &HostSettings,
        user: Option<String>,
        port: Option<u16>,
    ) -> Result<Endpoint, String> {
        let host = &said.host;
        let user = user.or_else(|| said.user.clone()).or_else(|| self.settings.user.clone());
        let user = user.ok_or_else(|| {
            format!("{host}: nobody says who logs in: ssh://user@{host}, or user in [ssh]")
        })?;
        let port = port.or(said.port).unwrap_or(22);
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let text = format!("ssh://{user}@{host}:{port}");
        Endpoint::new(&text).map_err(|invalid| format!("{host}: {invalid}"))
    }

    /// The keys that a host may show.
    fn keys(&self, said: &HostSettings, place: &Endpoint) -> Result<Keys, String> {
        let port = place.url().port().unwrap_or(22);
        let alias = said.host_key_alias.clone().map(|alias| (said.host.clone(), port, alias));
        Ok(Keys { known: self.known_hosts(said)?, alias })
    }

    /// The known hosts of the command line, or else those of the inventory and of the ssh config.
    fn known_hosts(&self, said: &HostSettings) -> Result<KnownHosts, String> {
        let mut known = KnownHosts::new();
        for file in &self.settings.known_hosts {
            known = known.merge(KnownHosts::load(file).map_err(|error| chain(&error))?);
        }
        let mut named = !self.settings.known_hosts.is_empty();
        if self.options.known_hosts.is_empty() {
            let lists = [&said.user_known_hosts, &said.global_known_hosts];
            for file in lists.into_iter().flatten().flatten() {
                named = true;
                match KnownHosts::load(file) {
                    Ok(more) => known = known.merge(more),
                    // As in ssh(1), which has such files by default.
                    Err(KnownHostsError::Unreadable { source, .. })
                        if source.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(chain(&error)),
                }
            }
        }
        if named {
            return Ok(known);
        }
        Err("nothing says which keys hosts have: known_hosts in [ssh], or --known-hosts FILE"
            .into())
    }

    fn connector(&mut self, common: Common) -> Result<SshConnector, String> {
        if let Some((_, connector)) = self.connectors.iter().find(|(known, _)| *known == common) {
            return Ok(connector.clone());
        }
        let connector = build(&self.settings, &self.secrets, &common)?;
        self.connectors.push((common, connector.clone()));
        Ok(connector)
    }
}

/// The one place that builds a connector.
fn build(
    settings: &SshSettings,
    secrets: &SshSecrets,
    common: &Common,
) -> Result<SshConnector, String> {
    let mut builder = SshConnector::builder().host_keys(HostKeys::new(common.keys.clone()));
    for path in &common.identities {
        builder = builder.auth(key_file(path, secrets)?);
    }
    if let Some(agent) = &common.agent {
        builder = builder.auth(Auth::agent(agent));
    }
    if let Some(password) = &secrets.password {
        builder = builder
            .auth(Auth::password(password.clone()))
            .auth(Auth::interactive_password(password.clone()));
    }
    if let Some(user) = &settings.sudo {
        let other = Become::sudo(user);
        builder = builder.run_as(match &secrets.sudo_password {
            Some(password) => other.with_password(password.clone()),
            None => other,
        });
    }
    for Jump { endpoint, identities, keys } in &common.jumps {
        // What is not set for it is as it is set for the hosts.
        let mut jump = JumpHost::new(endpoint.clone());
        for path in identities {
            jump = jump.auth(key_file(path, secrets)?);
        }
        if let Some(keys) = keys {
            jump = jump.host_keys(HostKeys::new(keys.clone()));
        }
        builder = builder.jump(jump);
    }
    builder.build().map_err(|error| chain(&error))
}

fn key_file(path: &Path, secrets: &SshSecrets) -> Result<Auth, String> {
    let read = File::open(path);
    read.map_err(|error| format!("the key {} cannot be read: {error}", path.display()))?;
    Ok(match &secrets.passphrase {
        Some(passphrase) => Auth::encrypted_key_file(path, passphrase.clone()),
        None => Auth::key_file(path),
    })
}

/// Whoever runs this program.
fn local_user() -> LocalUser {
    let home = env::home_dir().unwrap_or_default();
    LocalUser::new(env::var("USER").unwrap_or_default(), home)
}

/// An error and its causes, joined by colons.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
