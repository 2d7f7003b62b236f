//! The hosts of an inventory that are reached over SSH, each with the connector that reaches it.

mod build;
mod keys;
mod reader;

use std::collections::HashMap;
use std::error::Error;

use async_trait::async_trait;
use deploy_core::model::{Endpoint, HostName, Target};
use deploy_core::{ConnectError, Connector, Context, Inventory, Session};
use deploy_ssh::SshConnector;

use reader::Reader;

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
        let mut reader =
            Reader::new(inventory, options).map_err(|fault| SshUnusable(vec![fault]))?;
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

/// An error and its causes, joined by colons.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
