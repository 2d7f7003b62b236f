//! Building a fleet: its keys, its configuration, its hosts.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::config::SshdConfig;
use super::disk::Disk;
use super::door::{Door, Start};
use super::fleet::SshFleet;
use super::host::{Running, SshHost};
use super::login::{FleetUser, Masks};
use super::{keys, tools};
use crate::samples;

/// Builds a fleet whose hosts are not the plain ones.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SshFleetBuilder {
    extra: Vec<String>,
    shell: Option<PathBuf>,
    users: Vec<FleetUser>,
    disk: Option<u64>,
}

impl SshFleetBuilder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a line to sshd_config. It comes before ours, so that it counts.
    pub fn sshd_config(mut self, line: impl Into<String>) -> Self {
        self.extra.push(line.into());
        self
    }

    /// Sets the login shell, such as `/bin/dash` or `/bin/busybox`. Unless it is the user's own,
    /// this takes root.
    pub fn login_shell(mut self, path: impl Into<PathBuf>) -> Self {
        self.shell = Some(path.into());
        self
    }

    /// Adds a user, which [`SshHost::endpoint_as`] reaches. It takes root.
    pub fn user(mut self, user: FleetUser) -> Self {
        self.users.push(user);
        self
    }

    /// Gives each host a disk of so many bytes, which it can fill. It takes root.
    pub fn disk(mut self, bytes: u64) -> Self {
        self.disk = Some(bytes);
        self
    }

    /// Starts so many hosts.
    ///
    /// # Errors
    ///
    /// When something of the system is missing, or may not be done; the message says what to do.
    pub fn start(self, hosts: usize) -> io::Result<SshFleet> {
        let sshd = tools::sshd()?;
        if tools::is_root() {
            fs::create_dir_all("/run/sshd")?;
        }
        let me = tools::run("coreutils", Command::new("id").arg("-un"), "")?.trim().to_owned();
        let dir = tempfile::Builder::new().prefix("ssh-fleet.").tempdir()?;
        if !self.users.is_empty() {
            // Other users pass through it.
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        }
        let identity = dir.path().join("identity");
        let public = keys::make(&identity)?;
        fs::write(dir.path().join("authorized_keys"), public + "\n")?;
        let known_hosts = dir.path().join("known_hosts");
        fs::write(&known_hosts, "")?;
        let mut fleet = SshFleet { hosts: Vec::with_capacity(hosts), identity, known_hosts, dir };
        for number in 1..=hosts {
            let host = self.host(&fleet, number, &sshd, &me)?;
            host.make_known(host.address());
            fleet.hosts.push(host);
        }
        Ok(fleet)
    }

    fn host(&self, fleet: &SshFleet, number: usize, sshd: &Path, me: &str) -> io::Result<SshHost> {
        let name = samples::host(number);
        let base = fleet.dir.path().join(name.as_str());
        let (home, directory) = (base.join("home"), base.join("files"));
        for new in [&base, &home, &directory] {
            fs::create_dir(new)?;
        }
        if !self.users.is_empty() {
            for open in [&home, &directory] {
                fs::set_permissions(open, fs::Permissions::from_mode(0o777))?;
            }
        }
        let (key, config, log) = (base.join("key"), base.join("config"), base.join("log"));
        let public_key = keys::make(&key)?;
        let mut users = vec![me];
        users.extend(self.users.iter().map(FleetUser::name));
        let text = SshdConfig {
            extra: &self.extra,
            host_key: &key,
            authorized_keys: &fleet.dir.path().join("authorized_keys"),
            home: &home,
            mark: &base,
            users: &users,
            passwords: self.users.iter().any(FleetUser::has_password),
        };
        fs::write(&config, text.text())?;
        let disk = self.disk.map(|bytes| Disk::mount(&directory, bytes)).transpose()?;
        let masks = Masks::make(&base, me, self.shell.as_deref(), &self.users)?;
        let start = Start { masks, sshd: sshd.to_owned(), config, log: log.clone() };
        Ok(SshHost {
            door: Door::open(start)?,
            running: Running(base),
            disk,
            name,
            user: me.to_owned(),
            directory,
            key,
            public_key,
            log,
            known_hosts: fleet.known_hosts.clone(),
        })
    }
}
