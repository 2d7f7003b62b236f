//! What counts for all hosts of an inventory: read once, with everything that is wrong with it.

use std::fs::File;
use std::path::{Path, PathBuf};

use deploy_core::inventory::{SshSecrets, SshSettings};
use deploy_core::model::HostName;
use deploy_core::{Inventory, Secret};

use super::error::{Faults, SshFaultKind};
use super::options::SshOptions;
use crate::known_hosts::KnownHosts;
use crate::ssh_config::{LocalUser, SshConfig};

/// What counts for all hosts.
#[derive(Debug)]
pub(super) struct Shared {
    /// The table, with what the options say in its place.
    pub(super) settings: SshSettings,
    pub(super) secrets: SshSecrets,
    /// The ssh config: one that says nothing where none is named, none where it cannot be used.
    pub(super) config: Option<SshConfig>,
    /// What the table's files know.
    pub(super) known: KnownHosts,
}

impl Shared {
    /// Reads it. What cannot be read is left out, and stands in the faults.
    pub(super) fn read(inventory: &Inventory, options: &SshOptions, faults: &mut Faults) -> Self {
        let mut settings = inventory.ssh().cloned().unwrap_or_default();
        if !options.identities.is_empty() {
            settings.identities.clone_from(&options.identities);
        }
        if !options.known_hosts.is_empty() {
            settings.known_hosts.clone_from(&options.known_hosts);
        }
        let secrets = secrets(&settings, faults);
        check_keys(None, &settings.identities, faults);
        let known = known_hosts(&settings.known_hosts, faults);
        let config = config(settings.config.as_deref(), options.local_user.as_ref(), faults);
        Self { settings, secrets, config, known }
    }

    /// The host that a fault is about: without an ssh config, nothing differs from host to host.
    pub(super) fn about<'a>(&self, host: &'a HostName) -> Option<&'a HostName> {
        self.settings.config.is_some().then_some(host)
    }
}

/// Reads the files of secrets, all of them also when one cannot be read.
fn secrets(settings: &SshSettings, faults: &mut Faults) -> SshSecrets {
    let mut secret = |set: &dyn Fn(&mut SshSettings), get: fn(SshSecrets) -> Option<Secret>| {
        let mut one = SshSettings::default();
        set(&mut one);
        let read = one.secrets().map_err(|error| faults.add(None, SshFaultKind::Secret(error)));
        read.ok().and_then(get)
    };
    let mut secrets = SshSecrets::default();
    secrets.passphrase =
        secret(&|one| one.passphrase_file.clone_from(&settings.passphrase_file), |s| s.passphrase);
    secrets.password =
        secret(&|one| one.password_file.clone_from(&settings.password_file), |s| s.password);
    secrets.su_password =
        secret(&|one| one.su_password_file.clone_from(&settings.su_password_file), |s| {
            s.su_password
        });
    secrets.sudo_password =
        secret(&|one| one.sudo_password_file.clone_from(&settings.sudo_password_file), |s| {
            s.sudo_password
        });
    secrets
}

/// Sees whether the files of private keys can be read, before a host is asked for anything.
pub(super) fn check_keys(host: Option<&HostName>, paths: &[PathBuf], faults: &mut Faults) {
    for path in paths {
        if let Err(source) = File::open(path) {
            faults.add(host, SshFaultKind::Key { path: path.clone(), source });
        }
    }
}

/// Reads files of known hosts. Where one is damaged, nothing is known, and the faults say why.
pub(super) fn known_hosts(paths: &[PathBuf], faults: &mut Faults) -> KnownHosts {
    KnownHosts::load_all(paths).unwrap_or_else(|errors| {
        for error in errors {
            faults.add(None, SshFaultKind::KnownHosts(error));
        }
        KnownHosts::new()
    })
}

fn config(
    path: Option<&Path>,
    local: Option<&LocalUser>,
    faults: &mut Faults,
) -> Option<SshConfig> {
    let read = match (path, local) {
        (Some(path), Some(local)) => SshConfig::load(path, local.clone()),
        (Some(_), None) => {
            faults.add(None, SshFaultKind::NoLocalUser);
            return None;
        }
        (None, _) => SshConfig::parse(b"", LocalUser::new("", "")),
    };
    read.map_err(|error| faults.add(None, SshFaultKind::Config(error))).ok()
}
