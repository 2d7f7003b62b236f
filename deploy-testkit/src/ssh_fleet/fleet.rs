//! The fleet: its hosts, and what a client needs to reach them.

use std::path::{Path, PathBuf};

use deploy_core::model::Target;
use tempfile::TempDir;

use super::builder::SshFleetBuilder;
use super::host::SshHost;

/// Hosts on loopback, each reached through a real sshd.
///
/// Every connection gets an `sshd -i` of its own at a port that the system chose; there is no daemon.
/// Host keys, the client's key, known_hosts and the hosts' directories are in one temporary
/// directory. Logins are those of the user who runs the test, with that user's shell and a home of
/// their own. When the fleet is dropped, also by a panic, all of it is gone, and with it whatever
/// still runs on the hosts.
///
/// It needs no async runtime: hosts answer on threads of their own, also while a clock is paused.
///
/// ```
/// use deploy_testkit::SshFleet;
///
/// let fleet = SshFleet::start(2);
/// let host = &fleet.hosts()[0];
/// let ssh = std::process::Command::new("ssh")
///     .args(["-F", "none", "-o", "BatchMode=yes", "-i"])
///     .arg(fleet.identity())
///     .arg(format!("-oUserKnownHostsFile={}", fleet.known_hosts().display()))
///     .args([host.endpoint().to_string().as_str(), "echo hello"])
///     .output()?;
/// assert_eq!(ssh.stdout, b"hello\n");
/// assert_eq!(host.logins(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # What it needs
///
/// Linux, `sshd`, and `ssh-keygen`. As root it makes `/run/sshd` when that is missing, as the
/// system's own start of sshd does.
#[derive(Debug)]
pub struct SshFleet {
    // The hosts go before the directory that they are in.
    pub(super) hosts: Vec<SshHost>,
    pub(super) identity: PathBuf,
    pub(super) known_hosts: PathBuf,
    pub(super) dir: TempDir,
}

impl SshFleet {
    /// Starts so many hosts.
    ///
    /// # Panics
    ///
    /// When something of the system is missing; the message names the command that installs it.
    #[must_use]
    pub fn start(hosts: usize) -> Self {
        let fleet = Self::builder().start(hosts);
        fleet.unwrap_or_else(|error| panic!("the fleet does not start: {error}"))
    }

    /// Begins a fleet whose hosts are not the plain ones.
    pub fn builder() -> SshFleetBuilder {
        SshFleetBuilder::new()
    }

    /// The hosts, in order.
    #[must_use]
    pub fn hosts(&self) -> &[SshHost] {
        &self.hosts
    }

    /// The hosts as targets whose releases live at a path below each host's directory.
    ///
    /// # Panics
    ///
    /// When the path is not a plain absolute one.
    #[must_use]
    pub fn targets(&self, path: &str) -> Vec<Target> {
        self.hosts.iter().map(|host| host.target(path)).collect()
    }

    /// The private key that all hosts let in. It has no passphrase.
    #[must_use]
    pub fn identity(&self) -> &Path {
        &self.identity
    }

    /// A known_hosts file with the key of each host.
    #[must_use]
    pub fn known_hosts(&self) -> &Path {
        &self.known_hosts
    }

    /// The temporary directory of it all, for files that are to go with the fleet.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }
}
