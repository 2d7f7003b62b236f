//! Finding out how each host is reached: from its endpoint, an ssh config and the inventory's table.

use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use deploy_core::Inventory;
use deploy_core::inventory::{Host, SshSecrets, SshSettings};
use deploy_core::model::Endpoint;
use deploy_ssh::{
    ConfiguredJump, HostKeyPolicy, HostSettings, KnownHosts, KnownHostsError, LocalUser, SshConfig,
    SshConnector,
};

use super::build::{Common, Jump, build};
use super::keys::Keys;
use super::{Way, chain};
use crate::ssh_options::SshOptions;

/// Finds out how each host is reached.
pub(super) struct Reader<'a> {
    settings: SshSettings,
    secrets: SshSecrets,
    config: Option<SshConfig>,
    options: &'a SshOptions,
    /// Hosts with everything in common share a connector.
    connectors: Vec<(Common, SshConnector)>,
    /// What was read of lists of files.
    known: RefCell<HashMap<Vec<PathBuf>, Arc<KnownHosts>>>,
}

impl<'a> Reader<'a> {
    /// Reads what counts for all hosts.
    pub(super) fn new(inventory: &Inventory, options: &'a SshOptions) -> Result<Self, String> {
        let settings = options.over(inventory);
        let secrets = settings.secrets().map_err(|error| chain(&error))?;
        let config = settings.config.as_deref().map(|path| SshConfig::load(path, local_user()));
        let config = config.transpose().map_err(|error| chain(&error))?;
        let (connectors, known) = (Vec::new(), RefCell::default());
        Ok(Self { settings, secrets, config, options, connectors, known })
    }

    /// Finds out how a host is reached.
    pub(super) fn way(&mut self, host: &Host) -> Result<Way, String> {
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
    fn known_hosts(&self, said: &HostSettings) -> Result<Arc<KnownHosts>, String> {
        let mut files = self.settings.known_hosts.clone();
        let required = files.len();
        if self.options.known_hosts.is_empty() {
            let lists = [&said.user_known_hosts, &said.global_known_hosts];
            files.extend(lists.into_iter().flatten().flatten().cloned());
        }
        if files.is_empty() {
            let missing =
                "nothing says which keys hosts have: known_hosts in [ssh], or --known-hosts FILE";
            return Err(missing.to_owned());
        }
        if let Some(known) = self.known.borrow().get(&files) {
            return Ok(Arc::clone(known));
        }
        let mut known = KnownHosts::new();
        for (index, file) in files.iter().enumerate() {
            match KnownHosts::load(file) {
                Ok(more) => known = known.merge(more),
                // Those of an ssh config may be missing, as in ssh(1), which has such by default.
                Err(KnownHostsError::Unreadable { source, .. })
                    if index >= required && source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(chain(&error)),
            }
        }
        let known = Arc::new(known);
        self.known.borrow_mut().insert(files, Arc::clone(&known));
        Ok(known)
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

/// Whoever runs this program.
fn local_user() -> LocalUser {
    let home = env::home_dir().unwrap_or_default();
    LocalUser::new(env::var("USER").unwrap_or_default(), home)
}
