//! What is said of hosts reached over SSH on the command line and in an inventory.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use deploy_core::Inventory;
use deploy_core::inventory::{Host, SshSettings};

/// What the command line says. It counts in the inventory's place.
#[derive(Clone, Debug, Default)]
pub struct SshOptions {
    /// The files with private keys.
    pub identities: Vec<PathBuf>,
    /// The files with the keys of hosts.
    pub known_hosts: Vec<PathBuf>,
}

impl SshOptions {
    /// The settings of an inventory, with what the command line says in their place.
    #[must_use]
    pub fn over(&self, inventory: &Inventory) -> SshSettings {
        let mut settings = inventory.ssh().cloned().unwrap_or_default();
        if !self.identities.is_empty() {
            settings.identities.clone_from(&self.identities);
        }
        if !self.known_hosts.is_empty() {
            settings.known_hosts.clone_from(&self.known_hosts);
        }
        settings
    }
}

/// The hosts of an inventory that are reached over SSH.
pub(crate) fn ssh_hosts(inventory: &Inventory) -> impl Iterator<Item = &Host> {
    let over_ssh = |host: &&Host| host.endpoint.as_ref().is_some_and(|e| e.scheme() == "ssh");
    inventory.hosts().iter().filter(over_ssh)
}

/// Why hosts cannot be reached over SSH: everything that is wrong.
#[derive(Debug)]
pub struct SshUnusable(pub Vec<String>);

impl fmt::Display for SshUnusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(|line| format!("\n  {line}")).collect();
        write!(f, "hosts cannot be reached over SSH:{}", lines.concat())
    }
}

impl Error for SshUnusable {}
