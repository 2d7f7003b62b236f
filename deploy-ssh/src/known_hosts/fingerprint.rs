//! The fingerprint of a host key, as OpenSSH writes it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use deploy_core::Invalid;
use sha2::{Digest, Sha256};

/// The SHA-256 of a public key: `SHA256:` and 43 characters of base64 without padding.
///
/// It is what `ssh-keygen -l` prints, and what a person compares or pins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Takes the fingerprint of a key, which comes in the form that goes over the wire.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bytes = text.strip_prefix("SHA256:").and_then(|rest| STANDARD_NO_PAD.decode(rest).ok());
        match bytes.and_then(|bytes| bytes.try_into().ok()) {
            Some(digest) => Ok(Self(digest)),
            None => Err(Invalid::new(
                text,
                "\"SHA256:\" and 43 characters of base64, as `ssh-keygen -l` prints it",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_as_it_is_written() {
        let fingerprint = Fingerprint::of(b"a key");
        let text = fingerprint.to_string();
        assert_eq!(text.len(), "SHA256:".len() + 43);
        assert_eq!(text.parse::<Fingerprint>().unwrap(), fingerprint);
        assert_eq!(format!("{fingerprint:?}"), text);
    }

    #[test]
    fn other_texts_are_no_fingerprints() {
        let good = Fingerprint::of(b"a key").to_string();
        for bad in [
            "",
            "SHA256:",
            "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
            &good[7..],
            &good[..good.len() - 1],
            &format!("{good}="),
            &format!("{good}A"),
        ] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
