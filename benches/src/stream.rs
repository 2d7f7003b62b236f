//! A long stream through one connection: `cat | ssh`, and a session of ours.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use deploy_core::model::{Endpoint, TaskId};
use deploy_core::{CommandIo, Context, Exit, Session as _, pipe};
use deploy_testkit::SshFleet;

use crate::ours::connector;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What both do, in words.
#[derive(Clone, Debug)]
pub struct Stream {
    file: PathBuf,
    pins: PathBuf,
    identity: PathBuf,
    known_hosts: PathBuf,
    endpoint: Endpoint,
}

impl Stream {
    /// Writes a file of so many MiB that nothing makes smaller, for the first host of a fleet, which is
    /// reached by an endpoint.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn new(
        fleet: &SshFleet,
        endpoint: Endpoint,
        directory: &Path,
        mib: u64,
    ) -> Result<Self, AnyError> {
        let (file, pins) = (directory.join("bytes"), directory.join("pins"));
        let mut random = std::fs::File::open("/dev/urandom")?.take(mib << 20);
        std::io::copy(&mut random, &mut std::fs::File::create(&file)?)?;
        let host = fleet.hosts().first().ok_or("a fleet has a host")?;
        std::fs::write(&pins, host.fingerprint())?;
        Ok(Self {
            file,
            pins,
            identity: fleet.identity().to_owned(),
            known_hosts: fleet.known_hosts().to_owned(),
            endpoint,
        })
    }

    /// The words of `sh`.
    #[must_use]
    pub fn floor_words(&self) -> Vec<String> {
        let script = format!(
            "cat '{}' | ssh -F none -o BatchMode=yes -o KexAlgorithms=curve25519-sha256 \
                -o Ciphers=aes128-gcm@openssh.com -o UserKnownHostsFile='{}' -i '{}' {} \
                'cat >/dev/null'",
            self.file.display(),
            self.known_hosts.display(),
            self.identity.display(),
            self.endpoint
        );
        vec!["-c".to_owned(), script]
    }

    /// The words for [`run`].
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let endpoint = self.endpoint.to_string();
        let words = [path(&self.file), endpoint, path(&self.pins), path(&self.identity)];
        ["stream".to_owned()].into_iter().chain(words).collect()
    }
}

/// Streams a file into a command on a host.
///
/// # Errors
///
/// When the file cannot be read, the host cannot be reached, or the command fails.
pub async fn run(file: &str, endpoint: &str, pins: &str, identity: &str) -> Result<(), AnyError> {
    let connector = connector(&std::fs::read_to_string(pins)?, identity)?;
    let cx = Context::new(TaskId::new("stream")?);
    let session = connector.open(&cx, &endpoint.parse()?).await?;
    let (to, stdin) = pipe(8);
    let (stdout, _said) = pipe(8);
    let (stderr, _complained) = pipe(8);
    let mut file = std::fs::File::open(file)?;
    let feeding = tokio::task::spawn_blocking(move || -> Result<(), AnyError> {
        loop {
            let mut chunk = Vec::with_capacity(256 * 1024);
            if file.by_ref().take(256 * 1024).read_to_end(&mut chunk)? == 0 {
                return Ok(());
            }
            to.blocking_write(chunk)?;
        }
    });
    let io = CommandIo::new(stdin, stdout, stderr);
    let exit = session.run(cx, "cat >/dev/null".to_owned(), io).await?;
    feeding.await??;
    if exit == Exit::Exited(0) { Ok(()) } else { Err(format!("it ended with {exit:?}").into()) }
}
