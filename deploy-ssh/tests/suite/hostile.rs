//! Servers that are silent, broken, or none.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use deploy_core::model::Endpoint;
use deploy_core::{CancelToken, ConnectError};
use deploy_ssh::{Auth, HostKeys, SshConnector, SshConnectorBuilder};
use socket2::{Domain, Type};

use crate::support::{Sshd, context};

fn builder() -> SshConnectorBuilder {
    SshConnector::builder()
        .host_keys(HostKeys::danger_accept_any())
        .auth(Auth::key_file("/nowhere"))
        .login_timeout(Duration::from_millis(500))
        .retries(0)
}

/// A server that says something to whoever comes, and then no more.
fn saying(what: Vec<u8>) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("ssh://u@{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut kept: Vec<TcpStream> = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(&what);
            kept.push(stream);
        }
    });
    Endpoint::new(&endpoint).unwrap()
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_its_timeout() {
    let connector = builder().build().unwrap();
    for said in [&b""[..], b"SSH-2.0-x\r\n", b"SSH-2.0-x\r\n\0\0\x10\0"] {
        let error = connector.open(&context(), &saying(said.to_vec())).await.unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn the_contexts_own_deadline_and_cancellation_end_a_connect() {
    let connector = builder().login_timeout(Duration::from_secs(1000)).build().unwrap();
    let silent = saying(Vec::new());
    let cx = context().with_deadline(Instant::now() + Duration::from_millis(200));
    let error = connector.open(&cx, &silent).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
    let cancel = CancelToken::new();
    let cx = context().with_cancel(cancel.clone());
    let opening = connector.open(&cx, &silent);
    let (opened, ()) = tokio::join!(opening, async { cancel.cancel("enough") });
    assert!(matches!(opened, Err(ConnectError::Cancelled)), "{opened:?}");
}

#[tokio::test]
async fn what_is_no_ssh_server_is_unreachable() {
    let connector = builder().login_timeout(Duration::from_secs(60)).build().unwrap();
    for said in [
        b"HTTP/1.1 400 Bad Request\r\n".repeat(2000),
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\0\0\0\0".to_vec(),
        b"SSH-2.0-x\r\n\0\0\0\x0c\x0a\x14aaaaaaaaaa".to_vec(),
        b"\0".repeat(100_000),
        b"SSH-1.5-old\r\n\0\0\0\x04\x01\x02xx".to_vec(),
    ] {
        let error = connector.open(&context(), &saying(said)).await.unwrap_err();
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable_after_its_retries() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = Endpoint::new(&format!("ssh://u@{free}")).unwrap();
    let error =
        builder().retries(1).build().unwrap().open(&context(), &endpoint).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_hang_cost_the_others_nothing() {
    // Two hosts hang in the handshake, with room for three connections: the others get through.
    let sshd = Sshd::start();
    let connector =
        sshd.builder().login_timeout(Duration::from_secs(1000)).max_connecting(3).build().unwrap();
    let (cx, good, hanging) = (context(), sshd.endpoint(), saying(Vec::new()));
    let hang =
        futures_util::future::join(connector.open(&cx, &hanging), connector.open(&cx, &hanging));
    let others = futures_util::future::join_all((0..6).map(|_| connector.open(&cx, &good)));
    tokio::select! {
        hung = hang => panic!("{hung:?}"),
        opened = others => assert!(opened.iter().all(Result::is_ok)),
    }
}

#[tokio::test]
async fn a_host_that_takes_no_connection_costs_the_connect_timeout() {
    // With its queue full the system answers nobody who asks for a connection.
    let listener = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let short = Duration::from_millis(300);
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, short) {
        waiting.push(stream);
    }
    let connector = builder().login_timeout(Duration::from_secs(1000)).connect_timeout(short);
    let endpoint = Endpoint::new(&format!("ssh://root@{address}")).unwrap();
    let error = connector.build().unwrap().open(&context(), &endpoint).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_hosts_are_reached_thirty_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint =
        Endpoint::new(&format!("ssh://root@{}", listener.local_addr().unwrap())).unwrap();
    // How many connections are held, and the most that ever were.
    let held = Arc::new(Mutex::new((0_usize, 0)));
    let (accepted, mut next) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn({
        let held = Arc::clone(&held);
        move || {
            for stream in listener.incoming().take(500) {
                let mut held = held.lock().unwrap();
                held.0 += 1;
                held.1 = held.1.max(held.0);
                accepted.send(stream.unwrap()).unwrap();
            }
        }
    });
    let connector = builder().login_timeout(Duration::from_secs(1000)).build().unwrap();
    let cx = context();
    let opening = futures_util::future::join_all((0..500).map(|_| connector.open(&cx, &endpoint)));
    let letting_go = async {
        let mut first = Vec::new();
        for _ in 0..30 {
            first.push(next.recv().await.unwrap());
        }
        // Each that is let go of makes room for one.
        for stream in first.into_iter().rev() {
            let_go(stream, &held);
        }
        while let Some(stream) = next.recv().await {
            let_go(stream, &held);
        }
    };
    let (opened, ()) = tokio::join!(opening, letting_go);
    let broken = |opened: &Result<_, _>| matches!(opened, Err(ConnectError::Unreachable { .. }));
    assert!(opened.len() == 500 && opened.iter().all(broken), "{opened:?}");
    assert_eq!(held.lock().unwrap().1, 30);
}

/// Ends a connection, which then counts no more.
fn let_go(stream: TcpStream, held: &Mutex<(usize, usize)>) {
    held.lock().unwrap().0 -= 1;
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_sessions_are_open_than_may_be() {
    let sshd = Sshd::start();
    let connector = sshd.builder().max_sessions(1).build().unwrap();
    let (cx, endpoint) = (context(), sshd.endpoint());
    let first = connector.open(&cx, &endpoint).await.unwrap();
    let mut second = std::pin::pin!(connector.open(&cx, &endpoint));
    tokio::select! {
        biased;
        opened = &mut second => panic!("{opened:?}"),
        () = async { tokio::task::yield_now().await } => {}
    }
    assert_eq!(sshd.connections(), 1);
    drop(first);
    second.await.unwrap();
}
