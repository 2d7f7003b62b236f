//! The first field of a line: which hosts it is about.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::pattern::{Listed, listed};

/// The length of a salt and of a hash: that of SHA-1.
const HASH: usize = 20;

/// The hosts of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Patterns, in lower case.
    Patterns(Vec<String>),
    /// One name, hashed so that the file does not tell it.
    Hashed { salt: [u8; HASH], hash: [u8; HASH] },
}

impl Names {
    /// Reads the field, or says what is wrong with it.
    pub(super) fn parse(field: &str) -> Result<Self, String> {
        let Some(hashed) = field.strip_prefix('|') else {
            let patterns: Vec<_> = field.split(',').map(str::to_ascii_lowercase).collect();
            if patterns.iter().any(|pattern| pattern.is_empty() || pattern == "!") {
                return Err("an empty name in the list of hosts".to_owned());
            }
            return Ok(Self::Patterns(patterns));
        };
        let parts: Vec<_> = hashed.split('|').collect();
        let ["1", salt, hash] = parts[..] else {
            return Err("a hashed name that is not \"|1|salt|hash\"".to_owned());
        };
        let decode = |text: &str| STANDARD.decode(text).ok().and_then(|b| b.try_into().ok());
        match (decode(salt), decode(hash)) {
            (Some(salt), Some(hash)) => Ok(Self::Hashed { salt, hash }),
            _ => Err(format!("a hashed name whose salt and hash are not {HASH} bytes of base64")),
        }
    }

    /// Says whether the line is about a host, whose name is in lower case.
    pub(super) fn hold(&self, host: &str) -> bool {
        match self {
            Self::Patterns(patterns) => {
                listed(patterns.iter().map(String::as_str), host) == Listed::Yes
            }
            Self::Hashed { salt, hash } => {
                // A MAC takes a key of any length.
                Hmac::<Sha1>::new_from_slice(salt)
                    .is_ok_and(|mac| mac.chain_update(host).verify_slice(hash).is_ok())
            }
        }
    }
}
