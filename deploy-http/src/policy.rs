//! Which URLs may be contacted: a rule over schemes, hosts, ports and the addresses behind them.

mod address;
mod lookup;

pub use lookup::HostLookup;

use std::collections::BTreeSet;
use std::net::IpAddr;

use deploy_core::document::Invalid;
use url::{Host, Url};

/// Which URLs may be contacted.
///
/// By default every http or https URL whose host has ordinary addresses. Not contacted are loopback,
/// link-local, unspecified, multicast and reserved addresses and the metadata services of clouds, in
/// whatever form they are written and whatever name they hide behind. Private networks are ordinary:
/// deployment lives there.
///
/// A host name is resolved once for a connection, **all** of its addresses are checked, and the
/// connection goes to a checked one, so that a name that changes its mind (DNS rebinding) gains
/// nothing.
///
/// ```
/// use deploy_http::UrlPolicy;
///
/// let strict = UrlPolicy::new().only(["packages.internal:443", "mirror.internal:8080"])?;
/// let testing = UrlPolicy::new().allow("localhost:8080")?;
/// # Ok::<(), deploy_core::document::Invalid>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct UrlPolicy {
    loopback: bool,
    named: BTreeSet<Authority>,
    only: Option<BTreeSet<Authority>>,
    lookup: HostLookup,
}

impl UrlPolicy {
    /// The default: everything but special addresses.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows addresses of this machine itself, for tests and for a node that serves its own packages.
    #[must_use]
    pub fn allow_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Allows one host and port, such as `mirror.internal:8080`, `10.0.0.7:80` or `[fd00::7]:443`,
    /// whatever its addresses are, also beside [`UrlPolicy::only`].
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the text is no host and port.
    pub fn allow(mut self, authority: &str) -> Result<Self, Invalid> {
        self.named.insert(Authority::new(authority)?);
        Ok(self)
    }

    /// Allows the host and port of a URL, whatever its addresses are.
    pub(crate) fn allow_url(mut self, url: &Url) -> Result<Self, Invalid> {
        let authority =
            Authority::of(url).ok_or_else(|| Invalid::new(url.as_str(), "an http or https URL"))?;
        self.named.insert(authority);
        Ok(self)
    }

    /// Allows nothing but these hosts and ports, and what [`UrlPolicy::allow`] names. Their addresses
    /// are still checked.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when a text is no host and port.
    pub fn only<'a>(
        mut self,
        authorities: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Invalid> {
        let only = authorities.into_iter().map(Authority::new);
        self.only = Some(only.collect::<Result<_, _>>()?);
        Ok(self)
    }

    /// Finds the addresses of host names in another way than this machine's resolver.
    #[must_use]
    pub fn lookup(mut self, lookup: HostLookup) -> Self {
        self.lookup = lookup;
        self
    }

    /// Finds the addresses of a host, and gives them when every one of them may be contacted.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let found = self.lookup.find(host).await.map_err(LookupError::Failed)?;
        for address in &found {
            self.check_address(*address).map_err(LookupError::Forbidden)?;
        }
        Ok(found)
    }

    /// Finds the addresses of a host that was named, whatever they are.
    pub(crate) async fn any_addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        self.lookup.find(host).await.map_err(LookupError::Failed)
    }

    /// Judges a URL before anything is sent, as far as its text tells.
    pub(crate) fn judge(&self, url: &Url) -> Result<Verdict, Forbidden> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Forbidden::new("only http and https are allowed"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden::new("credentials in an address are not allowed"));
        }
        let Some(authority) = Authority::of(url) else {
            return Err(Forbidden::new("the address has no host"));
        };
        if self.named.contains(&authority) {
            return Ok(Verdict::Named);
        }
        if let Some(only) = &self.only
            && !only.contains(&authority)
        {
            return Err(Forbidden::new("the host and port are not on the list"));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            // RFC 6761: whatever a resolver says, these are names of this machine.
            Some(Host::Domain(_)) if !self.loopback && authority.is_localhost() => {
                return Err(Forbidden::new("names of this machine are not allowed"));
            }
            Some(Host::Domain(_)) | None => return Ok(Verdict::Checked),
        };
        self.check_address(address).map(|()| Verdict::Checked)
    }

    /// Judges an address that a connection would go to.
    pub(crate) fn check_address(&self, address: IpAddr) -> Result<(), Forbidden> {
        match address::special(address) {
            Some(_) if self.loopback && address::is_loopback(address) => Ok(()),
            Some(what) => Err(Forbidden::new(what)),
            None => Ok(()),
        }
    }
}

