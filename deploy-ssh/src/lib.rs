//! Hosts reached over SSH, with nothing on them but sshd: not written yet.
//!
//! The connector will implement `deploy_core::Connector` over ssh2 (libssh2); the release on the host
//! is the one of `deploy_core::release`, which needs no more than a session that runs a script. Until
//! then, hosts are reached through an agent, or directly with `deploy_core::LocalConnector`.

mod known_hosts;
mod pattern;
mod place;
mod ssh_config;

pub use known_hosts::{Fingerprint, HostKeyVerdict, KnownHosts, KnownHostsError, KnownKey};
pub use place::{LineFault, Place};
pub use ssh_config::{HostSettings, JumpHost, LocalUser, SshConfig, SshConfigError};
