//! Asking a monitoring address over HTTP, or for a TCP connection.

use std::time::Duration;

use async_trait::async_trait;
use deploy_core::{Context, ProbeAnswer, ProbeError, ProbeQuestion, Prober};

use tokio::net::TcpStream;
use url::Url;

use crate::error::ConfigureError;
use crate::policy::{Forbidden, LookupError, UrlPolicy};
use crate::transport::{Transport, Trust, cause, trust_setters};

/// Asks monitoring addresses over HTTP, and those of the scheme tcp for a connection.
///
/// Follows no redirect, inflates nothing, and contacts only what its [`UrlPolicy`] allows. Each
/// question has a connection of its own or one of the pool's.
///
/// ```
/// use deploy_http::{HttpProber, UrlPolicy};
///
/// let prober = HttpProber::builder().policy(UrlPolicy::new().allow_loopback()).build()?;
/// # Ok::<(), deploy_http::ConfigureError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HttpProber {
    transport: Transport,
}

impl HttpProber {
    /// Begins with the defaults.
    pub fn builder() -> HttpProberBuilder {
        HttpProberBuilder::default()
    }
}

/// Builds an [`HttpProber`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct HttpProberBuilder {
    policy: UrlPolicy,
    trust: Trust,
}

impl HttpProberBuilder {
    /// Sets which addresses may be asked: the default of [`UrlPolicy`] otherwise.
    pub fn policy(mut self, policy: UrlPolicy) -> Self {
        self.policy = policy;
        self
    }

    trust_setters!();

    /// Builds the prober.
    ///
    /// # Errors
    ///
    /// `RootCertificate` when a certificate is not one, `Client` when there is no client.
    pub fn build(self) -> Result<HttpProber, ConfigureError> {
        /// A service that does not take a connection within this time is not healthy.
        const CONNECT: Duration = Duration::from_secs(5);
        let transport = Transport::new(self.policy, &self.trust, CONNECT)?;
        Ok(HttpProber { transport })
    }
}

#[async_trait]
impl Prober for HttpProber {
    async fn probe(
        &self,
        _cx: Context,
        question: ProbeQuestion,
    ) -> Result<ProbeAnswer, ProbeError> {
        let timeout = question.timeout;
        tokio::time::timeout(timeout, self.ask(question))
            .await
            .unwrap_or(Err(ProbeError::TimedOut { timeout }))
    }
}

impl HttpProber {
    async fn ask(&self, question: ProbeQuestion) -> Result<ProbeAnswer, ProbeError> {
        if question.url.scheme() == "tcp" {
            return self.connect(&question.url).await;
        }
        let client = self.transport.client(&question.url).map_err(forbidden)?;
        let request = client.get(question.url);
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while body.len() < question.max_body {
            let Some(chunk) = response.chunk().await.map_err(unreachable)? else {
                break;
            };
            let wanted = (question.max_body - body.len()).min(chunk.len());
            body.extend_from_slice(&chunk[..wanted]);
        }
        Ok(ProbeAnswer::new(status, body))
    }

    /// Makes a connection, to an address that the policy has seen, and ends it.
    async fn connect(&self, url: &Url) -> Result<ProbeAnswer, ProbeError> {
        let addresses = self.transport.addresses(url).await.map_err(|error| match error {
            LookupError::Forbidden(reason) => forbidden(reason),
            LookupError::Failed(source) => ProbeError::Unreachable { source: source.into() },
        })?;
        match TcpStream::connect(&addresses[..]).await {
            Ok(_) => Ok(ProbeAnswer::connected()),
            Err(source) => Err(ProbeError::Unreachable { source: source.into() }),
        }
    }
}

fn forbidden(reason: Forbidden) -> ProbeError {
    ProbeError::Forbidden { reason: reason.to_string() }
}

fn unreachable(error: reqwest::Error) -> ProbeError {
    match Forbidden::find(&error) {
        Some(reason) => forbidden(reason),
        None => ProbeError::Unreachable { source: cause(error) },
    }
}
