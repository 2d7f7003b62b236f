//! Writing a stream to disk and hashing it on the way, on three threads.

use std::fs::File;
use std::io::{self, Write};
use std::thread;

use bytes::Bytes;
use deploy_core::model::{Md5Digest, Md5Hasher, PackageDigests, Sha256Digest, Sha256Hasher};
use tokio::sync::{mpsc, oneshot};

use super::store::Partial;

/// How many chunks wait for a thread at most. A chunk has at most about 400 KiB, the size to which
/// hyper's read buffer grows, so that a stream needs at most about 4 MiB.
const WAITING: usize = 8;

/// After how many bytes the written ones are sent to the disk, so that the end need not wait for
/// them all.
const SYNC_EVERY: u64 = 64 * 1024 * 1024;

/// A stream on its way to a file. MD5 is the slowest part; the SHA-256 and the writing go on beside
/// it, so that all three together take as long as the MD5 alone.
#[derive(Debug)]
pub(super) struct Spool {
    partial: Partial,
    md5: Worker<Md5Digest>,
    sha256: Worker<Sha256Digest>,
    writer: Worker<io::Result<()>>,
    size: u64,
}

impl Spool {
    /// Begins with no bytes.
    pub(super) fn new(partial: Partial) -> io::Result<Self> {
        let file = partial.writer()?;
        Ok(Self {
            partial,
            md5: Worker::start("deploy-md5", |mut chunks| {
                let mut hasher = Md5Hasher::new();
                while let Some(chunk) = chunks.blocking_recv() {
                    hasher.update(&chunk);
                }
                hasher.finish()
            })?,
            sha256: Worker::start("deploy-sha256", |mut chunks| {
                let mut hasher = Sha256Hasher::new();
                while let Some(chunk) = chunks.blocking_recv() {
                    hasher.update(&chunk);
                }
                hasher.finish()
            })?,
            writer: Worker::start("deploy-write", |chunks| write(file, chunks))?,
            size: 0,
        })
    }

    /// How many bytes were taken.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes, once there is room. Not cancel safe: after it was dropped in the
    /// middle, the spool is of no use.
    pub(super) async fn take(&mut self, chunk: Bytes) -> io::Result<()> {
        self.size += chunk.len() as u64;
        if self.writer.chunks.send(chunk.clone()).await.is_err() {
            let stopped = || Err(io::Error::other("the writing thread stopped"));
            return self.writer.result().await.unwrap_or_else(stopped);
        }
        // The hashing threads end only after this side has.
        let _ = self.sha256.chunks.send(chunk.clone()).await;
        let _ = self.md5.chunks.send(chunk).await;
        Ok(())
    }

    /// Ends the stream: gives the file, on disk, and what its bytes are.
    pub(super) async fn finish(self) -> io::Result<(Partial, PackageDigests)> {
        let stopped = || io::Error::other("a hashing thread stopped");
        let md5 = self.md5.finish();
        let sha256 = self.sha256.finish();
        let writer = self.writer.finish();
        let (md5, sha256, written) = tokio::join!(md5, sha256, writer);
        written.unwrap_or_else(|| Err(io::Error::other("the writing thread stopped")))?;
        let md5 = md5.ok_or_else(stopped)?;
        let sha256 = sha256.ok_or_else(stopped)?;
        Ok((self.partial, PackageDigests::new(md5, sha256, self.size)))
    }
}

fn write(mut file: File, mut chunks: mpsc::Receiver<Bytes>) -> io::Result<()> {
    let mut unsynced = 0;
    while let Some(chunk) = chunks.blocking_recv() {
        file.write_all(&chunk)?;
        unsynced += chunk.len() as u64;
        if unsynced >= SYNC_EVERY {
            file.sync_data()?;
            unsynced = 0;
        }
    }
    file.sync_data()
}

/// A thread that eats chunks and gives one result when there are no more. Threads of our own,
/// because they wait for each other, which tasks of a bounded pool must not.
#[derive(Debug)]
struct Worker<T> {
    chunks: mpsc::Sender<Bytes>,
    result: oneshot::Receiver<T>,
}

impl<T: Send + 'static> Worker<T> {
    fn start(
        name: &str,
        work: impl FnOnce(mpsc::Receiver<Bytes>) -> T + Send + 'static,
    ) -> io::Result<Self> {
        let (chunks, receiver) = mpsc::channel(WAITING);
        let (answer, result) = oneshot::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Nobody waits for the result of an abandoned stream.
                let _ = answer.send(work(receiver));
            })?;
        Ok(Self { chunks, result })
    }

    async fn result(&mut self) -> Option<T> {
        (&mut self.result).await.ok()
    }

    async fn finish(self) -> Option<T> {
        drop(self.chunks);
        self.result.await.ok()
    }
}
