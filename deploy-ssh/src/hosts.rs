//! The hosts of an inventory that are reached over SSH, each with the connector that reaches it.

mod build;
mod error;
mod keys;
mod options;
mod reader;
mod shared;

use std::collections::HashMap;

use async_trait::async_trait;
use deploy_core::model::{Endpoint, HostName, Target};
use deploy_core::{ConnectError, Connector, Context, Inventory, Session};

pub use error::{SshFault, SshFaultKind, SshUnusable};
pub use options::SshOptions;

use build::{Common, build};
use error::Faults;
use reader::Reader;
use shared::Shared;

use crate::connector::SshConnector;

/// The hosts of an inventory that are reached over SSH.
///
/// How each is reached is said by its endpoint first, then by the ssh config that the inventory's
/// table `[ssh]` names, then by the table. Hosts for which the same counts share a connector, and so
/// its limits and the sessions with its jump hosts. Clones share them too.
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

impl SshHosts {
    /// No hosts.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads all files that are needed to reach the hosts of an inventory over SSH. Without such
    /// hosts, none is read. It blocks while it reads, and connects to nobody.
    ///
    /// # Errors
    ///
    /// [`SshUnusable`] with everything that is missing or wrong, for all hosts at once.
    pub fn of(inventory: &Inventory, options: &SshOptions) -> Result<Self, SshUnusable> {
        let endpoint = |host| Host::over_ssh(host);
        let hosts: Vec<_> = inventory.hosts().iter().filter_map(endpoint).collect();
        if hosts.is_empty() {
            return Ok(Self::none());
        }
        let mut faults = Faults::default();
        let shared = Shared::read(inventory, options, &mut faults);
        let mut plans = Vec::new();
        // Without the config that the inventory names, nobody knows what a host lacks.
        if let Some(config) = &shared.config {
            let mut reader = Reader::new(&shared, config, options, &mut faults);
            plans.extend(hosts.iter().filter_map(|host| Some((host.name, reader.plan(host)?))));
        }
        faults.check()?;
        // Hosts with everything in common share a connector.
        let mut connectors: Vec<(Common, SshConnector)> = Vec::new();
        let mut ways = HashMap::new();
        for (name, plan) in plans {
            let connector = match connectors.iter().find(|(common, _)| *common == plan.common) {
                Some((_, connector)) => connector.clone(),
                None => match build(&shared, &plan.common) {
                    Ok(connector) => {
                        connectors.push((plan.common, connector.clone()));
                        connector
                    }
                    Err(error) => {
                        faults.add(Some(name), SshFaultKind::Connector(error));
                        continue;
                    }
                },
            };
            let (endpoint, known_keys) = (plan.endpoint, plan.known_keys);
            ways.insert(name.clone(), Way { connector, endpoint, known_keys });
        }
        faults.check()?;
        Ok(Self { hosts: ways })
    }

    /// The types of the keys that are known of a host, such as `ssh-ed25519`: `None` for one that is
    /// not reached over SSH. A host of which no key is known will be refused.
    #[must_use]
    pub fn known_keys(&self, host: &HostName) -> Option<&[String]> {
        self.hosts.get(host).map(|way| &way.known_keys[..])
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

/// A host of the inventory whose endpoint is one of SSH.
#[derive(Clone, Copy, Debug)]
struct Host<'a> {
    name: &'a HostName,
    endpoint: &'a Endpoint,
}

impl<'a> Host<'a> {
    fn over_ssh(host: &'a deploy_core::inventory::Host) -> Option<Self> {
        let endpoint = host.endpoint.as_ref().filter(|endpoint| endpoint.scheme() == "ssh")?;
        Some(Self { name: &host.name, endpoint })
    }
}
