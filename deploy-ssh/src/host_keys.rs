//! Whether a host is who it should be.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::known_hosts::Fingerprint;

/// Judges the keys that hosts show.
///
/// # Implementing
///
/// ```
/// use deploy_ssh::HostKeyPolicy;
///
/// /// Knows the keys that a database has.
/// #[derive(Debug)]
/// struct Inventory;
///
/// impl HostKeyPolicy for Inventory {
///     fn check(&self, host: &str, port: u16, key: &[u8]) -> Result<(), String> {
///         Err(format!("{host}:{port} is not in the inventory"))
///     }
///
///     fn algorithms(&self, _host: &str, _port: u16) -> Vec<String> {
///         Vec::new()
///     }
/// }
/// ```
pub trait HostKeyPolicy: fmt::Debug + Send + Sync + 'static {
    /// Accepts the key that a host has proved to hold, in the form of RFC 4253, section 6.6.
    ///
    /// # Errors
    ///
    /// Why it is refused, for people.
    fn check(&self, host: &str, port: u16, key: &[u8]) -> Result<(), String>;

    /// The types of the keys that are known of a host, such as `ssh-ed25519`: it is asked for one of
    /// these first. None, when nothing is known.
    fn algorithms(&self, host: &str, port: u16) -> Vec<String>;
}

/// How the keys of hosts are judged. There is no default: somebody has to know the hosts.
#[derive(Clone, Debug)]
pub struct HostKeys(Arc<dyn HostKeyPolicy>);

impl HostKeys {
    /// Judges by a policy.
    #[must_use]
    pub fn new(policy: impl HostKeyPolicy) -> Self {
        Self(Arc::new(policy))
    }

    /// Accepts the keys with these fingerprints, whichever host shows them.
    #[must_use]
    pub fn pinned(fingerprints: impl IntoIterator<Item = Fingerprint>) -> Self {
        Self::new(Pins { any: fingerprints.into_iter().collect(), hosts: BTreeMap::new() })
    }

    /// Accepts, of each host, the keys with the fingerprints that are given for it.
    #[must_use]
    pub fn pinned_by_host<H: Into<String>>(
        hosts: impl IntoIterator<Item = (H, Fingerprint)>,
    ) -> Self {
        let mut pins = Pins { any: Vec::new(), hosts: BTreeMap::new() };
        for (host, fingerprint) in hosts {
            pins.hosts.entry(host.into()).or_default().push(fingerprint);
        }
        Self::new(pins)
    }

    /// Accepts any key of any host. Whoever stands between us and a host can then read and change
    /// everything that we send: for tests on one machine.
    #[must_use]
    pub fn danger_accept_any() -> Self {
        Self::new(AnyKey)
    }

    pub(crate) fn check(&self, host: &str, port: u16, key: &[u8]) -> Result<(), String> {
        self.0.check(host, port, key)
    }

    pub(crate) fn algorithms(&self, host: &str, port: u16) -> Vec<String> {
        self.0.algorithms(host, port)
    }
}

#[derive(Debug)]
struct Pins {
    any: Vec<Fingerprint>,
    hosts: BTreeMap<String, Vec<Fingerprint>>,
}

impl HostKeyPolicy for Pins {
    fn check(&self, host: &str, _port: u16, key: &[u8]) -> Result<(), String> {
        let shown = Fingerprint::of(key);
        let of_host = self.hosts.get(host).into_iter().flatten();
        if self.any.iter().chain(of_host).any(|pinned| *pinned == shown) {
            return Ok(());
        }
        Err(format!("its key {shown} is none of those that are pinned"))
    }

    fn algorithms(&self, _host: &str, _port: u16) -> Vec<String> {
        Vec::new()
    }
}

#[derive(Debug)]
struct AnyKey;

impl HostKeyPolicy for AnyKey {
    fn check(&self, _host: &str, _port: u16, _key: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn algorithms(&self, _host: &str, _port: u16) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_key_is_accepted_of_its_host_alone() {
        let (one, two) = (Fingerprint::of(b"one"), Fingerprint::of(b"two"));
        let keys = HostKeys::pinned_by_host([("a", one), ("b", two)]);
        assert!(keys.check("a", 22, b"one").is_ok());
        assert!(keys.check("b", 22, b"two").is_ok());
        assert!(keys.check("b", 22, b"one").is_err());
        assert!(keys.check("c", 22, b"one").is_err());
    }

    #[test]
    fn nothing_is_accepted_by_an_empty_list() {
        let keys = HostKeys::pinned([]);
        assert!(keys.check("a", 22, b"one").unwrap_err().contains("SHA256:"));
    }
}
