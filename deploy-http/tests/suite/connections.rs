//! Connections that dribble, idle, crowd or talk nonsense, and shutting down among them.

use std::net::SocketAddr;
use std::time::Duration;

use deploy_http::ServeConfig;
use deploy_queue::QueueConfig;
use deploy_testkit::{HostScript, ScriptedExecutor, samples};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::agent::{Agent, DEPLOY, READ, endpoint, task};
use crate::support::client::{Request, answer, raw};

const SHORT: Duration = Duration::from_millis(100);

async fn agent(config: ServeConfig) -> Agent {
    Agent::with(ScriptedExecutor::new(), QueueConfig::new(), config).await
}

async fn healthy(address: SocketAddr) -> u16 {
    Request::new("GET", "/v1/health")
        .token(READ)
        .send(address)
        .await
        .status
}

/// Reads until the other side closes.
async fn closed(stream: &mut TcpStream) {
    let mut piece = [0; 4096];
    while let Ok(1..) = stream.read(&mut piece).await {}
}

#[tokio::test]
async fn sec_b01_connections_that_say_nothing_are_closed_while_others_are_served() {
    let config = ServeConfig::new()
        .with_idle_timeout(SHORT)
        .with_max_connections_per_peer(300);
    let agent = agent(config).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(agent.address).await.unwrap());
    }
    assert_eq!(healthy(agent.address).await, 200);
    for stream in &mut silent {
        closed(stream).await;
    }
    assert_eq!(healthy(agent.address).await, 200);
}

#[tokio::test]
async fn sec_b01_heads_that_dribble_are_closed_however_busy_they_look() {
    let config = ServeConfig::new()
        .with_header_timeout(SHORT)
        .with_max_connections_per_peer(100);
    let agent = agent(config).await;
    let mut dribbling = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(agent.address).await.unwrap();
        dribbling.spawn(async move {
            stream
                .write_all(b"GET /v1/health HTTP/1.1\r\n")
                .await
                .unwrap();
            // A byte of a header now and then. Long before the head is too large, the time is up.
            while stream.write_all(b"x").await.is_ok() {
                let mut piece = [0; 1];
                let wait = Duration::from_millis(5);
                let read = tokio::time::timeout(wait, stream.read(&mut piece)).await;
                if matches!(read, Ok(Ok(0) | Err(_))) {
                    break;
                }
            }
        });
    }
    assert_eq!(healthy(agent.address).await, 200);
    while let Some(ended) = dribbling.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_waits_for_its_next_request_has_the_longer_patience() {
    let config = ServeConfig::new().with_header_timeout(SHORT);
    let agent = agent(config).await;
    let mut stream = TcpStream::connect(agent.address).await.unwrap();
    let request =
        format!("GET /v1/health HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {READ}\r\n\r\n");
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).await.unwrap();
            assert!(count > 0, "closed while waiting");
            answer.extend_from_slice(&piece[..count]);
        }
        // Longer than a head may take: what runs out here is not the patience for a head.
        tokio::time::sleep(SHORT * 2).await;
    }
}

#[tokio::test]
async fn sec_b01_a_reader_that_does_not_read_is_closed() {
    let hosts = ScriptedExecutor::new();
    let config = ServeConfig::new().with_idle_timeout(SHORT);
    let agent = Agent::with(hosts, QueueConfig::new(), config).await;
    let mut stream = TcpStream::connect(agent.address).await.unwrap();
    let request =
        format!("GET /v1/openapi.json HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {READ}\r\n\r\n");
    // Answers pile up until nothing fits into the buffers between us any more. Only then does this
    // end, and it ends with an error because the server has closed.
    while stream.write_all(request.as_bytes()).await.is_ok() {}
}

#[tokio::test]
async fn sec_b01_one_peer_has_so_many_connections_and_no_more() {
    let agent = agent(ServeConfig::new().with_max_connections_per_peer(3)).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(TcpStream::connect(agent.address).await.unwrap());
    }
    // They are accepted in turn, so a fourth one that is closed shows that the three are counted.
    let mut fourth = TcpStream::connect(agent.address).await.unwrap();
    closed(&mut fourth).await;
    drop(open.pop());
    // The end of a connection takes a moment to be noticed.
    while raw(agent.address, b"nonsense\r\n\r\n").await.is_empty() {}
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let agent = agent(ServeConfig::new().with_max_connections(1)).await;
    let first = TcpStream::connect(agent.address).await.unwrap();
    let address = agent.address;
    let second = tokio::spawn(async move { healthy(address).await });
    tokio::task::yield_now().await;
    drop(first);
    assert_eq!(second.await.unwrap(), 200);
}

