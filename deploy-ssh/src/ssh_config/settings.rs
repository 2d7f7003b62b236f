//! What a config says of one host: plain data.

use std::path::PathBuf;
use std::time::Duration;

use super::setting::port;
use crate::place::LineFault;

/// What a config says of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostSettings {
    /// Its name or address, in lower case: the name that was asked for, where nothing else is said.
    pub host: String,
    /// Who logs in.
    pub user: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// The files with keys, in the order in which they are tried.
    pub identities: Vec<PathBuf>,
    /// Whether only those keys are tried, and none that an agent has besides.
    pub identities_only: bool,
    /// The hosts to go through, from the nearest to the last; `None` where nothing is said. Their own
    /// settings are those that the config has of them.
    pub jumps: Option<Vec<ConfiguredJump>>,
    /// The user's files of known hosts; `None` where nothing is said.
    pub user_known_hosts: Option<Vec<PathBuf>>,
    /// The machine's files of known hosts; `None` where nothing is said.
    pub global_known_hosts: Option<Vec<PathBuf>>,
    /// The name by which its key is known, when it is another one.
    pub host_key_alias: Option<String>,
    /// How long connecting may take.
    pub connect_timeout: Option<Duration>,
    /// Lines that would check less than this program does, and are left out.
    pub not_followed: Vec<LineFault>,
}

/// A host to go through.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfiguredJump {
    /// Who logs in there.
    pub user: Option<String>,
    /// Its name, an address, or a name that the config knows.
    pub host: String,
    /// Its port.
    pub port: Option<u16>,
}

impl ConfiguredJump {
    /// Reads `[user@]host[:port]` or `ssh://[user@]host[:port]`; an IPv6 address with a port stands in
    /// brackets.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("ssh://").map_or(text, |rest| rest.trim_end_matches('/'));
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let (host, number) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, after)) => (host, Some(after.strip_prefix(':').unwrap_or(after))),
            // More than one colon: an IPv6 address.
            None => match rest.split_once(':') {
                Some((host, number)) if !number.contains(':') => (host, Some(number)),
                _ => (rest, None),
            },
        };
        if host.is_empty() || user.is_some_and(str::is_empty) {
            return Err(format!("a jump host is \"[user@]host[:port]\", not {text:?}"));
        }
        let port = number.map(port).transpose()?;
        Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port })
    }
}
