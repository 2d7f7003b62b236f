//! The part of OpenSSH's client config that people expect to count: `~/.ssh/config`.
//!
//! `Host` with patterns, `Match all`, `Include`; HostName, User, Port, IdentityFile, IdentitiesOnly,
//! ProxyJump, UserKnownHostsFile, GlobalKnownHostsFile, HostKeyAlias, ConnectTimeout. As in ssh(1) the
//! first value counts. Other keywords are passed over, but for those that lead elsewhere or check
//! more (ProxyCommand, RevokedHostKeys, another Match): these are errors; and those that check less
//! (`StrictHostKeyChecking no`): these are told and not followed. Nothing is read but the files.

mod error;
mod expand;
mod reader;
mod resolve;
mod setting;
mod settings;
mod words;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::SshConfigError;
pub use settings::{ConfiguredJump, HostSettings};

use reader::{Entry, Reader, contents};

/// Whose config it is: what `~`, `%d` and `%u` stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalUser {
    /// The user's name.
    pub name: String,
    /// The user's home directory.
    pub home: PathBuf,
}

impl LocalUser {
    /// Names a user and the home directory.
    #[must_use]
    pub fn new(name: impl Into<String>, home: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), home: home.into() }
    }
}

/// An ssh config, with all that it includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshConfig {
    entries: Vec<Entry>,
    local: LocalUser,
}

impl SshConfig {
    /// Reads a config and what it includes. Included files are relative to its directory.
    ///
    /// # Errors
    ///
    /// [`SshConfigError::Unreadable`], also when it is not there, and
    /// [`SshConfigError::Malformed`] with all faults at once.
    pub fn load(path: &Path, local: LocalUser) -> Result<Self, SshConfigError> {
        let text = contents(path)
            .map_err(|source| SshConfigError::Unreadable { path: path.to_owned(), source })?;
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::read(Some(&Arc::from(path)), &text, directory, local)
    }

    /// Reads a config from a text. Files that it includes are relative to `.ssh` in the home directory.
    ///
    /// # Errors
    ///
    /// [`SshConfigError::Malformed`] with all faults at once.
    pub fn parse(text: &[u8], local: LocalUser) -> Result<Self, SshConfigError> {
        let directory = local.home.join(".ssh");
        Self::read(None, text, directory, local)
    }

    fn read(
        file: Option<&Arc<Path>>,
        text: &[u8],
        directory: PathBuf,
        local: LocalUser,
    ) -> Result<Self, SshConfigError> {
        let mut reader = Reader::new(directory, &local);
        reader.read(file, text, &[], 0);
        let (entries, faults) = (reader.entries, reader.faults);
        if faults.is_empty() {
            Ok(Self { entries, local })
        } else {
            Err(SshConfigError::Malformed { faults })
        }
    }

    /// Says what applies to a host, by the name that a person gives it.
    ///
    /// # Errors
    ///
    /// [`SshConfigError::Unsupported`] with every line that applies to it and cannot be followed.
    pub fn resolve(&self, alias: &str) -> Result<HostSettings, SshConfigError> {
        resolve::resolve(&self.entries, &self.local, alias)
    }
}
