//! Reaching hosts over SSH.

use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::model::{Endpoint, HostName, Target};
use deploy_core::{ConnectError, Connector, Context, Fact, Failure, Session, Step};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::address::{ALLOWED, Address};
use crate::auth::Method;
use crate::builder::SshConnectorBuilder;
use crate::host_keys::HostKeys;
use crate::limits::Limits;
use crate::other_user::Become;
use crate::retry;
use crate::route::Route;
use crate::session::SshSession;
use crate::transport::{Fault, Link, Login};

/// Opens sessions on hosts whose endpoint is `ssh://[user@]host[:port]`.
///
/// Clones share their limits.
#[derive(Clone, Debug)]
pub struct SshConnector {
    settings: Arc<Settings>,
    route: Arc<Route>,
    connecting: Arc<Semaphore>,
    sessions: Arc<Semaphore>,
}

/// What a connector was built with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) user: Option<String>,
    pub(crate) methods: Arc<[Method]>,
    pub(crate) host_keys: HostKeys,
    pub(crate) other: Option<Become>,
    pub(crate) jumps: Vec<Login>,
    pub(crate) limits: Limits,
}

impl SshConnector {
    /// Starts to build a connector.
    pub fn builder() -> SshConnectorBuilder {
        SshConnectorBuilder::new()
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let Limits { connecting, sessions, .. } = settings.limits;
        Self {
            route: Arc::new(Route::new(settings.jumps.clone(), settings.limits)),
            settings: Arc::new(settings),
            connecting: Arc::new(Semaphore::new(connecting)),
            sessions: Arc::new(Semaphore::new(sessions)),
        }
    }

    /// Opens a session.
    ///
    /// Cancel safety: dropping the future closes what was opened.
    ///
    /// # Errors
    ///
    /// Every variant of [`ConnectError`]. Nobody has been told who we are when it is `Rejected` because
    /// of the host's key.
    pub async fn open(
        &self,
        cx: &Context,
        endpoint: &Endpoint,
    ) -> Result<SshSession, ConnectError> {
        self.reach(cx, endpoint, None).await
    }

    async fn reach(
        &self,
        cx: &Context,
        endpoint: &Endpoint,
        host: Option<&HostName>,
    ) -> Result<SshSession, ConnectError> {
        let login = self.login(endpoint)?;
        let name = endpoint.to_string();
        let address = login.address.to_string();
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => Err(ConnectError::Cancelled),
            () = cx.deadline_passed() => Err(ConnectError::TimedOut { endpoint: name.clone() }),
            link = self.try_often(cx, &login, &name, host) => {
                Ok(SshSession::new(link?, address, self.settings.other.clone()))
            }
        }
    }

    fn login(&self, endpoint: &Endpoint) -> Result<Login, ConnectError> {
        let unsupported = |allowed: &str| ConnectError::Unsupported {
            endpoint: endpoint.to_string(),
            allowed: allowed.to_owned(),
        };
        let address = Address::of(endpoint).ok_or_else(|| unsupported(ALLOWED))?;
        let user = address.user.clone().or_else(|| self.settings.user.clone());
        let user = user.ok_or_else(|| unsupported("ssh://user@host, since no user is set,"))?;
        let Settings { methods, host_keys, .. } = &*self.settings;
        Ok(Login { address, user, methods: Arc::clone(methods), host_keys: host_keys.clone() })
    }

    /// Tries again what may pass, and reports it where it is known which host it is. No command has
    /// run yet.
    async fn try_often(
        &self,
        cx: &Context,
        login: &Login,
        endpoint: &str,
        host: Option<&HostName>,
    ) -> Result<Link, ConnectError> {
        let session = Arc::new(permit(&self.sessions).await);
        let mut attempt = 1;
        loop {
            let error = match self.try_once(cx, login, &session).await {
                Ok(link) => return Ok(link),
                Err(fault) => fault.at(endpoint),
            };
            let Some(pause) = retry::pause(&error, attempt, self.settings.limits.retries) else {
                return Err(error);
            };
            tracing::debug!(
                endpoint,
                attempt,
                error = &error as &dyn std::error::Error,
                "trying again"
            );
            if let Some(host) = host {
                let failure = Failure::from(&error).with_host(host.clone());
                let failure = failure.with_step(Step::Connect);
                cx.report(Fact::AttemptFailed { failure });
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn try_once(
        &self,
        cx: &Context,
        login: &Login,
        session: &Arc<OwnedSemaphorePermit>,
    ) -> Result<Link, Fault> {
        let _permit = permit(&self.connecting).await;
        self.route.open(cx.deadline, login, Arc::clone(session)).await
    }
}

#[async_trait]
impl Connector for SshConnector {
    async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError> {
        Ok(Box::new(self.reach(&cx, &target.endpoint, Some(&target.host)).await?))
    }
}

async fn permit(of: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(of).acquire_owned().await {
        Ok(permit) => permit,
        // Nobody closes it.
        Err(_) => std::future::pending().await,
    }
}
