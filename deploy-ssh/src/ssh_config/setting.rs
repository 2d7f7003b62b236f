//! One setting: a keyword that counts here, with its value checked.

use std::time::Duration;

/// A setting of the keywords that count here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    HostName(String),
    User(String),
    Port(u16),
    IdentityFile(String),
    IdentitiesOnly(bool),
    /// Hosts to go through, from the nearest; none when the list is empty.
    ProxyJump(Vec<String>),
    UserKnownHostsFiles(Vec<String>),
    GlobalKnownHostsFiles(Vec<String>),
    HostKeyAlias(String),
    ConnectTimeout(Option<Duration>),
    /// Whether a program is to make the connection.
    ProxyCommand(bool),
    /// Whether a list of revoked keys is to be read.
    RevokedHostKeys(bool),
    /// Whether unknown keys are to be refused.
    StrictHostKeyChecking(bool),
    /// Whether the keys of this machine are to be let through unchecked.
    NoHostAuthenticationForLocalhost(bool),
}

impl Setting {
    /// Reads a setting. `None` for a keyword that does not count here.
    pub(super) fn parse(keyword: &str, arguments: &[String]) -> Result<Option<Self>, String> {
        let one = || match arguments {
            [value] if !value.is_empty() => Ok(value.clone()),
            _ => Err(format!("{keyword} takes one value")),
        };
        let some = || match arguments {
            [] => Err(format!("{keyword} takes a value")),
            [none] if none.eq_ignore_ascii_case("none") => Ok(Vec::new()),
            values => Ok(values.to_vec()),
        };
        let yes = || match one()?.to_ascii_lowercase().as_str() {
            "yes" | "true" => Ok(true),
            "no" | "false" => Ok(false),
            other => Err(format!("{keyword} is \"yes\" or \"no\", not {other:?}")),
        };
        let none = |value: &[String]| value.first().is_some_and(|v| v.eq_ignore_ascii_case("none"));
        Ok(Some(match keyword {
            "hostname" => Self::HostName(one()?),
            "user" => Self::User(one()?),
            "port" => Self::Port(port(&one()?)?),
            "identityfile" => Self::IdentityFile(one()?),
            "identitiesonly" => Self::IdentitiesOnly(yes()?),
            // As in ssh(1), white space may stand beside the commas.
            "proxyjump" => Self::ProxyJump(jumps(&arguments.join(" "))?),
            "userknownhostsfile" => Self::UserKnownHostsFiles(some()?),
            "globalknownhostsfile" => Self::GlobalKnownHostsFiles(some()?),
            "hostkeyalias" => Self::HostKeyAlias(one()?),
            "connecttimeout" => Self::ConnectTimeout(timeout(&one()?)?),
            "proxycommand" => Self::ProxyCommand(!none(arguments)),
            "revokedhostkeys" => Self::RevokedHostKeys(!none(arguments)),
            "stricthostkeychecking" => Self::StrictHostKeyChecking(!matches!(
                one()?.to_ascii_lowercase().as_str(),
                "no" | "off" | "false" | "accept-new"
            )),
            "nohostauthenticationforlocalhost" => Self::NoHostAuthenticationForLocalhost(yes()?),
            _ => return Ok(None),
        }))
    }
}

/// Reads a port.
pub(super) fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(format!("a port is a number from 1 to 65535, not {text:?}")),
    }
}

fn jumps(text: &str) -> Result<Vec<String>, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    let jumps: Vec<_> = text.split(',').map(|jump| jump.trim().to_owned()).collect();
    if jumps.iter().any(|jump| jump.is_empty() || jump.contains(char::is_whitespace)) {
        return Err(format!("a jump host without a name in {text:?}"));
    }
    Ok(jumps)
}

/// Reads a time: numbers with the units s, m, h, d and w, and seconds where none stands.
fn timeout(text: &str) -> Result<Option<Duration>, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let invalid = || format!("a time is such as \"30\" or \"1m30s\", not {text:?}");
    let (mut total, mut number) = (0_u64, None::<u64>);
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let more = number.unwrap_or(0).checked_mul(10);
            number = Some(more.and_then(|n| n.checked_add(digit.into())).ok_or_else(invalid)?);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(invalid()),
        };
        let seconds = number.take().and_then(|n| n.checked_mul(unit)).ok_or_else(invalid)?;
        total = total.checked_add(seconds).ok_or_else(invalid)?;
    }
    let total = total.checked_add(number.unwrap_or(0)).ok_or_else(invalid)?;
    if text.is_empty() || total > u64::from(u32::MAX) {
        return Err(invalid());
    }
    Ok(Some(Duration::from_secs(total)))
}
