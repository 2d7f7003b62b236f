//! What the files say of a key, and where they say it.

use std::fmt;

use super::Fingerprint;
use crate::place::Place;

/// What is known of the key that a host shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum HostKeyVerdict {
    /// It is a key of the host.
    Known,
    /// Nothing is known of the host.
    Unknown,
    /// Other keys are known of the host, of whatever type, and not this one.
    Changed {
        /// The keys that are known.
        known: Vec<KnownKey>,
    },
    /// It is not to be accepted any more.
    Revoked,
}

/// A key that is known of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownKey {
    /// Its type, such as `ssh-ed25519`.
    pub algorithm: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Where it stands.
    pub place: Place,
}

impl fmt::Display for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.algorithm, self.fingerprint, self.place)
    }
}
