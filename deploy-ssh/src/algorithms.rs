//! The algorithms that are used, and no others.
//!
//! | | |
//! |---|---|
//! | key exchange | curve25519, ECDH over the NIST curves, Diffie-Hellman of 2048 bits and more with SHA-2 |
//! | host keys | Ed25519, ECDSA, RSA signing with SHA-2 |
//! | ciphers | chacha20-poly1305, AES-GCM, AES-CTR |
//! | MACs | HMAC-SHA-2 |
//!
//! No SHA-1, no MD5, no CBC, no compression. chacha20-poly1305 comes first because libssh2 is quickest with it:
//! it alone is given whole packets, and the others block by block (`ssh_fleet` in benches/RESULTS.md).
//! It, and the encrypt-then-MAC modes, are open to the Terrapin attack (CVE-2023-48795) unless both
//! sides keep to strict key exchange: with a server that does not, they are not used.

use crate::wire::{Method, Wire, WireError};

const KEY_EXCHANGES: &str = "curve25519-sha256,curve25519-sha256@libssh.org,\
    ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";

const HOST_KEYS: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

const SIGNATURES: &str = "rsa-sha2-512,rsa-sha2-256";

/// Which ciphers may be agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ciphers {
    All,
    /// Those that are safe without strict key exchange.
    WithoutStrict,
}

impl Ciphers {
    fn ciphers(self) -> &'static str {
        match self {
            Self::All => {
                "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,\
                 aes128-ctr,aes192-ctr,aes256-ctr"
            }
            Self::WithoutStrict => {
                "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr"
            }
        }
    }

    fn macs(self) -> &'static str {
        match self {
            Self::All => {
                "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,\
                 hmac-sha2-256,hmac-sha2-512"
            }
            Self::WithoutStrict => "hmac-sha2-256,hmac-sha2-512",
        }
    }
}

/// Allows these algorithms alone; host keys of the types that are known of the host come first.
pub(crate) fn prefer(wire: &Wire, ciphers: Ciphers, known: &[String]) -> Result<(), WireError> {
    wire.prefer(Method::KeyExchange, KEY_EXCHANGES)?;
    wire.prefer(Method::HostKey, &host_keys(known).join(","))?;
    wire.prefer(Method::Signature, SIGNATURES)?;
    for (method, list) in [
        (Method::CipherOut, ciphers.ciphers()),
        (Method::CipherIn, ciphers.ciphers()),
        (Method::MacOut, ciphers.macs()),
        (Method::MacIn, ciphers.macs()),
        (Method::CompressionOut, "none"),
        (Method::CompressionIn, "none"),
    ] {
        wire.prefer(method, list)?;
    }
    Ok(())
}

/// Whether what was agreed on is safe with strict key exchange alone.
pub(crate) fn needs_strict(wire: &Wire) -> bool {
    let ciphers = [Method::CipherOut, Method::CipherIn].map(|method| wire.agreed(method));
    let macs = [Method::MacOut, Method::MacIn].map(|method| wire.agreed(method));
    let safe = |cipher: &str, mac: &str| {
        cipher.contains("-gcm@") || (cipher.ends_with("-ctr") && !mac.contains("-etm@"))
    };
    !(safe(ciphers[0], macs[0]) && safe(ciphers[1], macs[1]))
}

/// The types of host keys in the order of preference. A known key of RSA says `ssh-rsa`, and signs with
/// SHA-2 all the same.
fn host_keys(known: &[String]) -> Vec<&'static str> {
    let is_known = |algorithm: &&str| {
        known.iter().any(|known| match known.as_str() {
            "ssh-rsa" => algorithm.starts_with("rsa-sha2-"),
            known => known == *algorithm,
        })
    };
    let (mut first, last): (Vec<_>, Vec<_>) = HOST_KEYS.into_iter().partition(is_known);
    first.extend(last);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_of_host_keys_come_first_and_none_is_added() {
        assert_eq!(host_keys(&[]), HOST_KEYS);
        let known = ["ssh-rsa", "ssh-dss", "ecdsa-sha2-nistp521"].map(str::to_owned);
        let order = host_keys(&known);
        assert_eq!(order[..3], ["ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256"]);
        assert_eq!(order.len(), HOST_KEYS.len());
    }

    #[test]
    fn nothing_weak_is_in_the_lists() {
        let all = [
            KEY_EXCHANGES,
            SIGNATURES,
            &HOST_KEYS.join(","),
            Ciphers::All.ciphers(),
            Ciphers::All.macs(),
        ]
        .join(",");
        for name in all.split(',') {
            let weak = ["sha1", "ssh-rsa", "ssh-dss", "md5", "cbc", "group1-", "arcfour", "none"];
            assert!(!weak.iter().any(|weak| name.contains(weak)), "{name}");
        }
        assert!(!Ciphers::WithoutStrict.ciphers().contains("chacha20"));
        assert!(!Ciphers::WithoutStrict.macs().contains("etm"));
    }
}
