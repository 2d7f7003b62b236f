//! The public half of an RSA key, by which it is made to sign with SHA-2.
//!
//! By itself libssh2 signs with SHA-1 for a server that does not say what it takes (RFC 8308). It signs
//! as the public key says that it is given, so that names the algorithm (RFC 8332, section 3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What an RSA key may sign with, in the order in which it is offered. The first is stronger, the second
/// is what every server must have that knows them at all.
const SIGNATURES: [&str; 2] = ["rsa-sha2-512", "rsa-sha2-256"];

/// An unencrypted DER integer, sequence, and string of octets.
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// The public halves that a private key is offered with, one after the other; none when it is no RSA key,
/// or when its public half cannot be seen: in PEM it is encrypted with the key.
pub(crate) fn public_halves(private: &str) -> Vec<String> {
    let Some(blob) = blob(private) else { return Vec::new() };
    let blob = STANDARD.encode(blob);
    SIGNATURES.iter().map(|name| format!("{name} {blob}")).collect()
}

/// The public half as it goes over the wire (RFC 4253, section 6.6).
fn blob(private: &str) -> Option<Vec<u8>> {
    let (_, rest) = private.split_once("-----BEGIN ")?;
    let (kind, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let body: String = body.split_whitespace().collect();
    // What is encrypted has headers before its base64, and is refused here.
    let body = STANDARD.decode(body).ok()?;
    match kind {
        "OPENSSH PRIVATE KEY" => openssh(&body),
        "RSA PRIVATE KEY" => pkcs1(&body),
        "PRIVATE KEY" => pkcs8(&body),
        _ => None,
    }
}

/// OpenSSH's own format, which has the public half in the clear (PROTOCOL.key).
fn openssh(body: &[u8]) -> Option<Vec<u8>> {
    let rest = body.strip_prefix(b"openssh-key-v1\0")?;
    let (_cipher, rest) = string(rest)?;
    let (_derivation, rest) = string(rest)?;
    let (_options, rest) = string(rest)?;
    let (_count, rest) = rest.split_first_chunk::<4>()?;
    let (public, _) = string(rest)?;
    let (kind, _) = string(public)?;
    (kind == b"ssh-rsa").then(|| public.to_vec())
}

fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// `RSAPrivateKey` of RFC 8017: version, modulus, exponent, and what is secret.
fn pkcs1(body: &[u8]) -> Option<Vec<u8>> {
    let (fields, _) = der(SEQUENCE, body)?;
    let (_version, rest) = der(INTEGER, fields)?;
    let (modulus, rest) = der(INTEGER, rest)?;
    let (exponent, _) = der(INTEGER, rest)?;
    // An integer is written in the same way in both forms.
    let parts = [b"ssh-rsa".as_slice(), exponent, modulus];
    let mut blob = Vec::new();
    for part in parts {
        blob.extend_from_slice(&u32::try_from(part.len()).ok()?.to_be_bytes());
        blob.extend_from_slice(part);
    }
    Some(blob)
}

/// `PrivateKeyInfo` of RFC 5208 around the same.
fn pkcs8(body: &[u8]) -> Option<Vec<u8>> {
    /// rsaEncryption, 1.2.840.113549.1.1.1, with its tag.
    const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    let (fields, _) = der(SEQUENCE, body)?;
    let (_version, rest) = der(INTEGER, fields)?;
    let (algorithm, rest) = der(SEQUENCE, rest)?;
    let (key, _) = der(OCTETS, rest)?;
    if algorithm.starts_with(RSA) { pkcs1(key) } else { None }
}

/// What a value of this tag holds, and what comes after it.
fn der(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_key_of_rsa_has_no_public_half_here() {
        for other in [
            "",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----\nMIP/\n-----END RSA PRIVATE KEY-----",
        ] {
            assert_eq!(public_halves(other), [""; 0], "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(kind in 0..3_usize, bytes: Vec<u8>) {
            let kind = ["OPENSSH PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY"][kind];
            let body = STANDARD.encode([&b"openssh-key-v1\0"[..], &bytes].concat());
            for body in [body, STANDARD.encode(&bytes)] {
                let _ = public_halves(&format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"));
            }
        }
    }
}
