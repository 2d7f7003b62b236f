//! Servers that are silent, broken, or none.

use std::io::{BufRead as _, Read as _, Write as _};
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

/// What a real server says before anything is encrypted: its banner, and its offer of algorithms.
fn greeting() -> Vec<u8> {
    let sshd = Sshd::start();
    let mut stream = TcpStream::connect(sshd.address).unwrap();
    stream.write_all(b"SSH-2.0-test\r\n").unwrap();
    let mut said = Vec::new();
    let mut stream = std::io::BufReader::new(stream);
    stream.read_until(b'\n', &mut said).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut packet = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut packet).unwrap();
    [said, length.to_vec(), packet].concat()
}

/// Messages of every type with bytes that mean nothing, and packets whose lengths cannot be.
fn garbage() -> Vec<Vec<u8>> {
    let mut state = 0x2545_f491_u32;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        };
        (0..length).map(|_| next()).collect()
    };
    let packet =
        |body: Vec<u8>| [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat();
    let mut all = Vec::new();
    for kind in 0..=255_u8 {
        let length = 12 + 8 * usize::from(kind % 40);
        all.push(packet([&[4, kind][..], &noise(length - 2)].concat()));
    }
    for length in [0_u32, 1, 4, 5, 34_999, 40_001, 0x7fff_ffff, u32::MAX - 3, u32::MAX] {
        all.push([&length.to_be_bytes()[..], &noise(64)].concat());
    }
    // An answer to the exchange of keys in form, whose public point is zero; and floods.
    let parts = [&b"\0\0\0\x0bssh-ed25519\0\0\0 "[..], &[7; 32]].concat();
    let string = |part: &[u8]| packet(part.to_vec());
    let answer = [string(&parts), string(&[0; 32]), string(&[0; 83])].concat();
    all.push(packet([&[6, 31][..], &answer, &[0; 6]].concat()));
    for kind in [2, 4, 7] {
        all.push(packet([&[4, kind][..], &noise(1000)].concat()).repeat(2000));
    }
    all
}

#[tokio::test]
async fn nothing_that_a_server_says_before_it_has_proved_who_it_is_does_harm() {
    let (greeting, garbage) = (greeting(), garbage());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::new(&format!("ssh://u@{}", listener.local_addr().unwrap())).unwrap();
    let number = garbage.len();
    assert!(number > 200);
    std::thread::spawn(move || {
        for said in garbage {
            let mut stream = listener.accept().unwrap().0;
            // Its banner asks for ours, and what it offers for the exchange of keys.
            let _ = stream.write_all(&[&greeting[..], &said].concat());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
    let connector = builder().login_timeout(Duration::from_secs(1000)).build().unwrap();
    for number in 0..number {
        let error = connector.open(&context(), &endpoint).await.unwrap_err();
        let typed =
            matches!(error, ConnectError::Unreachable { .. } | ConnectError::Rejected { .. });
        assert!(typed, "{number}: {error:?}");
    }
}

#[tokio::test]
async fn what_a_server_says_that_nobody_asked_for_is_bounded_before_it_has_proved_who_it_is() {
    let string =
        |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let packet = |payload: &[u8]| {
        let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
        let length = u32::try_from(1 + payload.len() + padding).unwrap();
        let head = [&length.to_be_bytes()[..], &[u8::try_from(padding).unwrap()]].concat();
        [&head[..], payload, &vec![0; padding]].concat()
    };
    // It knows no strict key exchange, by which libssh2 would break off.
    let lists = ["curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr"].map(string);
    let more = ["hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""].map(string);
    let offer = [&[20; 17][..], &lists.concat(), &more.concat(), &[0; 5]].concat();
    let greeting = [&b"SSH-2.0-x\r\n"[..], &packet(&offer)].concat();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::new(&format!("ssh://u@{}", listener.local_addr().unwrap())).unwrap();
    let flooding = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(&greeting).unwrap();
        // A type of message that nobody knows.
        let unasked = packet(&[200; 30_000]);
        while stream.write_all(&unasked).is_ok() {}
    });
    let connector = builder().login_timeout(Duration::from_secs(1000)).build().unwrap();
    let error = connector.open(&context(), &endpoint).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    flooding.join().unwrap();
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
