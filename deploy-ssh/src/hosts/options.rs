//! What the host application adds to an inventory's table `[ssh]`.

use std::path::PathBuf;

use crate::ssh_config::LocalUser;

/// What the host application adds to an inventory's table `[ssh]`: what its command line says in the
/// table's place, and what it knows of its environment, which this crate does not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SshOptions {
    /// The files with private keys. When there are any, they count in the place of all others.
    pub identities: Vec<PathBuf>,
    /// The files with the keys of hosts. When there are any, they count in the place of all others.
    pub known_hosts: Vec<PathBuf>,
    /// The socket of an ssh-agent, often that of `SSH_AUTH_SOCK`. It is asked where no key is named.
    pub agent: Option<PathBuf>,
    /// Whose the ssh config is, where the inventory names one.
    pub local_user: Option<LocalUser>,
}

impl SshOptions {
    /// Adds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the files with private keys, which count in the place of all others.
    #[must_use]
    pub fn with_identities<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        self.identities = files.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the files with the keys of hosts, which count in the place of all others.
    #[must_use]
    pub fn with_known_hosts<P: Into<PathBuf>>(
        mut self,
        files: impl IntoIterator<Item = P>,
    ) -> Self {
        self.known_hosts = files.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the socket of the ssh-agent that is asked where no key is named.
    #[must_use]
    pub fn with_agent(mut self, socket: impl Into<PathBuf>) -> Self {
        self.agent = Some(socket.into());
        self
    }

    /// Sets whose the ssh config is that an inventory names.
    #[must_use]
    pub fn with_local_user(mut self, user: LocalUser) -> Self {
        self.local_user = Some(user);
        self
    }
}
