//! Fetching packages over HTTP and checking them.

mod builder;
mod download;
mod fetch;
mod flight;
mod rehash;
mod spool;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{PackageDigests, PackageSource, Sha256Digest};
use deploy_core::{Context, VerifiedPackage, Verifier, VerifyError};
use reqwest::header::HeaderValue;

pub use self::builder::HttpVerifierBuilder;
use self::download::Download;
use self::flight::Flights;
use self::store::Store;
use crate::policy::Authority;
use crate::transport::Transport;

/// Fetches packages over http and https, checks them, and keeps what was checked.
///
/// A package is streamed to disk in constant memory; MD5 and SHA-256 are computed while it comes.
/// What was checked is kept in a directory under its SHA-256 and found again by nothing else; it is
/// hashed again before it is given. A broken download is tried again, and goes on where it broke off
/// when the server names its bytes by a strong `ETag`.
///
/// Not done: nothing is inflated on the way, nothing is read from the environment (no proxy), no
/// redirect is followed unless [`HttpVerifierBuilder::redirects`] allows it.
///
/// ```
/// use deploy_http::{HttpVerifier, UrlPolicy};
///
/// # let directory = tempfile::tempdir()?;
/// let verifier = HttpVerifier::builder(directory.path())
///     .policy(UrlPolicy::new().only(["packages.internal:8080"])?)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HttpVerifier {
    inner: Arc<Inner>,
}

/// What the builder built.
#[derive(Debug)]
struct Inner {
    transport: Transport,
    store: Store,
    flights: Flights,
    /// The `Authorization` header for each host and port.
    credentials: BTreeMap<Authority, HeaderValue>,
    limits: Limits,
    files: bool,
}

/// How long, how large, how often.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_size: u64,
    idle: Duration,
    tries: u32,
    redirects: usize,
    first_pause: Duration,
}

impl HttpVerifier {
    /// Begins with the directory in which packages are kept. It is made when it is not there, and
    /// belongs to verifiers alone; several of them, also of other processes, may share it.
    pub fn builder(cache: impl Into<std::path::PathBuf>) -> HttpVerifierBuilder {
        HttpVerifierBuilder::new(cache.into())
    }
}

#[async_trait]
impl Verifier for HttpVerifier {
    async fn verify(
        &self,
        cx: Context,
        source: PackageSource,
    ) -> Result<VerifiedPackage, VerifyError> {
        let url = source.url.to_string();
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => Err(VerifyError::Cancelled),
            () = cx.deadline_passed() => Err(VerifyError::TimedOut { url }),
            result = self.inner.verify(source) => result,
        }
    }
}

impl Inner {
    async fn verify(&self, source: PackageSource) -> Result<VerifiedPackage, VerifyError> {
        let limit = self.limits.max_size;
        if source.size.is_some_and(|size| size > limit) {
            let url = source.url.to_string();
            return Err(VerifyError::TooLarge { url, limit });
        }
        // Whoever wants the same bytes waits, and then finds them.
        let _turn = match source.sha256 {
            Some(sha256) => Some(self.flights.take_turn(sha256).await),
            None => None,
        };
        let name = source.url.file_name();
        if let Some(sha256) = source.sha256
            && let Some((file, found)) = self.kept(sha256).await?
        {
            VerifyError::check(&source, &found)?;
            return Ok(VerifiedPackage::new(file, found, name));
        }
        let (partial, found) = Download::new(self, &source).run().await?;
        let store = self.store.clone();
        let file = blocking(move || store.keep(&partial, &found.sha256)).await?;
        Ok(VerifiedPackage::new(Arc::new(file), found, name))
    }

    /// What is kept under a SHA-256, when its bytes still have it.
    async fn kept(
        &self,
        sha256: Sha256Digest,
    ) -> Result<Option<(Arc<std::fs::File>, PackageDigests)>, VerifyError> {
        let store = self.store.clone();
        let Some(file) = blocking(move || store.find(&sha256)).await? else {
            return Ok(None);
        };
        let file = Arc::new(file);
        // A file that cannot be read any more is as bad as one that reads wrong.
        if let Ok(found) = rehash::digests(&file).await
            && found.sha256 == sha256
        {
            return Ok(Some((file, found)));
        }
        tracing::warn!(target: "deploy", %sha256, "a kept package is damaged; it is fetched again");
        let store = self.store.clone();
        blocking(move || store.discard(&sha256)).await?;
        Ok(None)
    }
}

fn storage(source: std::io::Error) -> VerifyError {
    VerifyError::Storage { source }
}

/// Runs file operations where they may block.
async fn blocking<T, F>(work: F) -> Result<T, VerifyError>
where
    T: Send + 'static,
    F: FnOnce() -> std::io::Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(storage),
        Err(error) => Err(storage(std::io::Error::other(error))),
    }
}
