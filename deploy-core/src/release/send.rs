//! Sending a package to the host, as fast as the host takes it.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::buffer::spare_capacity;

use crate::failure::{Failure, FailureCode};
use crate::pipe::PipeWriter;
use crate::release_step::Step;
use crate::verifier::VerifiedPackage;

/// How much is sent at once, in bytes: several of SSH's packets, since each chunk wakes threads of ours
/// on its way, and little when many hosts are sent to.
const CHUNK: u64 = 128 * 1024;

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
        let read = tokio::task::spawn_blocking(move || read(&file, at, length));
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

/// Reads so many bytes. What is read over is not cleared before.
fn read(file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(length);
    while chunk.len() < length {
        let from = at + chunk.len() as u64;
        if rustix::io::pread(file, spare_capacity(&mut chunk), from)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    chunk.truncate(length);
    Ok(chunk)
}

fn unreadable(reason: &str) -> Failure {
    let message = format!("the package could not be read: {reason}");
    Failure::new(FailureCode::Storage, message).with_step(Step::Transfer)
}
