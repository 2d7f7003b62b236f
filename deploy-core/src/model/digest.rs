//! MD5 and SHA-256 of a package, computed in one pass.

use std::fmt;
use std::str::FromStr;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::document::{Decode, Invalid, Node, decode_text, deserialize_by_decode};

/// Defines a digest of a fixed length, written as lower-case hexadecimal.
macro_rules! digest_type {
    ($(#[$meta:meta])* $name:ident, $bytes:literal, $allowed:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Makes the digest of its bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bytes of the digest.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            /// Reads hexadecimal digits of either case.
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let mut bytes = [0; $bytes];
                from_hex(text, &mut bytes).ok_or_else(|| Invalid::new(text, $allowed))?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl Decode for $name {
            fn decode(node: &Node<'_>) -> Option<Self> {
                decode_text(node)
            }
        }

        deserialize_by_decode!($name);
    };
}

digest_type!(
    /// The MD5 of a package: what people have. It guards against accidents, not against attackers.
    Md5Digest,
    16,
    "an MD5: 32 hexadecimal digits"
);
digest_type!(
    /// The SHA-256 of a package: what everything after the first check is pinned to.
    Sha256Digest,
    32,
    "a SHA-256: 64 hexadecimal digits"
);

fn from_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != bytes.len() * 2 || !text.is_ascii() {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

/// The digests and the size of a package's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PackageDigests {
    /// The MD5.
    pub md5: Md5Digest,
    /// The SHA-256.
    pub sha256: Sha256Digest,
    /// The size, in bytes.
    pub size: u64,
}

impl PackageDigests {
    /// Says what the digests and the size, in bytes, of a package are.
    #[must_use]
    pub const fn new(md5: Md5Digest, sha256: Sha256Digest, size: u64) -> Self {
        Self { md5, sha256, size }
    }
}

/// Computes an MD5 alone, for whoever hashes on two threads at once; [`Digests`] computes both.
#[derive(Clone, Debug, Default)]
pub struct Md5Hasher(Md5);

impl Md5Hasher {
    /// Starts with no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The MD5 of all bytes taken.
    #[must_use]
    pub fn finish(self) -> Md5Digest {
        Md5Digest(self.0.finalize().into())
    }
}

/// Computes a SHA-256 alone, for whoever hashes on two threads at once; [`Digests`] computes both.
#[derive(Clone, Debug, Default)]
pub struct Sha256Hasher(Sha256);

impl Sha256Hasher {
    /// Starts with no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The SHA-256 of all bytes taken.
    #[must_use]
    pub fn finish(self) -> Sha256Digest {
        Sha256Digest(self.0.finalize().into())
    }
}

/// Computes both digests and the size of a byte stream in one pass.
///
/// ```
/// use deploy_core::model::Digests;
///
/// let mut digests = Digests::new();
/// digests.update(b"hello ");
/// digests.update(b"world");
/// let found = digests.finish();
/// assert_eq!(found.md5.to_string(), "5eb63bbbe01eeed093cb22bb8f5acdc3");
/// assert_eq!(found.size, 11);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Digests {
    md5: Md5Hasher,
    sha256: Sha256Hasher,
    size: u64,
}

impl Digests {
    /// Starts with no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// The digests of all bytes taken.
    #[must_use]
    pub fn finish(self) -> PackageDigests {
        PackageDigests { md5: self.md5.finish(), sha256: self.sha256.finish(), size: self.size }
    }
}

impl Md5Digest {
    /// The MD5 of a text or of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Md5::digest(bytes).into())
    }
}

impl Sha256Digest {
    /// The SHA-256 of a text or of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_digests_of_the_empty_input() {
        let found = Digests::new().finish();
        assert_eq!(found.md5.to_string(), "d41d8cd98f00b204e9800998ecf8427e");
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(found.sha256.to_string(), sha256);
        assert_eq!(found.size, 0);
    }

    #[test]
    fn hexadecimal_of_either_case_is_read_and_written_in_lower_case() {
        let digest: Md5Digest = "D41D8CD98F00B204E9800998ECF8427E".parse().unwrap();
        assert_eq!(digest.to_string(), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn a_digest_of_another_length_or_alphabet_is_refused() {
        for bad in
            ["", "d41d", "z41d8cd98f00b204e9800998ecf8427e", "ä41d8cd98f00b204e9800998ecf8427"]
        {
            assert!(bad.parse::<Md5Digest>().is_err(), "{bad:?}");
        }
    }
}
