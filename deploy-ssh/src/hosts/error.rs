//! Why hosts of an inventory cannot be reached over SSH: everything at once.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use deploy_core::model::HostName;
use deploy_core::{Invalid, InventoryError, Retry};

use crate::builder::BuildError;
use crate::known_hosts::KnownHostsError;
use crate::ssh_config::SshConfigError;

/// How many hosts lead a fault; the rest is counted.
const SHOWN: usize = 3;

/// Why hosts of an inventory cannot be reached over SSH: everything that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("hosts cannot be reached over SSH: {}", joined(.faults))]
#[non_exhaustive]
pub struct SshUnusable {
    /// Everything that is wrong, each once.
    pub faults: Vec<SshFault>,
}

impl SshUnusable {
    /// Whether the same is worth another try: never, before somebody mended it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// One thing that is wrong. Its text is whole: it holds that of its causes.
#[derive(Debug)]
#[non_exhaustive]
pub struct SshFault {
    /// The hosts that it is about; none, when it is about what counts for all.
    pub hosts: Vec<HostName>,
    /// What is wrong.
    pub kind: SshFaultKind,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshFaultKind {
    /// The file of a secret cannot be read, or is empty.
    #[error("a secret is missing")]
    Secret(#[source] InventoryError),
    /// The file of a private key cannot be read.
    #[error("the key {} cannot be read", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// The ssh config cannot be used.
    #[error(transparent)]
    Config(SshConfigError),
    /// The inventory names an ssh config, and nobody said whose it is.
    #[error("nobody says whose the ssh config is: the program sets the local user")]
    NoLocalUser,
    /// A file of known hosts cannot be used.
    #[error(transparent)]
    KnownHosts(KnownHostsError),
    /// No file of known hosts is named.
    #[error("nothing says which keys hosts have: known_hosts in [ssh]")]
    NoKnownHosts,
    /// Nobody says who logs in.
    #[error("nobody says who logs in at {at}: ssh://user@{at}, or user in [ssh]")]
    NoUser {
        /// Where.
        at: String,
    },
    /// A host to go through is reached through itself.
    #[error("the ssh config goes through {at} again and again: ProxyJump none for it")]
    JumpCircle {
        /// The host to go through.
        at: String,
    },
    /// Nothing says how to log in.
    #[error("no way to log in is set: identity or password_file in [ssh], or an ssh-agent")]
    NoAuth,
    /// What the ssh config says of a host makes no endpoint.
    #[error("the ssh config leads to no endpoint")]
    Endpoint(#[source] Invalid),
    /// The settings make no connector.
    #[error(transparent)]
    Connector(BuildError),
}

impl fmt::Display for SshFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lead: Vec<_> = self.hosts.iter().take(SHOWN).map(HostName::to_string).collect();
        if self.hosts.len() > SHOWN {
            lead.push(format!("{} hosts more", self.hosts.len() - SHOWN));
        }
        if !lead.is_empty() {
            write!(f, "{}: ", lead.join(", "))?;
        }
        f.write_str(&whole(&self.kind))
    }
}

/// Collects faults: each once, with all hosts that it is about.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<SshFault>,
    /// Where each text stands.
    texts: HashMap<String, usize>,
}

impl Faults {
    /// Adds a fault of a host, or of what counts for all.
    pub(super) fn add(&mut self, host: Option<&HostName>, kind: SshFaultKind) {
        let text = whole(&kind);
        if let Some(fault) = self.texts.get(&text).and_then(|index| self.faults.get_mut(*index)) {
            match host {
                None => fault.hosts.clear(),
                // Without hosts, it is about all of them already.
                Some(host) if fault.hosts.last().is_some_and(|last| last != host) => {
                    fault.hosts.push(host.clone());
                }
                Some(_) => {}
            }
            return;
        }
        self.texts.insert(text, self.faults.len());
        self.faults.push(SshFault { hosts: host.into_iter().cloned().collect(), kind });
    }

    /// Fails with what was collected, if there is any.
    pub(super) fn check(&mut self) -> Result<(), SshUnusable> {
        let faults = std::mem::take(self).faults;
        if faults.is_empty() { Ok(()) } else { Err(SshUnusable { faults }) }
    }
}

/// An error and its causes, joined by colons.
fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn joined(faults: &[SshFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
