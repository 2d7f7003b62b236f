//! A server that answers each request as a closure says, and counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Background;

/// What a request is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    bytes: Vec<u8>,
    drip: Option<Duration>,
    end: End,
}

/// What comes after the answer's bytes.
#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Reset,
    Stall,
}

impl Reply {
    /// Exactly these bytes, then the end of the connection.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            drip: None,
            end: End::Close,
        }
    }

    /// A status, without a body. `extra` are further header lines, each with its line end.
    pub(crate) fn status(status: &str, extra: &str) -> Self {
        Self::with(status, extra, b"")
    }

    /// 200 with a body.
    pub(crate) fn ok(body: &[u8]) -> Self {
        Self::with("200 OK", "", body)
    }

    /// A status, headers and a body with its length.
    pub(crate) fn with(status: &str, extra: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{extra}\r\n"
        );
        Self::raw([head.as_bytes(), body].concat())
    }

    /// The first so many bytes of the body only.
    pub(crate) fn cut(mut self, body_bytes: usize) -> Self {
        let head = self.bytes.windows(4).position(|w| w == b"\r\n\r\n");
        self.bytes.truncate(head.unwrap() + 4 + body_bytes);
        self
    }

    /// Then a reset instead of an orderly end.
    pub(crate) fn then_reset(mut self) -> Self {
        self.end = End::Reset;
        self
    }

    /// Then nothing for ever.
    pub(crate) fn then_stall(mut self) -> Self {
        self.end = End::Stall;
        self
    }

    /// A byte at a time.
    pub(crate) fn dripping(mut self, pause: Duration) -> Self {
        self.drip = Some(pause);
        self
    }
}

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    _accepting: Background,
}

impl Server {
    /// Answers the nth request, the first of which is 0, as `answer` says from its head and body.
    pub(crate) async fn start<F>(answer: F) -> Self
    where
        F: Fn(usize, &str) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let (log, count, answer) = (
            Arc::clone(&requests),
            Arc::clone(&connections),
            Arc::new(answer),
        );
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move {
                    let _ = talk(stream, &log, &*answer).await;
                });
            }
        });
        Self {
            address,
            requests,
            connections,
            _accepting: Background(accepting),
        }
    }

    /// A server that nobody should speak to.
    pub(crate) async fn canary() -> Self {
        Self::start(|_, _| Reply::ok(b"found")).await
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads and bodies of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections came so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn talk(
    mut stream: TcpStream,
    log: &Mutex<Vec<String>>,
    answer: &(dyn Fn(usize, &str) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let request = read_request(&mut stream).await?;
    let number = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len() - 1
    };
    let reply = answer(number, &request);
    match reply.drip {
        None => stream.write_all(&reply.bytes).await?,
        Some(pause) => {
            for byte in reply.bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(pause).await;
            }
        }
    }
    match reply.end {
        End::Close => stream.shutdown().await,
        End::Reset => stream.set_zero_linger(),
        End::Stall => std::future::pending().await,
    }
}

/// Reads a request's head, and its body when it has a length.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return Ok(text);
        }
    }
}

/// The value of a header of a request.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.split("\r\n\r\n").next().unwrap_or("").lines();
    let mut values = lines.filter_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    });
    values.next()
}
