//! Building a connector, and what must be said for it.

use std::sync::Arc;
use std::time::Duration;

use crate::address::{ALLOWED, Address};
use crate::auth::Auth;
use crate::connector::{Settings, SshConnector};
use crate::host_keys::HostKeys;
use crate::jump::JumpHost;
use crate::limits::Limits;
use crate::other_user::Become;
use crate::transport::Login;

/// Builds an [`SshConnector`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SshConnectorBuilder {
    user: Option<String>,
    methods: Vec<Auth>,
    host_keys: Option<HostKeys>,
    other: Option<Become>,
    jumps: Vec<JumpHost>,
    limits: Limits,
}

/// Why there is no connector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Nobody said how the keys of hosts are judged.
    #[error("no host keys are set: a host must be known before it is trusted")]
    NoHostKeys,
    /// Nobody said how to log in.
    #[error("no way to log in is set")]
    NoAuth,
    /// A value cannot be.
    #[error("{what} cannot be so: {allowed}")]
    Invalid {
        /// What it is.
        what: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl SshConnectorBuilder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets how the keys of hosts are judged. It must be said.
    pub fn host_keys(mut self, host_keys: HostKeys) -> Self {
        self.host_keys = Some(host_keys);
        self
    }

    /// Adds a way to log in, which is tried after those that were added before. One must be said.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.methods.push(auth);
        self
    }

    /// Sets who logs in where the endpoint does not say it. By default nobody: it must say it.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Runs scripts as another user than the one who logs in. By default as that one.
    pub fn run_as(mut self, other: Become) -> Self {
        self.other = Some(other);
        self
    }

    /// Adds a jump host: hosts are reached through it, and it through the one that was added before it.
    /// Its session is shared by all hosts behind it.
    pub fn jump(mut self, jump: JumpHost) -> Self {
        self.jumps.push(jump);
        self
    }

    /// Sets how long each address of a host may take to accept a connection: 10 s by default, in which
    /// two lost packets have been sent again.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.limits.connect = time;
        self
    }

    /// Sets how long the handshake and the login may take together: 30 s by default, because a loaded
    /// host needs seconds for them.
    pub fn login_timeout(mut self, time: Duration) -> Self {
        self.limits.login = time;
        self
    }

    /// Sets after which silence a host is given up while commands run: 60 s by default, in which it was
    /// asked four times whether it is there. At least 4 s.
    pub fn silence_timeout(mut self, time: Duration) -> Self {
        self.limits.liveness.silent_for = time;
        self.limits.liveness.ask_every = time / 4;
        self
    }

    /// Sets how many connections are being opened at once, from the TCP connect to the end of the login: 30
    /// by default, because more only wait for this side's processor and run into timeouts.
    pub fn max_connecting(mut self, number: usize) -> Self {
        self.limits.connecting = number;
        self
    }

    /// Sets how many sessions are open at once: 500 by default, which 1,024 descriptors and 170 MB allow.
    /// Others wait for their turn.
    pub fn max_sessions(mut self, number: usize) -> Self {
        self.limits.sessions = number;
        self
    }

    /// Sets how often a host that could not be reached is tried again: twice by default, after about 0.5 s
    /// and 1 s, for a host that restarts its network or its sshd. A refusal is never tried again.
    pub fn retries(mut self, number: u32) -> Self {
        self.limits.retries = number;
        self
    }

    /// Builds the connector.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when something that must be said was not, or cannot be.
    pub fn build(self) -> Result<SshConnector, BuildError> {
        let host_keys = self.host_keys.ok_or(BuildError::NoHostKeys)?;
        if self.methods.is_empty() {
            return Err(BuildError::NoAuth);
        }
        let invalid = |what, allowed| Err(BuildError::Invalid { what, allowed });
        if let Some(allowed) = self.other.as_ref().and_then(Become::fault) {
            return invalid("the other user", allowed);
        }
        let limits = self.limits;
        if limits.connecting == 0 || limits.sessions == 0 {
            return invalid("a number of connections", "it is 1 at least");
        }
        let times = [limits.connect, limits.login];
        if times.iter().any(Duration::is_zero) || limits.liveness.ask_every.as_secs() == 0 {
            return invalid("a timeout", "it is not 0, and silence lasts 4 s at least");
        }
        let methods: Arc<[_]> = self.methods.into_iter().map(|auth| auth.0).collect();
        let mut jumps = Vec::new();
        for jump in self.jumps {
            let Some(address) = Address::of(&jump.endpoint) else {
                return invalid("a jump host", ALLOWED);
            };
            let Some(user) = address.user.clone().or_else(|| self.user.clone()) else {
                return invalid("a jump host", "it says which user logs in, or the connector does");
            };
            let own: Arc<[_]> = jump.methods.into_iter().map(|auth| auth.0).collect();
            jumps.push(Login {
                address,
                user,
                methods: if own.is_empty() { Arc::clone(&methods) } else { own },
                host_keys: jump.host_keys.unwrap_or_else(|| host_keys.clone()),
            });
        }
        Ok(SshConnector::with(Settings {
            user: self.user,
            methods,
            host_keys,
            other: self.other,
            jumps,
            limits,
        }))
    }
}

#[cfg(test)]
mod tests {
    use deploy_core::Secret;

    use super::*;

    fn whole() -> SshConnectorBuilder {
        SshConnector::builder()
            .host_keys(HostKeys::danger_accept_any())
            .auth(Auth::password(Secret::new("canary")))
    }

    #[test]
    fn what_must_be_said_has_no_default() {
        let keys = SshConnector::builder().host_keys(HostKeys::danger_accept_any());
        assert_eq!(keys.build().unwrap_err(), BuildError::NoAuth);
        let auth = SshConnector::builder().auth(Auth::agent("/agent"));
        assert_eq!(auth.build().unwrap_err(), BuildError::NoHostKeys);
        assert!(whole().build().is_ok());
    }

    #[test]
    fn impossible_values_are_refused() {
        for bad in [
            whole().max_connecting(0),
            whole().max_sessions(0),
            whole().connect_timeout(Duration::ZERO),
            whole().login_timeout(Duration::ZERO),
            whole().silence_timeout(Duration::from_secs(3)),
            whole().run_as(Become::sudo("a b")),
            whole().run_as(Become::su("-c")),
        ] {
            assert!(matches!(bad.build(), Err(BuildError::Invalid { .. })));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let builder = whole().run_as(Become::sudo("x").with_password(Secret::new("canary")));
        let shown = format!("{builder:?} {:?}", builder.clone().build());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
