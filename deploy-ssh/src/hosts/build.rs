//! Building a connector: the one place where settings become one.

use std::path::{Path, PathBuf};

use deploy_core::inventory::SshSecrets;
use deploy_core::model::Endpoint;

use super::keys::Keys;
use super::shared::Shared;
use crate::auth::Auth;
use crate::builder::BuildError;
use crate::connector::SshConnector;
use crate::host_keys::HostKeys;
use crate::jump::JumpHost;
use crate::other_user::Become;

/// What hosts have in common whose connections share one connector, and so its limits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Common {
    pub(super) identities: Vec<PathBuf>,
    pub(super) agent: Option<PathBuf>,
    pub(super) keys: Keys,
    pub(super) jumps: Vec<Jump>,
}

/// A host to go through, with what the ssh config has for it alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Jump {
    pub(super) endpoint: Endpoint,
    pub(super) identities: Vec<PathBuf>,
    pub(super) keys: Option<Keys>,
}

/// Builds it.
pub(super) fn build(shared: &Shared, common: &Common) -> Result<SshConnector, BuildError> {
    let Shared { settings, secrets, .. } = shared;
    let mut builder = SshConnector::builder().host_keys(HostKeys::new(common.keys.clone()));
    for path in &common.identities {
        builder = builder.auth(key_file(path, secrets));
    }
    if let Some(agent) = &common.agent {
        builder = builder.auth(Auth::agent(agent));
    }
    if let Some(password) = &secrets.password {
        builder = builder
            .auth(Auth::password(password.clone()))
            .auth(Auth::interactive_password(password.clone()));
    }
    let others = [
        (settings.sudo.as_deref().map(Become::sudo), &secrets.sudo_password),
        (settings.su.as_deref().map(Become::su), &secrets.su_password),
    ];
    // An inventory that was read names one of them at most.
    for (other, password) in others {
        let Some(other) = other else { continue };
        builder = builder.run_as(match password {
            Some(password) => other.with_password(password.clone()),
            None => other,
        });
    }
    for Jump { endpoint, identities, keys } in &common.jumps {
        // What is not set for it is as it is set for the hosts.
        let mut jump = JumpHost::new(endpoint.clone());
        for path in identities {
            jump = jump.auth(key_file(path, secrets));
        }
        if let Some(keys) = keys {
            jump = jump.host_keys(HostKeys::new(keys.clone()));
        }
        builder = builder.jump(jump);
    }
    builder.build()
}

fn key_file(path: &Path, secrets: &SshSecrets) -> Auth {
    match &secrets.passphrase {
        Some(passphrase) => Auth::encrypted_key_file(path, passphrase.clone()),
        None => Auth::key_file(path),
    }
}
