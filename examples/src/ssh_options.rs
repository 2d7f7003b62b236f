//! What is said of hosts reached over SSH on the command line.

use std::path::PathBuf;

/// What the command line says. It counts in the inventory's place.
#[derive(Clone, Debug, Default)]
pub struct SshOptions {
    /// The files with private keys.
    pub identities: Vec<PathBuf>,
    /// The files with the keys of hosts.
    pub known_hosts: Vec<PathBuf>,
}