#[tokio::test]
async fn sec_b02_http_2_is_not_spoken() {
    let agent = agent(ServeConfig::new()).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let text = raw(agent.address, preface).await;
    assert!(!text.contains("200"), "{text}");
}

/// Requests of which two readers could make two different things.
const SMUGGLED: &[&str] = &[
    "content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "content-length: 1, 2\r\n\r\nab",
    "content-length: +1\r\n\r\na",
    "content-length: -1\r\n\r\na",
    "content-length: 0x1\r\n\r\na",
    "content-length: 1 1\r\n\r\na",
    "content-length: 18446744073709551616\r\n\r\na",
    "content-length: 99999999999999999999999999\r\n\r\na",
    "content-length: one\r\n\r\na",
    "content-length:\r\n\r\na",
    "content-length : 1\r\n\r\na",
    "content-length\t: 1\r\n\r\na",
    " content-length: 1\r\n\r\na",
    "\tcontent-length: 1\r\n\r\na",
    "content-length: 1\r\n folded: x\r\n\r\na",
    "x-header: a\r\n\tb\r\n\r\n",
    "content\0-length: 1\r\n\r\na",
    "x-header: a\0b\r\n\r\n",
    "x-header: a\rb\r\n\r\n",
    "x header: a\r\n\r\n",
    "x-header\r\n\r\n",
    ": a\r\n\r\n",
    "x(header): a\r\n\r\n",
    "x\u{e9}: a\r\n\r\n",
    "transfer-encoding: gzip\r\n\r\n0\r\n\r\n",
    "transfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding: chunkedx\r\n\r\n0\r\n\r\n",
    "transfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "transfer-encoding:\r\n\r\n0\r\n\r\n",
    "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    " transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\nx\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\n1 1\r\na\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\n1\nab\n0\n\n",
    "transfer-encoding: chunked\r\n\r\n1;\n\r\na\r\n0\r\n\r\n",
];

#[tokio::test]
async fn sec_b03_ambiguous_requests_are_refused_and_the_connection_is_closed() {
    assert!(SMUGGLED.len() >= 40);
    let agent = agent(ServeConfig::new().with_header_timeout(SHORT)).await;
    for ambiguous in SMUGGLED {
        let smuggled =
            format!("GET /v1/health HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {READ}\r\n\r\n");
        let request = format!(
            "POST /v1/tasks/t-1/cancel HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {DEPLOY}\r\ncontent-type: application/json\r\n{ambiguous}{smuggled}"
        );
        let text = raw(agent.address, request.as_bytes()).await;
        // One refusal at most, and never an answer to what was smuggled in.
        assert!(
            text.matches("HTTP/1.1 ").count() <= 1,
            "{ambiguous:?}: {text}"
        );
        assert!(
            text.is_empty() || answer(&text).status == 400,
            "{ambiguous:?}: {text}"
        );
    }
}

#[tokio::test]
async fn sec_b03_a_length_beside_chunks_is_ignored_and_the_connection_is_closed() {
    // RFC 9112, 6.3: the chunks count; nothing after them is answered.
    let agent = agent(ServeConfig::new()).await;
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
    ] {
        let smuggled =
            format!("GET /v1/health HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {READ}\r\n\r\n");
        let request = format!(
            "POST /v1/tasks/t-1/cancel HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {DEPLOY}\r\ncontent-type: application/json\r\n{lengths}\r\n\r\n0\r\n\r\n{smuggled}"
        );
        let text = raw(agent.address, request.as_bytes()).await;
        assert!(!text.contains("200 OK"), "{text}");
    }
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_answered_and_cuts_off_what_would_not_end() {
    let hosts = ScriptedExecutor::new().with_host(samples::host(1), HostScript::hang());
    let config = ServeConfig::new().with_shutdown_grace(SHORT);
    let agent = Agent::with(hosts, QueueConfig::new(), config).await;
    let task = task("t-1", &endpoint(agent.address), 1);
    agent.node.accept(task).await.unwrap();
    let mut stream = TcpStream::connect(agent.address).await.unwrap();
    let request = format!(
        "GET /v1/tasks/t-1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {READ}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("event: host_started") {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.unwrap();
        seen.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
    let mut idle = TcpStream::connect(agent.address).await.unwrap();
    agent.shutdown.cancel("the test ends");
    agent.serving.await.unwrap().unwrap();
    closed(&mut idle).await;
    closed(&mut stream).await;
    assert!(TcpStream::connect(agent.address).await.is_err());
}
