//! Bounded byte streams between the parts that carry a command's input and output.

use tokio::sync::mpsc;

/// Makes a pipe that holds at most `chunks` chunks; a writer waits while it is full.
#[must_use]
pub fn pipe(chunks: usize) -> (PipeWriter, PipeReader) {
    let (sender, receiver) = mpsc::channel(chunks.max(1));
    (PipeWriter(sender), PipeReader(receiver))
}

/// The end into which bytes go. Dropping it, and its clones, ends the stream.
#[derive(Clone, Debug)]
pub struct PipeWriter(mpsc::Sender<Vec<u8>>);

impl PipeWriter {
    /// Writes a chunk, once there is room. Cancel safety: the chunk was written or was not.
    ///
    /// # Errors
    ///
    /// [`PipeClosed`] when nobody reads any more.
    pub async fn write(&self, chunk: Vec<u8>) -> Result<(), PipeClosed> {
        self.0.send(chunk).await.map_err(|_| PipeClosed)
    }

    /// Writes a chunk from a thread that may block.
    ///
    /// # Errors
    ///
    /// [`PipeClosed`] when nobody reads any more.
    ///
    /// # Panics
    ///
    /// When it is called from an async task.
    pub fn blocking_write(&self, chunk: Vec<u8>) -> Result<(), PipeClosed> {
        self.0.blocking_send(chunk).map_err(|_| PipeClosed)
    }

    /// Waits until nobody reads any more. Cancel safety: safe.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// The end from which bytes come. Dropping it closes the pipe.
#[derive(Debug)]
pub struct PipeReader(mpsc::Receiver<Vec<u8>>);

impl PipeReader {
    /// A stream that ends at once.
    #[must_use]
    pub fn empty() -> Self {
        pipe(1).1
    }

    /// The next chunk, or `None` at the end. Cancel safety: safe.
    pub async fn read(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await
    }

    /// The next chunk, or `None` at the end, from a thread that may block.
    ///
    /// # Panics
    ///
    /// When it is called from an async task.
    pub fn blocking_read(&mut self) -> Option<Vec<u8>> {
        self.0.blocking_recv()
    }
}

/// Nobody reads the pipe any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads the pipe any more")]
#[non_exhaustive]
pub struct PipeClosed;
