//! The keys that a host may show, also where it is known by another name.

use std::sync::Arc;

use crate::host_keys::HostKeyPolicy;
use crate::known_hosts::{KnownHosts, SSH_PORT};

/// The keys that are known, and the name by which that of the last host is known, when it has one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Keys {
    pub(super) known: Arc<KnownHosts>,
    pub(super) alias: Option<(String, u16, String)>,
}

impl Keys {
    /// As in ssh(1), no port belongs to a name that stands for a host's.
    fn known_as<'a>(&'a self, host: &'a str, port: u16) -> (&'a str, u16) {
        match &self.alias {
            Some((of, at, alias)) if of == host && *at == port => (alias, SSH_PORT),
            _ => (host, port),
        }
    }

    /// The types of the keys that are known of a host.
    pub(super) fn algorithms_of(&self, host: &str, port: u16) -> Vec<String> {
        let (host, port) = self.known_as(host, port);
        self.known.algorithms(host, port)
    }
}

impl HostKeyPolicy for Keys {
    fn check(&self, host: &str, port: u16, key: &[u8]) -> Result<(), String> {
        let (host, port) = self.known_as(host, port);
        HostKeyPolicy::check(&*self.known, host, port, key)
    }

    fn algorithms(&self, host: &str, port: u16) -> Vec<String> {
        self.algorithms_of(host, port)
    }
}
