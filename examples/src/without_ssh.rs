//! A build that reaches no host over SSH says so before anything begins.

use async_trait::async_trait;
use deploy_core::inventory::Host;
use deploy_core::model::{HostName, Target};
use deploy_core::{ConnectError, Connector, Context, Inventory, Session};

use crate::ssh_options::SshOptions;

/// The hosts of an inventory that are reached over SSH: none.
#[derive(Clone, Debug, Default)]
pub struct SshHosts(());

impl SshHosts {
    /// No hosts.
    #[must_use]
    pub fn none() -> Self {
        Self(())
    }

    /// The types of the keys that are known of a host: `None` for one that is not reached over SSH.
    #[must_use]
    pub fn known_keys(&self, _host: &HostName) -> Option<&[String]> {
        None
    }
}

/// Refuses an inventory with such hosts.
///
/// # Errors
///
/// Names the feature that is needed for them, for people.
pub fn ssh_hosts(inventory: &Inventory, _options: &SshOptions) -> Result<SshHosts, String> {
    let over_ssh = |host: &&Host| host.endpoint.as_ref().is_some_and(|e| e.scheme() == "ssh");
    let hosts = inventory.hosts().iter().filter(over_ssh);
    let hosts: Vec<_> = hosts.map(|host| host.name.as_str()).collect();
    if hosts.is_empty() {
        return Ok(SshHosts::none());
    }
    Err(format!(
        "hosts cannot be reached over SSH:\n  {}: this program was built without the feature \
         \"ssh\": cargo run --example release_bot --features ssh -- …",
        hosts.join(", ")
    ))
}

#[async_trait]
impl Connector for SshHosts {
    async fn connect(
        &self,
        _cx: Context,
        target: Target,
    ) -> Result<Box<dyn Session>, ConnectError> {
        Err(ConnectError::Unsupported {
            endpoint: target.endpoint.to_string(),
            allowed: "none, without the feature \"ssh\",".to_owned(),
        })
    }
}
