//! Asking monitoring addresses.

use std::time::Duration;

use deploy_core::{ProbeAnswer, ProbeError, ProbeQuestion, Prober};
use deploy_http::{HostLookup, HttpProber, UrlPolicy};
use url::Url;

use crate::support::server::{Reply, Server};
use crate::support::{SOON, context};

const LONG: Duration = Duration::from_secs(60);

async fn ask(
    server: &Server,
    timeout: Duration,
    max_body: usize,
) -> Result<ProbeAnswer, ProbeError> {
    let policy = UrlPolicy::new().allow_loopback();
    let prober = HttpProber::builder().policy(policy).build().unwrap();
    let url = Url::parse(&server.url("/health?token=canary")).unwrap();
    prober.probe(context(), ProbeQuestion::new(url, timeout, max_body)).await
}

#[tokio::test]
async fn status_and_body_are_given_as_they_came() {
    for (status, expected) in
        [("200 OK", 200), ("404 Not Found", 404), ("500 Broken", 500), ("302 Found", 302)]
    {
        let canary = Server::canary().await;
        let location = format!("location: {}\r\n", canary.url("/"));
        let server = Server::start(move |_, _| Reply::with(status, &location, b"body")).await;
        let answer = ask(&server, LONG, 100).await.unwrap();
        assert_eq!((answer.status, answer.body), (Some(expected), b"body".to_vec()));
        assert_eq!((server.connections(), canary.connections()), (1, 0));
    }
}

#[tokio::test]
async fn sec_d04_no_more_of_a_body_is_read_than_is_wanted() {
    // The rest never comes, and is not waited for.
    let server = Server::start(|_, _| Reply::ok(&[b'x'; 100_000]).cut(70_000).then_stall()).await;
    let answer = ask(&server, LONG, 65_536).await.unwrap();
    assert_eq!(answer.body, vec![b'x'; 65_536]);
    let answer = ask(&server, LONG, 0).await.unwrap();
    assert_eq!(answer.body, b"");
}

#[tokio::test]
async fn sec_d04_a_dripping_or_silent_answer_ends_with_the_time() {
    let replies: [fn() -> Reply; 3] = [
        || Reply::ok(&[b'x'; 100_000]).dripping(SOON),
        || Reply::raw("").then_stall(),
        || Reply::ok(b"body").cut(2).then_stall(),
    ];
    for reply in replies {
        let server = Server::start(move |_, _| reply()).await;
        let timeout = Duration::from_millis(50);
        let error = ask(&server, timeout, 100_000).await.unwrap_err();
        assert!(matches!(error, ProbeError::TimedOut { timeout: t } if t == timeout));
    }
}

#[tokio::test]
async fn sec_d04_nothing_is_inflated_and_heads_have_a_limit() {
    let bomb = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let server =
        Server::start(move |_, _| Reply::with("200 OK", "content-encoding: gzip\r\n", &bomb)).await;
    assert_eq!(ask(&server, LONG, 100).await.unwrap().body, bomb);
    let server =
        Server::start(|_, _| Reply::with("200 OK", &"x-header: value\r\n".repeat(50_000), b""))
            .await;
    let error = ask(&server, LONG, 100).await.unwrap_err();
    assert!(matches!(error, ProbeError::Unreachable { .. }));
}

#[tokio::test]
async fn nonsense_is_no_answer_and_no_error_shows_the_query() {
    for reply in [Reply::raw("nonsense"), Reply::raw(""), Reply::ok(b"body").cut(1).then_reset()] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let error = ask(&server, LONG, 100).await.unwrap_err();
        assert!(matches!(error, ProbeError::Unreachable { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_tcp_address_is_healthy_when_it_takes_a_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ask = |policy: UrlPolicy, url: String| async move {
        let prober = HttpProber::builder().policy(policy).build().unwrap();
        let url = Url::parse(&url).unwrap();
        prober.probe(context(), ProbeQuestion::new(url, LONG, 0)).await
    };
    let open = || UrlPolicy::new().allow_loopback();
    assert_eq!(ask(open(), format!("tcp://{address}")).await.unwrap(), ProbeAnswer::connected());
    let named = UrlPolicy::new().allow(&address.to_string()).unwrap();
    assert_eq!(ask(named, format!("tcp://{address}")).await.unwrap(), ProbeAnswer::connected());
    drop(listener);
    let closed = ask(open(), format!("tcp://{address}")).await;
    assert!(matches!(closed, Err(ProbeError::Unreachable { .. })), "{closed:?}");
}

#[tokio::test]
async fn sec_d01_a_tcp_address_obeys_the_policy_in_every_form() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let lookup = HostLookup::new(|_| async { Ok(vec![std::net::IpAddr::from([127, 0, 0, 1])]) });
    let prober = HttpProber::builder().policy(UrlPolicy::new().lookup(lookup)).build().unwrap();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "localhost",
        "rebound.test",
        "0.0.0.0",
    ] {
        let url = Url::parse(&format!("tcp://{host}:{port}")).unwrap();
        let answer = prober.probe(context(), ProbeQuestion::new(url, LONG, 0)).await;
        assert!(matches!(answer, Err(ProbeError::Forbidden { .. })), "{host}: {answer:?}");
    }
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}
