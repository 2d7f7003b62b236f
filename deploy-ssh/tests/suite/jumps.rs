//! Hosts behind jump hosts.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deploy_core::model::Endpoint;
use deploy_core::{ConnectError, Exit};
use deploy_ssh::{Auth, HostKeys, JumpHost};
use socket2::{Domain, Socket, Type};

use crate::support::{Sshd, context, run};

fn jump(through: &Sshd) -> JumpHost {
    JumpHost::new(through.endpoint())
        .host_keys(HostKeys::pinned([through.fingerprint()]))
        .auth(Auth::key_file(through.path("client")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_reached_through_a_chain_of_jump_hosts() {
    let (first, second, last) = (Sshd::start(), Sshd::start(), Sshd::start());
    let connector = last.builder().jump(jump(&first)).jump(jump(&second)).build().unwrap();
    let session = connector.open(&context(), &last.endpoint()).await.unwrap();
    let input = vec![42; 5 << 20];
    let ran = run(&session, "cat; exit 3", input.clone()).await;
    assert_eq!((ran.exit.unwrap(), ran.stdout == input), (Exit::Exited(3), true));
    assert_eq!(second.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_behind_a_jump_host_share_one_session_with_it() {
    let (first, last) = (Sshd::start(), Sshd::start());
    let connector = last.builder().jump(jump(&first)).build().unwrap();
    let (cx, endpoint) = (context(), last.endpoint());
    let sessions = futures_util::future::join_all((0..5).map(|_| connector.open(&cx, &endpoint)));
    let sessions: Vec<_> = sessions.await.into_iter().map(Result::unwrap).collect();
    let runs = sessions.iter().map(|session| run(session, "cat", vec![1; 1 << 20]));
    for ran in futures_util::future::join_all(runs).await {
        assert_eq!((ran.exit.unwrap(), ran.stdout.len()), (Exit::Exited(0), 1 << 20));
    }
    assert_eq!((first.connections(), last.connections()), (1, 5));
    // It ends with the last of them, and is opened again when it is needed.
    drop(sessions);
    connector.open(&cx, &endpoint).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_jump_host_is_replaced_for_the_next_session() {
    let (first, last) = (Sshd::start(), Sshd::start());
    let connector = last.builder().jump(jump(&first)).build().unwrap();
    let session = connector.open(&context(), &last.endpoint()).await.unwrap();
    first.kill();
    let ran = run(&session, "sleep 100", Vec::new()).await;
    assert!(ran.exit.is_err() || matches!(ran.exit, Ok(Exit::Lost(_))), "{ran:?}");
    connector.open(&context(), &last.endpoint()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_host_that_is_another_is_named() {
    let (first, last) = (Sshd::start(), Sshd::start());
    let other = jump(&first).host_keys(HostKeys::pinned([last.fingerprint()]));
    let connector = last.builder().jump(other).build().unwrap();
    match connector.open(&context(), &last.endpoint()).await {
        Err(ConnectError::Rejected { reason, .. }) => {
            assert!(reason.contains(&format!("the jump host {}", first.address)), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!first.log().contains("userauth-request") && last.connections() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_host_that_forwards_nothing_is_told() {
    let (first, last) = (Sshd::with("AllowTcpForwarding no"), Sshd::start());
    let connector = last.builder().jump(jump(&first)).retries(0).build().unwrap();
    let error = connector.open(&context(), &last.endpoint()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_jump_host_that_is_not_there_fails_all_who_wait_for_it_at_once() {
    let last = Sshd::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = Endpoint::new(&format!("ssh://root@{}", listener.local_addr().unwrap())).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    std::thread::spawn(move || {
        while listener.accept().is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let connector = last.builder().jump(JumpHost::new(gone)).retries(0).build().unwrap();
    let (cx, endpoint) = (context(), last.endpoint());
    // All of them wait before the first connection can break.
    for opened in
        futures_util::future::join_all((0..5).map(|_| connector.open(&cx, &endpoint))).await
    {
        assert!(matches!(opened, Err(ConnectError::Unreachable { .. })), "{opened:?}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_behind_a_jump_host_that_answers_nobody_holds_the_others_up_no_longer() {
    // With its queue full the system answers nobody who asks for a connection.
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    silent.listen(0).unwrap();
    let address = silent.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
    }
    let (first, last) = (Sshd::start(), Sshd::start());
    let builder = last.builder().jump(jump(&first)).connect_timeout(Duration::from_secs(1000));
    let connector = builder.build().unwrap();
    let dead = Endpoint::new(&format!("ssh://root@{address}")).unwrap();
    let (cx, good) = (context(), last.endpoint());
    let others = futures_util::future::join_all((0..5).map(|_| connector.open(&cx, &good)));
    tokio::select! {
        biased;
        opened = connector.open(&cx, &dead) => panic!("{opened:?}"),
        opened = others => assert!(opened.iter().all(Result::is_ok), "{opened:?}"),
    }
    assert_eq!(first.connections(), 2);
}
