//! The package of a request: where it is, and by what it is known.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use url::Url;

use super::{Md5Digest, PackageDigests, Sha256Digest};
use crate::document::{Decode, Invalid, Node, decode_text, deserialize_by_decode};

/// The address of a package: `http:`, `https:` or `file:`.
///
/// `Debug` and `Display` leave the query out, because signed addresses carry a token there. A user
/// or password in the address is refused: credentials are configured where the package is fetched.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct PackageUrl(Url);

impl PackageUrl {
    /// Reads the address of a package.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is no URL, of another scheme, without a host, or with credentials.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        const ALLOWED: &str = "a URL of the scheme http, https or file, without user or password";
        let Ok(url) = Url::parse(text) else {
            return Err(Invalid::new(text.split(['?', '@']).next().unwrap_or(""), ALLOWED));
        };
        let whole = match url.scheme() {
            "http" | "https" => url.has_host(),
            "file" => url.to_file_path().is_ok(),
            _ => false,
        };
        if !whole {
            return Err(Invalid::new(&shown(&url), ALLOWED));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let found = "an address with credentials".to_owned();
            return Err(Invalid { found, allowed: ALLOWED.to_owned() });
        }
        Ok(Self(url))
    }

    /// The address, whole.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The last part of the path, which names a package that is a single file; `package` where the
    /// address has no such part that is safe as a file name.
    #[must_use]
    pub fn file_name(&self) -> String {
        let last = self.0.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or("");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
        let safe = !last.is_empty()
            && last.len() <= 128
            && !last.starts_with(['.', '-'])
            && last.chars().all(plain);
        if safe { last.to_owned() } else { "package".to_owned() }
    }
}

/// A URL without user, password, query and fragment, for messages.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if url.query().is_some() {
        url.set_query(Some("…"));
    }
    url.set_fragment(None);
    // Both fail only for URLs that can have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string().replace("%E2%80%A6", "…")
}

impl fmt::Display for PackageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for PackageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", shown(&self.0))
    }
}

impl FromStr for PackageUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl Decode for PackageUrl {
    fn decode(node: &Node<'_>) -> Option<Self> {
        decode_text(node)
    }
}

/// Where a package is and what its bytes must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PackageSource {
    /// Where to download it.
    pub url: PackageUrl,
    /// The MD5 it must have.
    pub md5: Md5Digest,
    /// The SHA-256 it must have, where known. Everything after the first check has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Digest>,
    /// The size it must have, in bytes, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl PackageSource {
    /// Names a package by address and MD5.
    #[must_use]
    pub fn new(url: PackageUrl, md5: Md5Digest) -> Self {
        Self { url, md5, sha256: None, size: None }
    }

    /// Demands a SHA-256 as well.
    #[must_use]
    pub fn with_sha256(mut self, sha256: Sha256Digest) -> Self {
        self.sha256 = Some(sha256);
        self
    }

    /// Demands a size as well, in bytes.
    #[must_use]
    pub fn with_size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// The same package, pinned to the bytes that were found behind its address.
    #[must_use]
    pub fn pinned(&self, found: &PackageDigests) -> Self {
        self.clone().with_sha256(found.sha256).with_size(found.size)
    }
}

impl Decode for PackageSource {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let url = table.required("url");
        let md5 = table.required("md5");
        let sha256 = table.optional("sha256");
        let size = table.optional("size");
        table.finish();
        Some(Self { url: url?, md5: md5?, sha256: sha256?, size: size? })
    }
}

deserialize_by_decode!(PackageUrl, PackageSource);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_https_and_file_are_addresses_of_packages() {
        for good in ["http://h/a.tar.gz", "https://h:8443/a?sig=x", "file:///srv/a.zip"] {
            assert!(PackageUrl::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.tar.gz",
            "ftp://h/a",
            "data:,x",
            "http://u:p@h/a",
            "git::ssh://h/a",
            "file://h/a",
        ] {
            assert!(PackageUrl::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_message_repeats_a_token_or_a_password() {
        let url = PackageUrl::new("https://h/a?token=canary").unwrap();
        assert!(!format!("{url} {url:?}").contains("canary"));
        for bad in
            ["https://u:canary@h/a", "ftp://u:canary@h/a?x=canary", "ht!tp://u:x@canary?canary"]
        {
            let error = PackageUrl::new(bad).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_file_name_is_safe() {
        let name = |text: &str| PackageUrl::new(text).unwrap().file_name();
        assert_eq!(name("http://h/x/app-1.4.2.jar?sig=1"), "app-1.4.2.jar");
        assert_eq!(name("http://h/"), "package");
        assert_eq!(name("http://h/..%2fx"), "package");
        assert_eq!(name("http://h/.profile"), "package");
    }
}
