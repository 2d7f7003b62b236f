//! A client that sends exactly what it is told, and shows exactly what came back.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::header;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The last part of a problem's type.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        let kind = problem["type"].as_str().unwrap();
        kind.strip_prefix("urn:deploy:problem:").unwrap().to_owned()
    }
}

/// Sends bytes, and reads until the other side closes.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may refuse, and close, before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        answer.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(answer).unwrap()
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    method: &'a str,
    path: &'a str,
    headers: String,
    body: Vec<u8>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: &'a str, path: &'a str) -> Self {
        Self {
            method,
            path,
            headers: String::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn json(self, body: impl Into<Vec<u8>>) -> Self {
        let mut this = self.header("content-type", "application/json");
        this.body = body.into();
        this
    }

    pub(crate) async fn send(self, address: SocketAddr) -> Answer {
        let Self {
            method,
            path,
            headers,
            body,
        } = self;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        let text = raw(address, &[head.as_bytes(), &body].concat()).await;
        answer(&text)
    }
}

/// Reads an answer; chunks are joined.
pub(crate) fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .map_or(0, |status| status.parse().unwrap());
    let chunked = header(head, "transfer-encoding") == Some("chunked");
    Answer {
        status,
        head: head.to_owned(),
        body: if chunked {
            dechunk(body)
        } else {
            body.to_owned()
        },
    }
}

fn dechunk(mut body: &str) -> String {
    let mut joined = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        let Some(chunk) = rest.get(..size) else {
            break;
        };
        joined.push_str(chunk);
        body = rest.get(size + 2..).unwrap_or("");
    }
    joined
}
