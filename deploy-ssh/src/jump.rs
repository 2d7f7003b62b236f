//! A jump host, through which others are reached.

use deploy_core::model::Endpoint;

use crate::auth::Auth;
use crate::host_keys::HostKeys;

/// A host through which others are reached. What is not set here is as it is set for the connector.
#[derive(Clone, Debug)]
pub struct JumpHost {
    pub(crate) endpoint: Endpoint,
    pub(crate) host_keys: Option<HostKeys>,
    pub(crate) methods: Vec<Auth>,
}

impl JumpHost {
    /// Names its endpoint: `ssh://[user@]host[:port]`.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, host_keys: None, methods: Vec::new() }
    }

    /// Sets how its key is judged.
    #[must_use]
    pub fn host_keys(mut self, host_keys: HostKeys) -> Self {
        self.host_keys = Some(host_keys);
        self
    }

    /// Adds a way to log in to it, which is tried after those that were added before.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.methods.push(auth);
        self
    }
}
