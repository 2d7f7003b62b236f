//! Checking and unpacking a package in process, where our own code runs on the host.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::job::Bundle;
use super::state::Input;
use crate::archive::{self, ArchiveError, Interrupt, UnpackLimits};
use crate::failure::{Failure, FailureCode, Retry};
use crate::model::Digests;
use crate::release_step::Step;
use crate::verifier::VerifyError;

/// How much is hashed at once.
const CHUNK: usize = 256 * 1024;

/// A package and where it goes.
#[derive(Debug)]
pub(crate) struct Placing {
    pub(crate) bundle: Bundle,
    pub(crate) limits: UnpackLimits,
    pub(crate) into: PathBuf,
    pub(crate) interrupt: Interrupt,
}

impl Placing {
    /// Hashes the open file once more and unpacks it, in this thread. Gives word of both.
    pub(crate) fn run(&self, word: &mpsc::Sender<Input>) -> Result<(), Failure> {
        self.verify().map_err(|f| f.with_step(Step::Verify))?;
        // Nobody listens any more when the work was given up; unpacking finds the interrupt then.
        let _ = word.blocking_send(Input::Verified);
        self.unpack().map_err(|f| f.with_step(Step::Unpack))
    }

    fn verify(&self) -> Result<(), Failure> {
        let unreadable = |error: io::Error| {
            let error = VerifyError::Storage { source: error };
            Failure::of(FailureCode::Storage, &error)
        };
        let mut digests = Digests::new();
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        loop {
            if self.interrupt.is_raised() {
                return Err(interrupted());
            }
            match self.bundle.package.file.read_at(&mut buffer, at) {
                Ok(0) => break,
                Ok(read) => {
                    digests.update(&buffer[..read]);
                    at += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
        let (found, expected) = (digests.finish(), &self.bundle.package.digests);
        if found == *expected {
            return Ok(());
        }
        let message = format!(
            "the package has the SHA-256 {} now, and {} was verified",
            found.sha256, expected.sha256
        );
        Err(Failure::new(FailureCode::DigestMismatch, message).with_retry(Retry::Immediately))
    }

    fn unpack(&self) -> Result<(), Failure> {
        let found = archive::unpack(
            &self.bundle.package.file,
            &self.bundle.package.file_name,
            &self.into,
            &self.limits,
            &self.interrupt,
        )
        .map_err(|error| failure_of(&error))?;
        if found == self.bundle.contents {
            return Ok(());
        }
        let message = "the package holds something else than when it was inspected";
        Err(Failure::new(FailureCode::PackageRefused, message))
    }
}

fn interrupted() -> Failure {
    Failure::new(FailureCode::Cancelled, "cancelled")
}

/// What it means for a release that a package was refused or could not be unpacked.
pub(crate) fn failure_of(error: &ArchiveError) -> Failure {
    let code = match error {
        ArchiveError::Interrupted => return interrupted(),
        ArchiveError::Io { source, .. }
            if matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            FailureCode::HostFull
        }
        ArchiveError::Io { .. } => FailureCode::HostFailed,
        _ => FailureCode::PackageRefused,
    };
    Failure::of(code, error)
}
