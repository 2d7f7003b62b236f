//! Asking an inventory over HTTP: a CMDB, or whatever knows which hosts a project has.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::document::{Decode, Invalid, Node};
use deploy_core::model::{BusinessName, ProjectName, Target};
use deploy_core::{AgentResolver, Context, Format, MAX_DOCUMENT, ResolveError, Secret};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use url::Url;

use crate::error::ConfigureError;
use crate::policy::UrlPolicy;
use crate::tls::TlsIdentity;
use crate::transport::{Transport, Trust, bearer, cause, trust_setters};
use crate::wire::JSON;

/// Asks an inventory over HTTP for the hosts of a project.
///
/// It answers 200 with JSON, `{"hosts": […]}`, each host with `host`, `address`, `endpoint` and `root`,
/// and where it has them `agent`, `zone` and `tags`; or 404 where it does not know the project. Hosts come
/// in the order in which a rollout does them. Redirects are not followed.
///
/// ```
/// use deploy_core::{CachedResolver, Secret};
/// use deploy_http::HttpResolver;
/// use std::time::Duration;
///
/// let cmdb = HttpResolver::builder("https://cmdb.internal/v2/{business}/{project}/hosts")
///     .token(Secret::new("a-long-and-random-text"))
///     .trust_system_roots()
///     .build()?;
/// let resolver = CachedResolver::new(cmdb, Duration::from_secs(60));
/// # Ok::<(), deploy_http::ConfigureError>(())
/// ```
#[derive(Clone)]
pub struct HttpResolver {
    template: String,
    transport: Transport,
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

impl HttpResolver {
    /// Begins with a URL, in whose path or query `{business}` and `{project}` stand for what is asked for.
    pub fn builder(url: impl Into<String>) -> HttpResolverBuilder {
        HttpResolverBuilder {
            template: url.into(),
            token: None,
            trust: Trust::default(),
            timeout: Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for HttpResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResolver").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Builds an [`HttpResolver`].
#[derive(Clone)]
#[must_use]
pub struct HttpResolverBuilder {
    template: String,
    token: Option<Secret>,
    trust: Trust,
    timeout: Duration,
}

impl fmt::Debug for HttpResolverBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL may hold a secret in its query.
        f.debug_struct("HttpResolverBuilder").finish_non_exhaustive()
    }
}

impl HttpResolverBuilder {
    /// Sets the token that is shown as a bearer token.
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    trust_setters!();

    /// Shows an identity to an inventory that asks for it, for https.
    pub fn identity(mut self, identity: TlsIdentity) -> Self {
        self.trust.identity = Some(identity);
        self
    }

    /// Sets how long an answer may take: 10 s by default. The node asks again a few times.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Builds the resolver.
    ///
    /// # Errors
    ///
    /// `Invalid` when the URL is not one, or names another server for another project, or a token cannot
    /// stand in a header; `RootCertificate` when a certificate is not one, `Client` when there is no
    /// client.
    pub fn build(self) -> Result<HttpResolver, ConfigureError> {
        let server = self.server().ok_or_else(|| {
            ConfigureError::Invalid(Invalid::new(
                "another text",
                "an http or https URL with {business} and {project} in its path or query",
            ))
        })?;
        // It was named by the operator, wherever it is.
        let policy = UrlPolicy::new().allow_url(&server).map_err(ConfigureError::Invalid)?;
        Ok(HttpResolver {
            transport: Transport::new(policy, &self.trust, self.timeout)?,
            authorization: self.token.as_ref().map(bearer).transpose()?,
            template: self.template,
            timeout: self.timeout,
        })
    }

    /// The server that is asked, when that is one and the same.
    fn server(&self) -> Option<Url> {
        let complete = ["{business}", "{project}"].iter().all(|part| self.template.contains(part));
        let url = |name: &str| Url::parse(&filled(&self.template, name, name)).ok();
        let (one, other) = (url("a")?, url("b")?);
        let same = one.origin() == other.origin() && one.username() == other.username();
        (complete && same && matches!(one.scheme(), "http" | "https")).then_some(one)
    }
}

/// The URL for a project. Names need no escaping.
fn filled(template: &str, business: &str, project: &str) -> String {
    template.replace("{business}", business).replace("{project}", project)
}

#[async_trait]
impl AgentResolver for HttpResolver {
    async fn resolve(
        &self,
        _cx: Context,
        business: BusinessName,
        project: ProjectName,
    ) -> Result<Vec<Target>, ResolveError> {
        let asked = tokio::time::timeout(self.timeout, self.ask(&business, &project)).await;
        let answer = asked.unwrap_or_else(|_| Err("no answer in time".into()));
        let Some(body) = answer.map_err(|source| ResolveError::Unavailable { source })? else {
            return Err(ResolveError::Unknown { business, project });
        };
        let Hosts(hosts) =
            Format::Json.read(&body).map_err(|source| ResolveError::Malformed { source })?;
        if hosts.is_empty() {
            return Err(ResolveError::NoHosts { business, project });
        }
        Ok(hosts)
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl HttpResolver {
    /// The body of the answer; none where the project is not known.
    async fn ask(
        &self,
        business: &BusinessName,
        project: &ProjectName,
    ) -> Result<Option<Vec<u8>>, Cause> {
        let url = Url::parse(&filled(&self.template, business.as_str(), project.as_str()))?;
        let request = self.transport.client(&url)?.get(url).header(ACCEPT, JSON);
        let request = match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        };
        let mut response = request.send().await.map_err(cause)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(format!("it answers {status}").into()),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(cause)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_DOCUMENT {
                return Err(format!("it answers with more than {MAX_DOCUMENT} bytes").into());
            }
        }
        Ok(Some(body))
    }
}

/// An answer. What else it says is its own business.
struct Hosts(Vec<Target>);

impl Decode for Hosts {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        table.required("hosts").map(Self)
    }
}
