//! The keys by which hosts are known, read from OpenSSH's `known_hosts` files.
//!
//! The format is that of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": lists of names with `*`, `?` and
//! `!`, `[host]:port`, hashed names, several keys a host, `@revoked`. `@cert-authority` lines are
//! passed over, because certificates are not supported: [`KnownHosts::skipped`] tells them.

mod error;
mod fingerprint;
mod line;
mod names;
mod policy;
mod verdict;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

pub use error::KnownHostsError;
pub use fingerprint::Fingerprint;
pub use verdict::{HostKeyVerdict, KnownKey};

use crate::place::{LineFault, Place};
use line::{KeyLine, Line};

/// The port of SSH, which is left out in a file.
pub(crate) const SSH_PORT: u16 = 22;

/// The largest file that is read, in bytes: over 100,000 keys.
const LARGEST: u64 = 64 << 20;

/// The keys by which hosts are known. None is known at first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownHosts {
    keys: Vec<(Place, KeyLine)>,
    skipped: Vec<(Place, &'static str)>,
}

impl KnownHosts {
    /// Knows no host.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file, of 64 MiB at most.
    ///
    /// # Errors
    ///
    /// [`KnownHostsError::Unreadable`], also when it is not there, and what [`parse`](Self::parse)
    /// refuses.
    pub fn load(path: &Path) -> Result<Self, KnownHostsError> {
        let unreadable = |source| KnownHostsError::Unreadable { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST {
            return Err(unreadable(io::Error::other("it is larger than 64 MiB")));
        }
        Self::read(Some(path), &bytes)
    }

    /// Reads several files, as one.
    ///
    /// # Errors
    ///
    /// What [`load`](Self::load) refuses, for each of the files.
    pub fn load_all<P: AsRef<Path>>(
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Self, Vec<KnownHostsError>> {
        let (mut known, mut errors) = (Self::new(), Vec::new());
        for path in paths {
            match Self::load(path.as_ref()) {
                Ok(more) => known = known.merge(more),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(known) } else { Err(errors) }
    }

    /// Reads what stands in a file.
    ///
    /// # Errors
    ///
    /// [`KnownHostsError::Malformed`] with every line that cannot be read. Types of keys that nobody
    /// knows yet can be read, and so can keys of the first version of SSH, which are passed over.
    pub fn parse(text: &[u8]) -> Result<Self, KnownHostsError> {
        Self::read(None, text)
    }

    fn read(path: Option<&Path>, text: &[u8]) -> Result<Self, KnownHostsError> {
        let (mut known, mut faults) = (Self::new(), Vec::new());
        let file: Option<Arc<Path>> = path.map(Arc::from);
        for (index, line) in text.split(|c| *c == b'\n').enumerate() {
            let place = Place { file: file.clone(), line: index + 1 };
            match Line::parse(line) {
                Ok(Line::Blank) => {}
                Ok(Line::Skipped(why)) => known.skipped.push((place, why)),
                Ok(Line::Key(key)) => known.keys.push((place, key)),
                Err(reason) => faults.push(LineFault { place, reason }),
            }
        }
        if faults.is_empty() {
            return Ok(known);
        }
        Err(KnownHostsError::Malformed { faults })
    }

    /// Adds what another file knows. What one of them revokes is revoked.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self.skipped.extend(other.skipped);
        self
    }

    /// Says what is known of a key, in the form that goes over the wire, which the host shows.
    ///
    /// A host at another port than 22 stands in the file as `[host]:port`. A line that names the
    /// host without a port is not about it, in which this is stricter than ssh(1); but what is
    /// revoked without a port is revoked at every port.
    pub fn check(&self, host: &str, port: u16, key: &[u8]) -> HostKeyVerdict {
        let plain = plain_name(host);
        let revoked = |line: &KeyLine| line.names.hold(&plain);
        if self.keys.iter().any(|(_, line)| line.revoked && line.key == key && revoked(line))
            || self.lines(host, port, true).any(|(_, line)| line.key == key)
        {
            return HostKeyVerdict::Revoked;
        }
        let mut known = Vec::new();
        for (place, line) in self.lines(host, port, false) {
            if line.key == key {
                return HostKeyVerdict::Known;
            }
            known.push(KnownKey {
                algorithm: line.algorithm.clone(),
                fingerprint: Fingerprint::of(&line.key),
                place: place.clone(),
            });
        }
        if known.is_empty() { HostKeyVerdict::Unknown } else { HostKeyVerdict::Changed { known } }
    }

    /// The types of the keys that are known of a host, each once, in the order of the files: those
    /// to ask the host for.
    #[must_use]
    pub fn algorithms(&self, host: &str, port: u16) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for (_, line) in self.lines(host, port, false) {
            if !found.contains(&line.algorithm) {
                found.push(line.algorithm.clone());
            }
        }
        found
    }

    /// The lines that were passed over, and why: those of certificate authorities, and keys of the
    /// first version of SSH.
    pub fn skipped(&self) -> impl Iterator<Item = (&Place, &'static str)> {
        self.skipped.iter().map(|(place, why)| (place, *why))
    }

    fn lines(
        &self,
        host: &str,
        port: u16,
        revoked: bool,
    ) -> impl Iterator<Item = &(Place, KeyLine)> {
        let name = match port {
            SSH_PORT => plain_name(host),
            _ => format!("[{}]:{port}", plain_name(host)),
        };
        self.keys.iter().filter(move |(_, line)| line.revoked == revoked && line.names.hold(&name))
    }
}

/// A host's name as a file has it: in lower case, an IPv6 address without brackets.
fn plain_name(host: &str) -> String {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).to_ascii_lowercase()
}
