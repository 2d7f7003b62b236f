//! How a host is reached: a URL whose scheme chooses the executor.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use url::Url;

use crate::document::{Decode, Invalid, Node, decode_text, deserialize_by_decode};

/// A URL that says how a host is reached.
///
/// `https://agent.east:7443` is an agent's API, `ssh://deploy@10.0.1.11:22` a host reached over SSH,
/// `local:/srv/h1` a directory of this machine that acts as a host. Other schemes belong to
/// executors of the host application. A password in it is refused: it would end up in events.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Endpoint(Url);

const ALLOWED: &str = "a URL such as \"https://agent:7443\", \"ssh://user@host:22\" or, with an \
     absolute path, \"local:/srv/h1\", without a password, query or fragment";

impl Endpoint {
    /// Reads an endpoint.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is no URL, lacks what its scheme needs, or holds a password.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        // What may hold a secret is not repeated.
        let refuse = || {
            if text.contains(['@', '?', '#']) {
                Invalid { found: "another text".to_owned(), allowed: ALLOWED.to_owned() }
            } else {
                Invalid::new(text, ALLOWED)
            }
        };
        let url = Url::parse(text).map_err(|_| refuse())?;
        let complete = match url.scheme() {
            "http" | "https" => url.has_host() && url.username().is_empty(),
            "ssh" => url.has_host(),
            "local" => url.path().starts_with('/') && !url.has_host(),
            _ => true,
        };
        let clean = url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if complete && clean { Ok(Self(url)) } else { Err(refuse()) }
    }

    /// The scheme, in lower case: what chooses the executor.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// The endpoint as a URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_str())
    }
}

impl FromStr for Endpoint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl Decode for Endpoint {
    fn decode(node: &Node<'_>) -> Option<Self> {
        decode_text(node)
    }
}

deserialize_by_decode!(Endpoint);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_is_held_to_what_it_needs() {
        for good in
            ["http://127.0.0.1:7070", "ssh://deploy@10.0.1.11:22", "local:/srv/h1", "docker:web-1"]
        {
            assert!(Endpoint::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "web-1",
            "http://",
            "local:relative",
            "https://u@h",
            "http://h/?a=b",
            "local://h/x",
        ] {
            assert!(Endpoint::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let error = Endpoint::new("ssh://deploy:hunter2@h").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        let error = Endpoint::new("https://h/?token=hunter2").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn what_holds_no_secret_is_repeated() {
        let error = Endpoint::new("local:relative").unwrap_err().to_string();
        assert!(error.starts_with("found \"local:relative\", allowed is a URL"), "{error}");
        assert!(error.contains("with an absolute path"), "{error}");
    }
}
