//! Finding out how each host is reached: from its endpoint, an ssh config and the inventory's table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deploy_core::model::{Endpoint, HostName};

use super::Host;
use super::build::{Common, Jump};
use super::error::{Faults, SshFaultKind};
use super::keys::Keys;
use super::options::SshOptions;
use super::shared::{Shared, check_keys, known_hosts};
use crate::known_hosts::{KnownHosts, SSH_PORT};
use crate::ssh_config::{ConfiguredJump, HostSettings, SshConfig};

/// How often a host to go through may have one of its own: more is a circle.
const DEEPEST: usize = 16;

/// How a host will be reached.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) common: Common,
    pub(super) endpoint: Endpoint,
    pub(super) known_keys: Vec<String>,
}

/// Finds out how each host is reached. What it cannot find out stands in the faults.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    shared: &'a Shared,
    config: &'a SshConfig,
    options: &'a SshOptions,
    faults: &'a mut Faults,
    /// What is known with lists of files of the ssh config.
    known: HashMap<Vec<PathBuf>, Arc<KnownHosts>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        config: &'a SshConfig,
        options: &'a SshOptions,
        faults: &'a mut Faults,
    ) -> Self {
        let known = HashMap::from([(Vec::new(), Arc::new(shared.known.clone()))]);
        Self { shared, config, options, faults, known }
    }

    /// Finds out how a host is reached.
    pub(super) fn plan(&mut self, host: &Host<'_>) -> Option<Plan> {
        let url = host.endpoint.url();
        let at = url.host_str().unwrap_or_default();
        let at = at.trim_start_matches('[').trim_end_matches(']');
        let said = self.said(host.name, at)?;
        let user = user_of(host.endpoint).or_else(|| said.user.clone());
        let endpoint = self.endpoint(host.name, &said.host, user, url.port().or(said.port));
        let jumps = self.jumps(host.name, &said);
        let known = self.known_hosts(host.name, &said);
        let identities = self.own_identities(host.name, &said);
        let identities = identities.unwrap_or_else(|| self.shared.settings.identities.clone());
        // Servers break off after a few keys, so an agent is asked only where no key is named.
        let agent = self.options.agent.clone().filter(|_| identities.is_empty());
        let password = &self.shared.settings.password_file;
        if identities.is_empty() && agent.is_none() && password.is_none() {
            self.faults.add(self.shared.about(host.name), SshFaultKind::NoAuth);
        }
        let endpoint = endpoint?;
        let keys = keys(known, &said, &endpoint);
        let known_keys = keys.algorithms_of(&said.host, port_of(&endpoint));
        let common = Common { identities, agent, keys, jumps: jumps? };
        Some(Plan { common, endpoint, known_keys })
    }

    /// The hosts to go through: those that the ssh config has for the host, or else the inventory's.
    fn jumps(&mut self, host: &HostName, said: &HostSettings) -> Option<Vec<Jump>> {
        match &said.jumps {
            Some(jumps) => self.way(host, jumps, 0),
            None => self.shared.settings.jumps.iter().map(|jump| self.plain(jump)).collect(),
        }
    }

    /// Hosts to go through of the ssh config. As in ssh(1), the first of them may have others of
    /// its own.
    fn way(
        &mut self,
        host: &HostName,
        jumps: &[ConfiguredJump],
        depth: usize,
    ) -> Option<Vec<Jump>> {
        let Some(first) = jumps.first() else { return Some(Vec::new()) };
        if depth == DEEPEST {
            let at = first.host.clone();
            self.faults.add(Some(host), SshFaultKind::JumpCircle { at });
            return None;
        }
        let found: Vec<_> = jumps.iter().map(|jump| self.configured(host, jump)).collect();
        let before = self.said(host, &first.host)?.jumps.unwrap_or_default();
        let mut way = self.way(host, &before, depth + 1)?;
        // The faults of all of them are told.
        way.extend(found.into_iter().collect::<Option<Vec<_>>>()?);
        Some(way)
    }

    /// A host to go through of the inventory's table. The ssh config says nothing of it.
    fn plain(&mut self, jump: &Endpoint) -> Option<Jump> {
        let url = jump.url();
        let user = user_of(jump).or_else(|| self.shared.settings.user.clone());
        let Some(user) = user else {
            let at = url.host_str().unwrap_or_default().to_owned();
            self.faults.add(None, SshFaultKind::NoUser { at });
            return None;
        };
        let (at, port) = (url.host_str().unwrap_or_default(), port_of(jump));
        let endpoint = self.parsed(None, &format!("ssh://{user}@{at}:{port}"))?;
        Some(Jump { endpoint, identities: Vec::new(), keys: None })
    }

    /// A host to go through of the ssh config, which says more of it.
    fn configured(&mut self, host: &HostName, jump: &ConfiguredJump) -> Option<Jump> {
        let said = self.said(host, &jump.host)?;
        let user = jump.user.clone().or_else(|| said.user.clone());
        let endpoint = self.endpoint(host, &said.host, user, jump.port.or(said.port));
        let identities = self.own_identities(host, &said).unwrap_or_default();
        let known = self.known_hosts(host, &said);
        let endpoint = endpoint?;
        let keys = Some(keys(known, &said, &endpoint));
        Some(Jump { endpoint, identities, keys })
    }

    /// The keys that the ssh config has for a host, unless the options say others.
    fn own_identities(&mut self, host: &HostName, said: &HostSettings) -> Option<Vec<PathBuf>> {
        if !self.options.identities.is_empty() || said.identities.is_empty() {
            return None;
        }
        check_keys(Some(host), &said.identities, self.faults);
        Some(said.identities.clone())
    }

    /// What the ssh config says of a host.
    fn said(&mut self, host: &HostName, name: &str) -> Option<HostSettings> {
        let said = self.config.resolve(name);
        said.map_err(|error| self.faults.add(Some(host), SshFaultKind::Config(error))).ok()
    }

    /// Where a host is, and who logs in there, by default whom the inventory's table names.
    fn endpoint(
        &mut self,
        host: &HostName,
        at: &str,
        user: Option<String>,
        port: Option<u16>,
    ) -> Option<Endpoint> {
        let Some(user) = user.or_else(|| self.shared.settings.user.clone()) else {
            self.faults.add(Some(host), SshFaultKind::NoUser { at: at.to_owned() });
            return None;
        };
        let at = if at.contains(':') { format!("[{at}]") } else { at.to_owned() };
        self.parsed(Some(host), &format!("ssh://{user}@{at}:{}", port.unwrap_or(SSH_PORT)))
    }

    fn parsed(&mut self, host: Option<&HostName>, text: &str) -> Option<Endpoint> {
        let read = Endpoint::new(text);
        read.map_err(|invalid| self.faults.add(host, SshFaultKind::Endpoint(invalid))).ok()
    }

    /// The known hosts of the options, or else those of the inventory and of the ssh config.
    fn known_hosts(&mut self, host: &HostName, said: &HostSettings) -> Arc<KnownHosts> {
        let mut files: Vec<PathBuf> = Vec::new();
        if self.options.known_hosts.is_empty() {
            let lists = [&said.user_known_hosts, &said.global_known_hosts];
            files.extend(lists.into_iter().flatten().flatten().cloned());
        }
        if files.is_empty() && self.shared.settings.known_hosts.is_empty() {
            self.faults.add(self.shared.about(host), SshFaultKind::NoKnownHosts);
        }
        if let Some(known) = self.known.get(&files) {
            return Arc::clone(known);
        }
        // Those of an ssh config may be missing, as in ssh(1), which has such by default.
        let there: Vec<_> = files.iter().filter(|file| !is_missing(file)).cloned().collect();
        let known = self.shared.known.clone().merge(known_hosts(&there, self.faults));
        let known = Arc::new(known);
        self.known.insert(files, Arc::clone(&known));
        known
    }
}

/// The keys that a host may show.
fn keys(known: Arc<KnownHosts>, said: &HostSettings, endpoint: &Endpoint) -> Keys {
    let alias = said.host_key_alias.clone();
    let alias = alias.map(|alias| (said.host.clone(), port_of(endpoint), alias));
    Keys { known, alias }
}

fn is_missing(file: &Path) -> bool {
    matches!(file.try_exists(), Ok(false))
}

fn user_of(endpoint: &Endpoint) -> Option<String> {
    Some(endpoint.url().username()).filter(|user| !user.is_empty()).map(str::to_owned)
}

fn port_of(endpoint: &Endpoint) -> u16 {
    endpoint.url().port().unwrap_or(SSH_PORT)
}
