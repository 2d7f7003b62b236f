//! The HTTP client that every part of this crate sends with: its policy, its TLS, its timeouts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::Secret;
use deploy_core::document::Invalid;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::redirect;
use rustls::RootCertStore;
use url::{Host, Url};

use crate::error::ConfigureError;
use crate::policy::{Forbidden, LookupError, UrlPolicy, Verdict};
use crate::tls::{TlsIdentity, add_roots, provider};

/// Two pooled clients under one policy: one that connects to checked addresses only, and one for the
/// hosts that the policy names.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    policy: UrlPolicy,
    checked: reqwest::Client,
    named: reqwest::Client,
    /// Why https cannot be spoken, where it cannot.
    no_https: Option<&'static str>,
}

impl Transport {
    pub(crate) fn new(
        policy: UrlPolicy,
        trust: &Trust,
        connect_timeout: Duration,
    ) -> Result<Self, ConfigureError> {
        let roots = trust.roots()?;
        let no_https = trust.no_https(&roots);
        let tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(client_error)?
            .with_root_certificates(roots);
        let tls = match &trust.identity {
            Some(identity) => tls.with_client_cert_resolver(identity.resolver()),
            None => tls.with_no_client_auth(),
        };
        let build = |verdict| {
            let resolver = PolicyResolver { policy: policy.clone(), verdict };
            // Nothing is inflated on the way: digests are those of the bytes that travel.
            let identity = HeaderValue::from_static("identity");
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Arc::new(resolver))
                .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, identity)]))
                .user_agent(concat!("deploy-http/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .http1_only()
                .tcp_nodelay(true)
                .connect_timeout(connect_timeout)
                // Less than the 60 s after which our server closes, so that no request meets a
                // connection that is just being closed.
                .pool_idle_timeout(Duration::from_secs(45))
                .build()
                .map_err(client_error)
        };
        Ok(Self {
            checked: build(Verdict::Checked)?,
            named: build(Verdict::Named)?,
            policy,
            no_https,
        })
    }

    /// The addresses behind a tcp URL, when they may be contacted.
    pub(crate) async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, LookupError> {
        let no_port = || LookupError::Forbidden(Forbidden::new("the address has no port"));
        let port = url.port().ok_or_else(no_port)?;
        // Only in http URLs is a number in any of its forms known to be an address.
        let rest = url.as_str().strip_prefix("tcp:").unwrap_or_default();
        let no_host = |_| LookupError::Forbidden(Forbidden::new("the address has no host"));
        let url = Url::parse(&format!("http:{rest}")).map_err(no_host)?;
        let verdict = self.policy.judge(&url).map_err(LookupError::Forbidden)?;
        let found = match (url.host(), verdict) {
            (Some(Host::Ipv4(address)), _) => vec![IpAddr::V4(address)],
            (Some(Host::Ipv6(address)), _) => vec![IpAddr::V6(address)],
            (Some(Host::Domain(name)), Verdict::Checked) => self.policy.addresses(name).await?,
            (Some(Host::Domain(name)), Verdict::Named) => self.policy.any_addresses(name).await?,
            (None, _) => Vec::new(),
        };
        Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    /// The client for a URL, when it may be contacted.
    pub(crate) fn client(&self, url: &Url) -> Result<&reqwest::Client, Forbidden> {
        let verdict = self.policy.judge(url)?;
        if let Some(reason) = self.no_https.filter(|_| url.scheme() == "https") {
            return Err(Forbidden::new(reason));
        }
        Ok(match verdict {
            Verdict::Checked => &self.checked,
            Verdict::Named => &self.named,
        })
    }
}

/// The value of the `Authorization` header for a bearer token.
pub(crate) fn bearer(token: &Secret) -> Result<HeaderValue, ConfigureError> {
    let plain = |byte: u8| byte.is_ascii_graphic();
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
    match value {
        Ok(mut value) if !token.expose().is_empty() && token.expose().bytes().all(plain) => {
            value.set_sensitive(true);
            Ok(value)
        }
        // The text itself is not repeated: it is a secret.
        _ => Err(ConfigureError::Invalid(Invalid::new(
            "another text",
            "a token of printable ASCII characters, without spaces",
        ))),
    }
}

/// An error of the client as a cause, without the URL that it would repeat.
pub(crate) fn cause(error: reqwest::Error) -> Box<dyn std::error::Error + Send + Sync> {
    error.without_url().into()
}

fn client_error(error: impl std::error::Error + Send + Sync + 'static) -> ConfigureError {
    ConfigureError::Client { source: error.into() }
}

/// The setters of a builder's [`Trust`].
macro_rules! trust_setters {
    () => {
        /// Trusts the certificates of a PEM file as roots, for https.
        pub fn root_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
            self.trust.pem.push(pem.into());
            self
        }

        /// Trusts this machine's root certificates, for https.
        pub fn trust_system_roots(mut self) -> Self {
            self.trust.system = true;
            self
        }
    };
}
pub(crate) use trust_setters;

/// Whose certificates are believed, nobody's until somebody is named, and who we are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    pub(crate) pem: Vec<Vec<u8>>,
    pub(crate) system: bool,
    pub(crate) identity: Option<TlsIdentity>,
}

impl Trust {
    fn roots(&self) -> Result<RootCertStore, ConfigureError> {
        let mut roots = RootCertStore::empty();
        for pem in &self.pem {
            add_roots(&mut roots, pem)?;
        }
        if self.system {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
        Ok(roots)
    }

    /// Why https cannot be spoken with these roots, where it cannot.
    fn no_https(&self, roots: &RootCertStore) -> Option<&'static str> {
        match (roots.is_empty(), self.system) {
            (false, _) => None,
            (true, true) => Some("https needs root certificates, and this machine has none"),
            (true, false) => Some("https needs root certificates, and none are configured"),
        }
    }
}

/// Gives the client's connections only addresses that the policy has seen.
#[derive(Debug)]
struct PolicyResolver {
    policy: UrlPolicy,
    verdict: Verdict,
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, verdict) = (self.policy.clone(), self.verdict);
        Box::pin(async move {
            let found = match verdict {
                Verdict::Checked => policy.addresses(name.as_str()).await?,
                Verdict::Named => policy.any_addresses(name.as_str()).await?,
            };
            // Port 0 stands for the port of the URL.
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_trusts_the_machine_hears_that_it_has_no_roots() {
        let reason = |system| {
            let trust = Trust { system, ..Trust::default() };
            trust.no_https(&RootCertStore::empty()).unwrap()
        };
        assert!(reason(true).ends_with("this machine has none"));
        assert!(reason(false).ends_with("none are configured"));
    }
}
