//! Known hosts as the judge of the keys that hosts show.

use super::{Fingerprint, HostKeyVerdict, KnownHosts};
use crate::host_keys::{HostKeyPolicy, HostKeys};

impl HostKeys {
    /// Accepts the keys that files of known hosts have of each host.
    #[must_use]
    pub fn known_hosts(known: KnownHosts) -> Self {
        Self::new(known)
    }
}

impl HostKeyPolicy for KnownHosts {
    fn check(&self, host: &str, port: u16, key: &[u8]) -> Result<(), String> {
        let shown = Fingerprint::of(key);
        match Self::check(self, host, port, key) {
            HostKeyVerdict::Known => Ok(()),
            HostKeyVerdict::Unknown => {
                Err(format!("no key is known of it, and it shows {shown}: the known hosts lack it"))
            }
            HostKeyVerdict::Changed { known } => {
                let known: Vec<_> = known.iter().map(ToString::to_string).collect();
                Err(format!("it shows the key {shown}, and known is {}", known.join(", ")))
            }
            HostKeyVerdict::Revoked => Err(format!("its key {shown} is revoked")),
        }
    }

    fn algorithms(&self, host: &str, port: u16) -> Vec<String> {
        Self::algorithms(self, host, port)
    }
}
