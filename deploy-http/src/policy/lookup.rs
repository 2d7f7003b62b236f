//! Finding the addresses of a host name.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

/// What a lookup's closure returns, boxed.
type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How the addresses of a host name are found: by this machine's resolver unless said otherwise.
///
/// ```
/// use std::net::IpAddr;
/// use deploy_http::HostLookup;
///
/// // A lookup for networks whose names stand in no DNS.
/// let fixed = HostLookup::new(|_host| async { Ok(vec![IpAddr::from([10, 0, 0, 7])]) });
/// ```
#[derive(Clone, Default)]
pub struct HostLookup(Option<Arc<dyn Fn(String) -> Answer + Send + Sync>>);

impl HostLookup {
    /// Asks this machine's resolver.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// Asks a closure.
    #[must_use]
    pub fn new<F, A>(f: F) -> Self
    where
        F: Fn(String) -> A + Send + Sync + 'static,
        A: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        Self(Some(Arc::new(move |host| Box::pin(f(host)))))
    }

    pub(crate) async fn find(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = match &self.0 {
            Some(lookup) => lookup(host.to_owned()).await?,
            None => {
                let found = tokio::net::lookup_host((host, 0)).await?;
                found.map(|address| address.ip()).collect()
            }
        };
        if found.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the host has no address",
            ));
        }
        Ok(found)
    }
}

impl fmt::Debug for HostLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "HostLookup(…)",
            None => "HostLookup(system)",
        })
    }
}
