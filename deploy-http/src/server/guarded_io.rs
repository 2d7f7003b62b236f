//! A connection that does not wait for ever: for a request to begin, for its head to end, for a
//! reader to read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a connection may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the head of a request, from its first byte on.
    pub(super) header: Duration,
    /// For a request to begin, and for the peer to take what is sent.
    pub(super) idle: Duration,
}

/// How many requests began and ended on a connection. hyper has one timeout for waiting and for the
/// head together; with these the two are told apart.
#[derive(Debug, Default)]
pub(super) struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Activity {
    /// Says that a request began; it ends when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> RequestGuard {
        self.begun.fetch_add(1, Ordering::Relaxed);
        RequestGuard(Arc::clone(self))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<Activity>);

impl RequestGuard {
    /// Makes the request last as long as its answer's body.
    pub(super) fn attach(self, response: Response<Body>) -> Response<GuardedBody> {
        response.map(|body| GuardedBody { body, _request: self })
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A body that holds on to its request.
#[derive(Debug)]
pub(super) struct GuardedBody {
    body: Body,
    _request: RequestGuard,
}

impl hyper::body::Body for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection with patience.
#[derive(Debug)]
pub(super) struct GuardedIo<S> {
    stream: S,
    patience: Patience,
    activity: Arc<Activity>,
    requests_ended: u64,
    idle_since: Instant,
    head_since: Option<Instant>,
    reading: Timer,
    writing: Timer,
}

impl<S> GuardedIo<S> {
    pub(super) fn new(stream: S, patience: Patience, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            patience,
            activity,
            requests_ended: 0,
            idle_since: Instant::now(),
            head_since: None,
            reading: Timer::default(),
            writing: Timer::default(),
        }
    }

    /// When the next byte must be there; `None` while a request is answered.
    fn read_deadline(&mut self) -> Option<Instant> {
        let ended = self.activity.ended.load(Ordering::Relaxed);
        if ended != self.requests_ended {
            self.requests_ended = ended;
            self.idle_since = Instant::now();
            self.head_since = None;
        }
        if self.activity.begun.load(Ordering::Relaxed) > ended {
            return None;
        }
        Some(match self.head_since {
            Some(since) => since + self.patience.header,
            None => self.idle_since + self.patience.idle,
        })
    }

    /// Gives up a write that made no progress for too long.
    fn check_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing.clear();
            return written;
        }
        let deadline = self.writing.deadline();
        let deadline = deadline.unwrap_or_else(|| Instant::now() + self.patience.idle);
        self.writing.poll(cx, deadline)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(deadline) = self.read_deadline() else {
            return read;
        };
        if read.is_ready() {
            self.head_since.get_or_insert_with(Instant::now);
            return read;
        }
        self.reading.poll(cx, deadline)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.check_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.check_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // With TLS, what was written may still be on its way.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.check_write(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.check_write(cx, shut_down)
    }
}

/// A timer that is set anew only when its time changes.
#[derive(Debug, Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn deadline(&self) -> Option<Instant> {
        self.0.as_ref().map(|sleep| sleep.deadline())
    }

    fn clear(&mut self) {
        self.0 = None;
    }

    /// Fails once the time has come.
    fn poll<T>(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<io::Result<T>> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}
