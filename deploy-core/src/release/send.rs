//! Sending a package to the host, as fast as the host takes it.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::failure::{Failure, FailureCode};
use crate::pipe::PipeWriter;
use crate::release_step::Step;
use crate::verifier::VerifiedPackage;

/// How much is sent at once, in bytes: several of SSH's packets, since each chunk wakes threads of ours
/// on its way, and little when many hosts are sent to.
const CHUNK: u64 = 256 * 1024;

/// Answers the host with the package's size and its bytes. A host that stops reading is no error
/// here: it says why itself. Cancel safety: dropping the future sends nothing more.
pub(crate) async fn send_package(
    package: &VerifiedPackage,
    stdin: &PipeWriter,
) -> Result<(), Failure> {
    let size = package.digests.size;
    let answer = format!("package {size}\n").into_bytes();
    if stdin.write(answer).await.is_err() {
        return Ok(());
    }
    let mut at = 0;
    while at < size {
        let length = usize::try_from(CHUNK.min(size - at)).unwrap_or(usize::MAX);
        let file = Arc::clone(&package.file);
        let read = tokio::task::spawn_blocking(move || -> io::Result<Vec<u8>> {
            let mut chunk = vec![0; length];
            file.read_exact_at(&mut chunk, at)?;
            Ok(chunk)
        });
        let chunk = match read.await {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(unreadable(&error.to_string())),
            Err(_) => return Err(unreadable("reading it panicked")),
        };
        if stdin.write(chunk).await.is_err() {
            return Ok(());
        }
        at += length as u64;
    }
    Ok(())
}

fn unreadable(reason: &str) -> Failure {
    let message = format!("the package could not be read: {reason}");
    Failure::new(FailureCode::Storage, message).with_step(Step::Transfer)
}
