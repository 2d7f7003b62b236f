//! Building an [`HttpVerifier`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::Secret;

use super::flight::Flights;
use super::store::Store;
use super::{HttpVerifier, Inner, Limits};
use crate::error::ConfigureError;
use crate::policy::{Authority, UrlPolicy};
use crate::transport::{Transport, Trust, bearer, trust_setters};

const GIB: u64 = 1024 * 1024 * 1024;

/// Builds an [`HttpVerifier`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpVerifierBuilder {
    cache: PathBuf,
    cache_size: u64,
    policy: UrlPolicy,
    trust: Trust,
    credentials: Vec<(String, Secret)>,
    limits: Limits,
    files: bool,
}

impl HttpVerifierBuilder {
    pub(super) fn new(cache: PathBuf) -> Self {
        Self {
            cache,
            cache_size: 20 * GIB,
            policy: UrlPolicy::default(),
            trust: Trust::default(),
            credentials: Vec::new(),
            limits: Limits {
                max_size: 16 * GIB,
                idle: Duration::from_secs(30),
                tries: 5,
                redirects: 0,
                first_pause: Duration::from_millis(200),
            },
            files: false,
        }
    }

    /// Sets which addresses may be contacted: the default of [`UrlPolicy`] otherwise.
    pub fn policy(mut self, policy: UrlPolicy) -> Self {
        self.policy = policy;
        self
    }

    trust_setters!();

    /// Sends a bearer token to one host and port, such as `packages.internal:443`, and to no other,
    /// also not after a redirect. To port 443 it goes over https alone; to others, as their address
    /// says.
    pub fn bearer_for(mut self, authority: impl Into<String>, token: Secret) -> Self {
        self.credentials.push((authority.into(), token));
        self
    }

    /// Reads packages from `file:` addresses too. Off by default: whoever files a request could have
    /// any file of this machine deployed.
    pub fn allow_file_urls(mut self) -> Self {
        self.files = true;
        self
    }

    /// Follows up to `count` redirects, 3 at most. None by default, because an address that was
    /// allowed says nothing about where it sends us. Each hop is judged by the policy, and none leads
    /// from https to http.
    pub fn redirects(mut self, count: usize) -> Self {
        self.limits.redirects = count.min(3);
        self
    }

    /// Sets how large a package may be, in bytes: 16 GiB by default, more than packages have and less
    /// than disks.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.limits.max_size = bytes;
        self
    }

    /// Sets how much the kept packages may take, in bytes: 20 GiB by default. What was not used for
    /// longest goes first; what was just given stays, even when it is larger.
    pub fn cache_size(mut self, bytes: u64) -> Self {
        self.cache_size = bytes;
        self
    }

    /// Sets how long a server may stay silent in the middle: 30 s by default, because a server that
    /// builds a package on demand needs some, and a dead one has no end. In as much time it sends a
    /// kilobyte a second at least.
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.limits.idle = idle;
        self
    }

    /// Sets how often in a row a download may fail before it is given up: 5 by default, which with
    /// the pauses between covers a server's restart. Progress begins the count again.
    pub fn tries(mut self, tries: u32) -> Self {
        self.limits.tries = tries.max(1);
        self
    }

    /// Sets the first pause between two tries: 200 ms by default. It doubles each time.
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.limits.first_pause = pause;
        self
    }

    /// Builds the verifier, makes its directory, and removes what crashed downloads left there.
    ///
    /// # Errors
    ///
    /// `Cache` when the directory cannot be used, `Invalid` when a host and port or a token is not
    /// one, `RootCertificate` when a certificate is not one, `Client` when there is no client.
    pub fn build(self) -> Result<HttpVerifier, ConfigureError> {
        /// A server in the same network answers in milliseconds; this allows for a lost packet or two.
        const CONNECT: Duration = Duration::from_secs(10);
        let mut credentials = BTreeMap::new();
        for (authority, token) in &self.credentials {
            let authority = Authority::new(authority).map_err(ConfigureError::Invalid)?;
            credentials.insert(authority, bearer(token)?);
        }
        let store = Store::open(&self.cache, self.cache_size)
            .map_err(|source| ConfigureError::Cache { source })?;
        let inner = Inner {
            transport: Transport::new(self.policy, &self.trust, CONNECT)?,
            store,
            flights: Flights::default(),
            credentials,
            limits: self.limits,
            files: self.files,
        };
        Ok(HttpVerifier { inner: Arc::new(inner) })
    }
}
