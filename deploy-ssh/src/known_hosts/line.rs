//! One line of a file: marker, hosts, type and key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::names::Names;

/// Types whose keys are a sequence of strings and nothing else: a key that was cut short is found.
const PLAIN_TYPES: [&str; 8] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing: it is blank, or a comment.
    Blank,
    /// Something that is not looked at, and why.
    Skipped(&'static str),
    /// A key of some hosts.
    Key(KeyLine),
}

/// A key, and the hosts that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyLine {
    pub(super) names: Names,
    /// The key is not to be accepted, whoever shows it.
    pub(super) revoked: bool,
    pub(super) algorithm: String,
    pub(super) key: Vec<u8>,
}

impl Line {
    /// Reads a line, without its end, or says what is wrong with it.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let space = |c: &u8| matches!(c, b' ' | b'\t' | b'\r');
        let mut fields = line.split(space).filter(|field| !field.is_empty());
        let Some(mut names) = fields.next() else {
            return Ok(Self::Blank);
        };
        if names.starts_with(b"#") {
            return Ok(Self::Blank);
        }
        let mut revoked = false;
        if names.starts_with(b"@") {
            match names {
                b"@revoked" => revoked = true,
                b"@cert-authority" => {
                    return Ok(Self::Skipped("certificates of hosts are not supported"));
                }
                _ => {
                    let marker = shown(names);
                    return Err(format!("the marker {marker}: \"@revoked\" is known"));
                }
            }
            names = fields.next().unwrap_or_default();
        }
        let (Some(algorithm), Some(key)) = (fields.next(), fields.next()) else {
            return Err("less than the hosts, the type of a key and the key".to_owned());
        };
        if algorithm.iter().all(u8::is_ascii_digit) {
            return Ok(Self::Skipped("it is a key of the first version of SSH"));
        }
        let names = std::str::from_utf8(names).ok().filter(|names| names.is_ascii());
        let names = Names::parse(names.ok_or("a host's name that is not ASCII")?)?;
        let algorithm = std::str::from_utf8(algorithm)
            .ok()
            .filter(|text| text.len() <= 64 && text.bytes().all(|c| c.is_ascii_graphic()))
            .ok_or_else(|| format!("{} as the type of a key", shown(algorithm)))?;
        let key = STANDARD.decode(key).map_err(|_| "a key that is not base64".to_owned())?;
        check_key(algorithm, &key)?;
        Ok(Self::Key(KeyLine { names, revoked, algorithm: algorithm.to_owned(), key }))
    }
}

/// Refuses a key that is not of the type that the line says, or is cut short.
fn check_key(algorithm: &str, key: &[u8]) -> Result<(), String> {
    let Some((own, mut rest)) = string(key) else {
        return Err("a key that is cut short".to_owned());
    };
    if own != algorithm.as_bytes() {
        return Err(format!("a key of the type {}, not {algorithm}", shown(own)));
    }
    while PLAIN_TYPES.contains(&algorithm) {
        match string(rest) {
            Some((_, [])) => break,
            Some((_, after)) => rest = after,
            None => return Err("a key that is cut short".to_owned()),
        }
    }
    Ok(())
}

/// Takes a string off the front: four bytes of length, and as many bytes (RFC 4251, section 5).
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// A field for a message: escaped, and cut.
fn shown(field: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&field[..field.len().min(60)]))
}
