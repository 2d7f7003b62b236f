//! A host of the fleet: how it is reached, what it has seen, and how it is made to fail.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use deploy_core::model::{Endpoint, HostAddress, HostName, HostPath, Target};
use rustix::process::Signal;

use super::disk::Disk;
use super::door::{Door, Mode};
use super::{keys, processes};

const VALID: &str = "a fleet has valid names and paths";

/// A host of a fleet: a real sshd, and a directory that stands for its file system.
///
/// The methods that make it fail take effect at once, also for connections that are open where that
/// is said. They panic when the system refuses them what they need, and say what that is.
#[derive(Debug)]
pub struct SshHost {
    // First of all the connections end, then what they started, then the disk goes.
    pub(super) door: Door,
    pub(super) running: Running,
    pub(super) disk: Option<Disk>,
    pub(super) name: HostName,
    pub(super) user: String,
    pub(super) directory: PathBuf,
    pub(super) key: PathBuf,
    pub(super) public_key: String,
    pub(super) log: PathBuf,
    pub(super) known_hosts: PathBuf,
}

/// What runs on a host, killed on drop.
#[derive(Debug)]
pub(super) struct Running(pub(super) PathBuf);

impl Drop for Running {
    fn drop(&mut self) {
        processes::signal_all(Signal::KILL, || processes::on_host(&self.0));
    }
}

impl SshHost {
    /// Its name: `host-1` and so on.
    #[must_use]
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// Where its sshd listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// How it is reached: `ssh://user@127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint_as(&self.user)
    }

    /// How it is reached by another user.
    #[must_use]
    pub fn endpoint_as(&self, user: &str) -> Endpoint {
        self.endpoint_at(user, self.address())
    }

    /// How it is reached through something between, such as a [`FaultProxy`](crate::FaultProxy):
    /// known_hosts knows the host's key there from now on.
    #[must_use]
    pub fn through(&self, between: SocketAddr) -> Endpoint {
        self.make_known(between);
        self.endpoint_at(&self.user, between)
    }

    fn endpoint_at(&self, user: &str, address: SocketAddr) -> Endpoint {
        Endpoint::new(&format!("ssh://{user}@{address}")).expect(VALID)
    }

    /// Adds its key to known_hosts, as the one to expect at an address.
    pub(super) fn make_known(&self, at: SocketAddr) {
        let line = format!("[{}]:{} {}\n", at.ip(), at.port(), self.public_key);
        let file = fs::OpenOptions::new().append(true).create(true).open(&self.known_hosts);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.unwrap_or_else(|error| panic!("known_hosts cannot be written: {error}"));
    }

    /// The directory that stands for its file system. All hosts share the machine's: nothing keeps
    /// a command inside.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The host as a target whose releases live at a path below its directory, such as `/srv/app`.
    ///
    /// # Panics
    ///
    /// When the path is not a plain absolute one.
    #[must_use]
    pub fn target(&self, path: &str) -> Target {
        self.target_at(self.endpoint(), path)
    }

    /// The host as a target, reached by an endpoint of the test's choice.
    ///
    /// # Panics
    ///
    /// When the path is not a plain absolute one.
    #[must_use]
    pub fn target_at(&self, endpoint: Endpoint, path: &str) -> Target {
        let address = HostAddress::new("127.0.0.1").expect(VALID);
        let root = HostPath::new(format!("{}{path}", self.directory.display())).expect(VALID);
        Target::new(self.name.clone(), address, endpoint, root)
    }

    /// The fingerprint of the key that it shows: `SHA256:…`.
    ///
    /// # Panics
    ///
    /// When ssh-keygen fails.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        keys::fingerprint(&self.key).unwrap_or_else(|error| panic!("{error}"))
    }

    /// How many connections it has accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.door.connections()
    }

    /// How many logins it has let in.
    #[must_use]
    pub fn logins(&self) -> usize {
        let accepted =
            |line: &&str| line.starts_with("Accepted ") && !line.starts_with("Accepted key ");
        self.log().lines().filter(accepted).count()
    }

    /// What its sshd's have logged.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The ids of the processes that run on the host beside its sshd's.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        processes::on_host(&self.running.0).into_iter().collect()
    }

    /// Undoes [`down`](Self::down), [`hang`](Self::hang) and [`freeze`](Self::freeze). Connections
    /// that were accepted meanwhile are served now.
    ///
    /// # Panics
    ///
    /// When another program has taken the port of a host that was down.
    pub fn up(&self) {
        self.door.signal(Signal::CONT);
        let up = self.door.set(Mode::Serving);
        up.unwrap_or_else(|error| panic!("{} cannot come up again: {error}", self.name));
    }

    /// Refuses connections. Those that are open live on.
    pub fn down(&self) {
        self.set(Mode::Down);
    }

    /// Accepts connections and says nothing. Those that are open live on.
    pub fn hang(&self) {
        self.set(Mode::Silent);
    }

    /// Stops its sshd's where they are, as a frozen machine would; new connections are accepted and
    /// hear nothing.
    pub fn freeze(&self) {
        self.set(Mode::Silent);
        self.door.signal(Signal::STOP);
    }

    fn set(&self, mode: Mode) {
        self.door.set(mode).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Kills the sshd's of all open connections with -9.
    pub fn kill_sessions(&self) {
        self.door.signal(Signal::KILL);
    }

    /// Gives it another key. known_hosts goes on to name the old one.
    ///
    /// # Panics
    ///
    /// When ssh-keygen fails.
    pub fn swap_key(&self) {
        keys::make(&self.key).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Makes the host's disk read-only, or writable again. It takes
    /// [`SshFleetBuilder::disk`](crate::SshFleetBuilder::disk).
    ///
    /// # Panics
    ///
    /// When it has no disk of its own.
    pub fn read_only(&self, yes: bool) {
        let disk = self.disk.as_ref().expect("the fleet was built with a disk");
        disk.read_only(yes).unwrap_or_else(|error| panic!("{error}"));
    }
}