/// How a URL may be contacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// At ordinary addresses only.
    Checked,
    /// At any address: the host and port were named.
    Named,
}

/// Why a host name gave no addresses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    /// The name has an address that may not be contacted.
    #[error("the host has an address that is not allowed")]
    Forbidden(#[source] Forbidden),
    /// The name could not be looked up.
    #[error("the host name could not be looked up")]
    Failed(#[source] std::io::Error),
}

/// Why a URL or an address may not be contacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Forbidden {
    reason: &'static str,
}

impl Forbidden {
    pub(crate) const fn new(reason: &'static str) -> Self {
        Self { reason }
    }

    /// Finds the reason among the causes of a failed request.
    pub(crate) fn find(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(*found);
            }
            next = error.source();
        }
        None
    }
}

/// A host and a port, in the form in which URLs have them: lower case, no dot at the end, and a
/// number as an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Authority {
    host: String,
    port: u16,
}

impl Authority {
    /// Reads `host:port`.
    pub(crate) fn new(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(text, "a host and a port such as \"mirror.internal:8080\"");
        let (_, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port: u16 = port.parse().map_err(|_| invalid())?;
        if text.contains(['/', '?', '#', '@', '\\']) {
            return Err(invalid());
        }
        let url = Url::parse(&format!("http://{text}/")).map_err(|_| invalid())?;
        let mut authority = Self::of(&url).ok_or_else(invalid)?;
        authority.port = port;
        Ok(authority)
    }

    fn is_localhost(&self) -> bool {
        self.host == "localhost" || self.host.ends_with(".localhost")
    }

    /// The host and port that a URL goes to.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        Some(Self {
            host: url.host_str()?.trim_end_matches('.').to_owned(),
            port: url.port_or_known_default()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(policy: &UrlPolicy, url: &str) -> bool {
        policy.judge(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn a_list_leaves_out_everything_else() {
        let policy = UrlPolicy::new().only(["Mirror.internal:8080"]).unwrap();
        assert!(judge(&policy, "http://mirror.internal:8080/x"));
        assert!(judge(&policy, "http://mirror.internal.:8080/x"));
        for other in ["http://mirror.internal/x", "http://10.0.0.1:8080/"] {
            assert!(!judge(&policy, other), "{other}");
        }
    }

    #[test]
    fn a_listed_special_address_must_also_be_named() {
        let listed = UrlPolicy::new().only(["127.0.0.1:80"]).unwrap();
        assert!(!judge(&listed, "http://127.0.0.1/"));
        assert!(judge(&listed.allow("127.0.0.1:80").unwrap(), "http://127.0.0.1/"));
    }

    #[test]
    fn allowing_loopback_allows_nothing_else() {
        let policy = UrlPolicy::new().allow_loopback();
        assert!(judge(&policy, "http://127.0.0.1:1/"));
        assert!(judge(&policy, "http://[::ffff:127.0.0.1]:1/"));
        assert!(!judge(&policy, "http://169.254.169.254/"));
        assert!(!judge(&policy, "http://0.0.0.0/"));
    }

    #[test]
    fn only_a_host_and_a_port_name_something() {
        for bad in ["", "h", "h:", "h:x", ":80", "u@h:80", "h:80/x", "http://h:80"] {
            assert!(Authority::new(bad).is_err(), "{bad:?}");
        }
        let brackets = Authority::new("[FD00::7]:443").unwrap();
        let url = Url::parse("https://[fd00:0::7]/").unwrap();
        assert_eq!(Some(brackets), Authority::of(&url));
    }
}
