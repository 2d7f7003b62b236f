//! Our own accept loop: HTTP/1.1 with limits on connections and on patience.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use deploy_core::{CancelToken, MAX_DOCUMENT};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::guarded_io::{Activity, GuardedIo, Patience};
use super::peers::Peers;
use super::tls::ServerTls;

/// How a server speaks, and its limits.
///
/// ```
/// use std::time::Duration;
/// use deploy_http::ServeConfig;
///
/// let config = ServeConfig::new().with_idle_timeout(Duration::from_secs(30));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeConfig {
    /// TLS: none by default. Without it tokens travel in the clear, so that is for loopback, and
    /// behind a proxy that speaks it.
    pub tls: Option<ServerTls>,
    /// How long the head of a request may take to arrive, and the handshake of TLS: 10 s by default.
    /// Our heads have half a kilobyte.
    pub header_timeout: Duration,
    /// How long a connection may wait for the next request, and a peer may leave unread what it is
    /// sent: 60 s by default, longer than our client keeps one in its pool.
    pub idle_timeout: Duration,
    /// How many connections there are at most: 1,024 by default, which a process may usually open.
    /// Further ones wait to be accepted.
    pub max_connections: usize,
    /// How many connections one peer has at most: 64 by default. Further ones are closed at once. A
    /// control node has one for each task that it follows, and a few more.
    pub max_connections_per_peer: usize,
    /// How long a shutdown waits for requests that are being answered: 10 s by default. Event streams
    /// that still run are cut off then; their readers come back.
    pub shutdown_grace: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            tls: None,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_connections: 1024,
            max_connections_per_peer: 64,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl ServeConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Speaks TLS, and nothing else.
    #[must_use]
    pub fn with_tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets how long the head of a request may take to arrive, and the handshake of TLS.
    #[must_use]
    pub fn with_header_timeout(mut self, timeout: Duration) -> Self {
        self.header_timeout = timeout;
        self
    }

    /// Sets how long a connection may wait, and a peer may leave unread what it is sent.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets how many connections there are at most.
    #[must_use]
    pub fn with_max_connections(mut self, most: usize) -> Self {
        self.max_connections = most;
        self
    }

    /// Sets how many connections one peer has at most.
    #[must_use]
    pub fn with_max_connections_per_peer(mut self, most: usize) -> Self {
        self.max_connections_per_peer = most;
        self
    }

    /// Sets how long a shutdown waits for requests that are being answered.
    #[must_use]
    pub fn with_shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }
}

/// Serves a router until `shutdown` is cancelled: then nothing new is accepted, requests that are
/// being answered are finished within the grace, and the rest is cut off.
///
/// HTTP/1.1 only. Cancel safety: dropping the future cuts off every connection.
///
/// # Errors
///
/// None so far: a failed `accept` is tried again, because it means too many open files or a peer
/// that went away.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: ServeConfig,
    shutdown: CancelToken,
) -> io::Result<()> {
    /// After a failed `accept`, so that a lack of files does not become a busy loop.
    const PAUSE: Duration = Duration::from_millis(100);
    let places = Arc::new(Semaphore::new(config.max_connections.max(1)));
    let peers = Peers::default();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(target: "deploy", %error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(counted) = peers.admit(peer.ip(), config.max_connections_per_peer) else {
            tracing::warn!(target: "deploy", %peer, "a peer has too many connections");
            continue;
        };
        let (router, config, shutdown) = (router.clone(), config.clone(), shutdown.clone());
        connections.spawn(async move {
            connection(stream, router, &config, &shutdown).await;
            drop((place, counted));
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Waits for a free place first, and for a connection then.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, impl Drop + Send + 'static)> {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Events are small, and somebody waits for each.
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

/// Shakes hands, where TLS is spoken, and serves the connection.
async fn connection(
    stream: TcpStream,
    router: Router,
    config: &ServeConfig,
    shutdown: &CancelToken,
) {
    let Some(tls) = &config.tls else {
        return requests(stream, router, config, shutdown).await;
    };
    let handshake = async {
        match tls.acceptor().accept(stream).into_fallible().await {
            Ok(stream) => Some(stream),
            Err((error, stream)) => {
                tracing::debug!(target: "deploy", %error, "a TLS handshake failed");
                let_hear(stream).await;
                None
            }
        }
    };
    let stream = tokio::select! {
        stream = tokio::time::timeout(config.header_timeout, handshake) => stream,
        () = shutdown.cancelled() => return,
    };
    if let Ok(Some(stream)) = stream {
        requests(stream, router, config, shutdown).await;
    }
}

/// Closes a connection whose handshake failed so that the peer hears why: what it has sent meanwhile
/// is read, because the system would otherwise cut it off at once.
async fn let_hear(mut stream: TcpStream) {
    /// A client sends a request right behind its handshake, and TLS adds little to that.
    const MOST: usize = 2 * MAX_DOCUMENT;
    let (mut piece, mut read) = ([0; 4096], 0);
    let _ = stream.shutdown().await;
    while read < MOST
        && let Ok(count @ 1..) = stream.read(&mut piece).await
    {
        read += count;
    }
}

/// Serves the requests of a connection.
async fn requests(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    router: Router,
    config: &ServeConfig,
    shutdown: &CancelToken,
) {
    let activity = Arc::new(Activity::default());
    let patience = Patience { header: config.header_timeout, idle: config.idle_timeout };
    let io = TokioIo::new(GuardedIo::new(stream, patience, Arc::clone(&activity)));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        let guard = activity.begin();
        let answer = router.call(request);
        async move { answer.await.map(|response| guard.attach(response)) }
    });
    let serving = http1::Builder::new()
        // Enough for any head, and all the memory that a peer can make us hold without a token.
        .max_buf_size(32 * 1024)
        .serve_connection(io, service);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(config.shutdown_grace, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(target: "deploy", %error, "a connection broke off");
    }
}
