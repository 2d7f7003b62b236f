//! Building an [`HttpExecutor`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::Secret;
use deploy_core::model::Endpoint;
use tokio::sync::Semaphore;

use super::{HttpExecutor, Inner, KnownAgent, Patience, TASKS_AT_ONCE};
use crate::error::ConfigureError;
use crate::policy::UrlPolicy;
use crate::tls::TlsIdentity;
use crate::transport::{Transport, Trust, bearer, trust_setters};

/// Builds an [`HttpExecutor`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpExecutorBuilder {
    tokens: BTreeMap<Endpoint, Secret>,
    policy: Option<UrlPolicy>,
    trust: Trust,
    patience: Patience,
}

impl Default for HttpExecutorBuilder {
    fn default() -> Self {
        Self {
            tokens: BTreeMap::new(),
            policy: None,
            trust: Trust::default(),
            patience: Patience {
                // An agent answers when the task is on its disk, which takes milliseconds.
                call: Duration::from_secs(30),
                retry_window: Duration::from_secs(60),
                // Three signs of life, which come every 15 s.
                quiet: Duration::from_secs(45),
                lost_after: Duration::from_secs(5 * 60),
                cancel_grace: Duration::from_secs(2 * 60),
                first_pause: Duration::from_millis(200),
            },
        }
    }
}

impl HttpExecutorBuilder {
    /// Sets the token for an agent. Only agents that have one are contacted.
    pub fn token(mut self, endpoint: &Endpoint, token: Secret) -> Self {
        self.tokens.insert(endpoint.clone(), token);
        self
    }

    /// Sets the tokens for several agents.
    pub fn tokens(mut self, tokens: impl IntoIterator<Item = (Endpoint, Secret)>) -> Self {
        self.tokens.extend(tokens);
        self
    }

    /// Sets which addresses may be contacted, on top of the rule that an agent needs a token. By
    /// default there is no further rule, because endpoints with a token were named by the operator.
    pub fn policy(mut self, policy: UrlPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    trust_setters!();

    /// Shows an identity to agents that ask for it, for https.
    pub fn identity(mut self, identity: TlsIdentity) -> Self {
        self.trust.identity = Some(identity);
        self
    }

    /// Sets how long giving a task is tried: 60 s by default, which covers an agent's restart.
    pub fn retry_window(mut self, window: Duration) -> Self {
        self.patience.retry_window = window;
        self
    }

    /// Sets after how long without any sign of life a stream of events is taken up anew: 45 s by
    /// default, three of the signs that an agent sends.
    pub fn quiet_after(mut self, quiet: Duration) -> Self {
        self.patience.quiet = quiet;
        self
    }

    /// Sets after how long an agent that took a task and is not heard of counts as lost: 5 minutes by
    /// default, longer than a machine takes to boot.
    pub fn lost_after(mut self, lost_after: Duration) -> Self {
        self.patience.lost_after = lost_after;
        self
    }

    /// Sets how long the report of a cancelled task is waited for: 2 minutes by default, because
    /// hosts are put back before it comes.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.patience.cancel_grace = grace;
        self
    }

    /// Sets the first pause between two tries: 200 ms by default. It doubles each time, up to 10 s.
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.patience.first_pause = pause;
        self
    }

    /// Builds the executor.
    ///
    /// # Errors
    ///
    /// `Invalid` when a token cannot stand in a header or an endpoint is not http or https,
    /// `RootCertificate` when a certificate is not one, `Client` when there is no client.
    pub fn build(self) -> Result<HttpExecutor, ConfigureError> {
        /// An agent that does not take a connection within this time is tried again.
        const CONNECT: Duration = Duration::from_secs(10);
        let mut named = UrlPolicy::new();
        let mut agents = BTreeMap::new();
        for (endpoint, token) in self.tokens {
            named = named.allow_url(endpoint.url()).map_err(ConfigureError::Invalid)?;
            let (authorization, places) = (bearer(&token)?, Semaphore::new(TASKS_AT_ONCE));
            agents.insert(endpoint, KnownAgent { authorization, places });
        }
        let policy = self.policy.unwrap_or(named);
        let transport = Transport::new(policy, &self.trust, CONNECT)?;
        let inner = Inner { transport, agents, patience: self.patience };
        Ok(HttpExecutor { inner: Arc::new(inner) })
    }
}
