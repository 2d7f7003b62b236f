//! Where an `ssh:` endpoint leads.

use std::fmt;

use deploy_core::model::Endpoint;

/// What is allowed.
pub(crate) const ALLOWED: &str = "ssh://[user@]host[:port]";

const PORT: u16 = 22;

/// A host, its port, and who logs in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) user: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Reads an endpoint; `None` when it is not one of ours.
    pub(crate) fn of(endpoint: &Endpoint) -> Option<Self> {
        let url = endpoint.url();
        if url.scheme() != "ssh" || !matches!(url.path(), "" | "/") {
            return None;
        }
        let host = url.host_str()?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let user = Some(url.username()).filter(|user| !user.is_empty());
        let host_is_plain = is_plain(host, &['.', '-', '_', ':']);
        let user_is_plain = user.is_none_or(|user| is_plain(user, &['.', '-', '_', '@', '+']));
        (host_is_plain && user_is_plain).then(|| Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port: url.port().unwrap_or(PORT),
        })
    }
}

/// Letters, digits and a few others, and nothing that looks like an option.
fn is_plain(text: &str, others: &[char]) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(&c))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_names_a_host_a_port_and_a_user() {
        let of = |text: &str| Address::of(&Endpoint::new(text).unwrap());
        let address = |user: Option<&str>, host: &str, port| {
            Some(Address { user: user.map(str::to_owned), host: host.to_owned(), port })
        };
        assert_eq!(of("ssh://deploy@10.0.0.1:2222"), address(Some("deploy"), "10.0.0.1", 2222));
        assert_eq!(of("ssh://web-1.east/"), address(None, "web-1.east", 22));
        assert_eq!(of("ssh://[::1]:22"), address(None, "::1", 22));
        for other in [
            "https://h",
            "ssh://h/path",
            "ssh://-oProxyCommand=x",
            "ssh://-u@h",
            "ssh://a%20b@h",
            "ssh://u@a%60b",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
