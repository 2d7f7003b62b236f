//! Downloads that go well, and all the ways in which they do not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deploy_core::{CancelToken, Secret, Verifier, VerifyError};
use deploy_http::HttpVerifier;

use crate::support::package::{bytes, content, digests, kept, pinned, source, verifier};
use crate::support::server::{Reply, Server, header};
use crate::support::{SOON, context};

const ETAG: &str = "etag: \"v1\"\r\n";

/// Serves a package, or the part of it that is asked for.
fn part(package: &[u8], etag: &str, request: &str) -> Reply {
    let range = header(request, "range").and_then(|range| {
        let first: usize = range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()?;
        Some(first)
    });
    let Some(first) = range else {
        return Reply::with("200 OK", etag, package);
    };
    let (last, total) = (package.len() - 1, package.len());
    let extra = format!("{etag}content-range: bytes {first}-{last}/{total}\r\n");
    Reply::with("206 Partial Content", &extra, &package[first..])
}

#[tokio::test]
async fn a_package_is_given_with_its_digests_and_its_name() {
    let package = bytes(300_000);
    let served = package.clone();
    let server = Server::start(move |_, _| Reply::ok(&served)).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let source = source(&server.url("/x/app-1.jar?sig=1"), &package);
    let found = verifier.verify(context(), source).await.unwrap();
    assert_eq!(found.digests, digests(&package));
    assert_eq!(found.file_name, "app-1.jar");
    assert_eq!(content(&found.file), package);
    assert_eq!(kept(cache.path()), [digests(&package).sha256.to_string()]);
    let request = &server.requests()[0];
    assert_eq!(header(request, "accept-encoding"), Some("identity"));
    assert_eq!(header(request, "authorization"), None);
}

#[tokio::test]
async fn an_empty_package_is_a_package() {
    let server = Server::start(|_, _| Reply::ok(b"")).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let source = pinned(&server.url("/a"), b"");
    let found = verifier.verify(context(), source).await.unwrap();
    assert_eq!(found.digests.size, 0);
}

#[tokio::test]
async fn sec_c02_wrong_bytes_are_refused_and_not_kept() {
    let package = bytes(20_000);
    let mut flipped = package.clone();
    flipped[12_345] ^= 1;
    let longer = [package.as_slice(), b"x"].concat();
    let shorter = package[..19_999].to_vec();
    for (wrong, what) in [(flipped, "SHA-256"), (longer, "size"), (shorter, "size")] {
        let server = Server::start(move |_, _| Reply::ok(&wrong)).await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).build().unwrap();
        let url = server.url("/a");
        let error = verifier.verify(context(), pinned(&url, &package)).await;
        let Err(VerifyError::Mismatch { what: found, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(found, what);
        let error = verifier.verify(context(), source(&url, &package)).await;
        assert!(matches!(error, Err(VerifyError::Mismatch { what: "MD5", .. })));
        assert_eq!(kept(cache.path()), [""; 0]);
    }
}

#[tokio::test]
async fn sec_c02_every_flipped_bit_of_a_package_is_noticed() {
    let package = bytes(64);
    let served = package.clone();
    let server = Server::start(move |number, _| {
        let mut wrong = served.clone();
        wrong[number / 8] ^= 1 << (number % 8);
        Reply::ok(&wrong)
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    for _ in 0..512 {
        let source = source(&server.url("/a"), &package);
        let error = verifier.verify(context(), source).await.unwrap_err();
        assert!(matches!(error, VerifyError::Mismatch { what: "MD5", .. }));
    }
    assert_eq!(kept(cache.path()), [""; 0]);
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke_off_when_the_bytes_have_a_name() {
    let package = bytes(100_000);
    let served = package.clone();
    let server = Server::start(move |number, request| {
        let reply = part(&served, ETAG, request);
        match number {
            0 => reply.cut(30_000),
            1 => reply.cut(30_000).then_reset(),
            _ => reply,
        }
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let source = source(&server.url("/a"), &package);
    let found = verifier.verify(context(), source).await.unwrap();
    assert_eq!(content(&found.file), package);
    let requests = server.requests();
    assert_eq!(header(&requests[0], "range"), None);
    assert_eq!(header(&requests[1], "range"), Some("bytes=30000-"));
    assert_eq!(header(&requests[1], "if-range"), Some("\"v1\""));
    assert_eq!(requests.len(), 3);
}

#[tokio::test]
async fn a_broken_download_starts_over_when_its_bytes_have_no_strong_name() {
    for etag in ["", "etag: W/\"v1\"\r\n", "last-modified: Mon, 23 Nov 2026 00:00:00 GMT\r\n"] {
        let package = bytes(100_000);
        let served = package.clone();
        let server = Server::start(move |number, request| match number {
            0 => part(&served, etag, request).cut(30_000),
            _ => part(&served, etag, request),
        })
        .await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).build().unwrap();
        let source = source(&server.url("/a"), &package);
        let found = verifier.verify(context(), source).await.unwrap();
        assert_eq!(content(&found.file), package);
        assert_eq!(header(&server.requests()[1], "range"), None, "{etag}");
    }
}

#[tokio::test]
async fn sec_c02_a_package_that_changed_in_the_middle_is_fetched_anew() {
    let (old, new) = (vec![b'o'; 50_000], bytes(50_000));
    let wanted = new.clone();
    // The server knows that it changed, and sends the whole.
    let server = Server::start(move |number, request| match number {
        0 => part(&old, ETAG, request).cut(20_000),
        _ => Reply::with("200 OK", "etag: \"v2\"\r\n", &new),
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let source = pinned(&server.url("/a"), &wanted);
    let found = verifier.verify(context(), source).await.unwrap();
    assert_eq!(content(&found.file), wanted);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn sec_c02_parts_of_two_packages_are_noticed_and_the_whole_is_fetched_once() {
    let (old, new) = (vec![b'o'; 50_000], bytes(50_000));
    let wanted = new.clone();
    // The server claims that both are the same.
    let server = Server::start(move |number, request| match number {
        0 => part(&old, ETAG, request).cut(20_000),
        _ => part(&new, ETAG, request),
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let found = verifier.verify(context(), pinned(&server.url("/a"), &wanted));
    assert_eq!(content(&found.await.unwrap().file), wanted);
    let requests = server.requests();
    assert_eq!(header(&requests[1], "range"), Some("bytes=20000-"));
    assert_eq!(header(&requests[2], "range"), None);
    // A whole package that is wrong is proof: it is not fetched once more.
    let other = pinned(&server.url("/a"), &bytes(49_999));
    verifier.verify(context(), other).await.unwrap_err();
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_makes_it_start_over() {
    for lie in ["bytes 0-99/100", "bytes 31-99/100", "nonsense"] {
        let package = bytes(100);
        let served = package.clone();
        let server = Server::start(move |number, _| match number {
            0 => Reply::with("200 OK", ETAG, &served).cut(30),
            1 => {
                let extra = format!("{ETAG}content-range: {lie}\r\n");
                Reply::with("206 Partial Content", &extra, &served[30..])
            }
            _ => Reply::with("200 OK", ETAG, &served),
        })
        .await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).build().unwrap();
        let found = verifier.verify(context(), source(&server.url("/a"), &package));
        assert_eq!(content(&found.await.unwrap().file), package, "{lie}");
    }
}

#[tokio::test]
async fn a_part_that_is_shorter_than_was_asked_for_is_taken_as_far_as_it_goes() {
    let package = bytes(100_000);
    let served = package.clone();
    let server = Server::start(move |number, request| match number {
        0 => part(&served, ETAG, request).cut(30_000),
        1 => {
            let extra = format!("{ETAG}content-range: bytes 30000-59999/100000\r\n");
            Reply::with("206 Partial Content", &extra, &served[30_000..60_000])
        }
        _ => part(&served, ETAG, request),
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let found = verifier.verify(context(), source(&server.url("/a"), &package));
    assert_eq!(content(&found.await.unwrap().file), package);
    assert_eq!(header(&server.requests()[2], "range"), Some("bytes=60000-"));
}

#[tokio::test]
async fn a_server_that_recovers_is_waited_for() {
    for passing in [
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "429 Too Many Requests",
        "408 Request Timeout",
    ] {
        let server = Server::start(move |number, _| match number {
            0 | 1 => Reply::status(passing, "retry-after: 0\r\n"),
            _ => Reply::ok(b"package"),
        })
        .await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).build().unwrap();
        let source = source(&server.url("/a"), b"package");
        verifier.verify(context(), source).await.unwrap();
        assert_eq!(server.requests().len(), 3, "{passing}");
    }
}

#[tokio::test]
async fn what_a_server_refuses_is_not_asked_for_again() {
    for status in
        ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone"]
    {
        let server = Server::start(move |_, _| Reply::status(status, "")).await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).build().unwrap();
        let error = verifier.verify(context(), source(&server.url("/a"), b"")).await;
        let Err(VerifyError::Refused { reason, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(reason, status);
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_never_recovers_is_given_up() {
    let broken: [fn() -> Reply; 5] = [
        || Reply::status("500 Internal Server Error", ""),
        || Reply::raw("nonsense"),
        || Reply::raw(""),
        || Reply::ok(&[b'x'; 100]).cut(50),
        || Reply::ok(&[b'x'; 100]).cut(50).then_reset(),
    ];
    for reply in broken {
        let server = Server::start(move |_, _| reply()).await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).tries(3).build().unwrap();
        let source = source(&server.url("/a"), &[b'x'; 100]);
        let error = verifier.verify(context(), source).await.unwrap_err();
        assert!(matches!(error, VerifyError::Unreachable { .. }), "{error:?}");
        assert!(error.retry().is_worth_it());
        assert_eq!(server.connections(), 3);
        assert_eq!(kept(cache.path()), [""; 0]);
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a", address.local_addr().unwrap());
    drop(address);
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).tries(2).build().unwrap();
    let error = verifier.verify(context(), source(&url, b"")).await.unwrap_err();
    assert!(matches!(error, VerifyError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let stalls: [fn() -> Reply; 2] =
        [|| Reply::raw("").then_stall(), || Reply::ok(&[b'x'; 100]).cut(50).then_stall()];
    for reply in stalls {
        let server = Server::start(move |_, _| reply()).await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path())
            .idle_timeout(Duration::from_millis(50))
            .tries(2)
            .build()
            .unwrap();
        let source = source(&server.url("/a"), &[b'x'; 100]);
        let error = verifier.verify(context(), source).await.unwrap_err();
        assert!(matches!(error, VerifyError::Unreachable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_dribbles_is_given_up() {
    let dribbling = || Reply::ok(&bytes(100_000)).dripping(Duration::from_millis(5));
    let server = Server::start(move |_, _| dribbling()).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).idle_timeout(Duration::from_secs(1)).tries(1);
    let source = source(&server.url("/a"), &bytes(100_000));
    let error = verifier.build().unwrap().verify(context(), source).await.unwrap_err();
    assert!(matches!(error, VerifyError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn cancelling_and_the_deadline_end_a_download_in_the_middle() {
    let server = Server::start(|_, _| Reply::ok(&[b'x'; 100]).cut(50).then_stall()).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = Arc::new(verifier(cache.path()).build().unwrap());
    let source = pinned(&server.url("/a"), &[b'x'; 100]);
    let cancel = CancelToken::new();
    let cx = context().with_cancel(cancel.clone());
    let (working, wanted) = (Arc::clone(&verifier), source.clone());
    let work = tokio::spawn(async move { working.verify(cx, wanted).await });
    while server.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    cancel.cancel("enough");
    let error = work.await.unwrap().unwrap_err();
    assert!(matches!(error, VerifyError::Cancelled));
    let cx = context().with_deadline(Instant::now() + Duration::from_millis(50));
    let error = verifier.verify(cx, source).await.unwrap_err();
    assert!(matches!(error, VerifyError::TimedOut { .. }));
    assert_eq!(kept(cache.path()), [""; 0]);
}

#[tokio::test]
async fn a_package_beyond_the_limit_is_refused_announced_or_not() {
    let replies: [fn() -> Reply; 3] = [
        || Reply::ok(&[b'x'; 1001]),
        // The length alone decides: the body never comes.
        || Reply::ok(&[b'x'; 5000]).cut(0).then_stall(),
        || Reply::raw([b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 1001]].concat()),
    ];
    for reply in replies {
        let server = Server::start(move |_, _| reply()).await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).max_size(1000).build().unwrap();
        let source = source(&server.url("/a"), &[b'x'; 1001]);
        let error = verifier.verify(context(), source).await.unwrap_err();
        assert!(matches!(error, VerifyError::TooLarge { limit: 1000, .. }), "{error:?}");
        assert_eq!(kept(cache.path()), [""; 0]);
    }
    let cache = tempfile::tempdir().unwrap();
    let server = Server::canary().await;
    let verifier = verifier(cache.path()).max_size(1000).build().unwrap();
    let source = pinned(&server.url("/a"), &[b'x'; 1001]);
    let error = verifier.verify(context(), source).await.unwrap_err();
    assert!(matches!(error, VerifyError::TooLarge { .. }));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_wrong_size_is_noticed_before_the_bytes_come() {
    for announced in [99, 101] {
        let server =
            Server::start(move |_, _| Reply::ok(&vec![b'x'; announced]).cut(0).then_stall()).await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).build().unwrap();
        let source = pinned(&server.url("/a"), &[b'x'; 100]);
        let error = verifier.verify(context(), source).await.unwrap_err();
        assert!(matches!(error, VerifyError::Mismatch { what: "size", .. }), "{error:?}");
    }
}

#[tokio::test]
async fn nothing_is_inflated_on_the_way() {
    // What a server calls a gzip encoding stays as it is: the digest is that of the archive.
    let archive = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let server =
        Server::start(move |_, _| Reply::with("200 OK", "content-encoding: gzip\r\n", &archive))
            .await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let source = pinned(&server.url("/a.tar.gz"), &archive);
    let found = verifier.verify(context(), source).await.unwrap();
    assert_eq!(content(&found.file), archive);
}

#[tokio::test]
async fn chunked_and_dripping_bodies_are_read() {
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\npac\r\n4\r\nkage\r\n0\r\n\r\n";
    let replies = [Reply::raw(chunked), Reply::ok(b"package").dripping(SOON)];
    for reply in replies {
        let server = Server::start(move |_, _| reply.clone()).await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).build().unwrap();
        let source = source(&server.url("/a"), b"package");
        verifier.verify(context(), source).await.unwrap();
    }
}

#[tokio::test]
async fn sec_b05_no_error_shows_a_query_or_a_token() {
    let replies: [fn() -> Reply; 4] = [
        || Reply::status("404 Not Found", ""),
        || Reply::status("500 Internal Server Error", ""),
        || Reply::raw("nonsense"),
        || Reply::ok(b"other"),
    ];
    for reply in replies {
        let server = Server::start(move |_, _| reply()).await;
        let cache = tempfile::tempdir().unwrap();
        let authority = server.address.to_string();
        let token = Secret::new("canary-token-0123456789");
        let verifier =
            verifier(cache.path()).bearer_for(&authority, token).tries(2).build().unwrap();
        let source = source(&server.url("/a?sig=canary"), b"package");
        let error = verifier.verify(context(), source).await.unwrap_err();
        let failure = deploy_core::Failure::from(&error);
        let shown = format!("{error} {error:?} {failure:?} {verifier:?}");
        assert!(!shown.contains("canary"), "{shown}");
        // It was sent, though.
        let request = &server.requests()[0];
        assert!(request.starts_with("GET /a?sig=canary "));
        assert_eq!(header(request, "authorization"), Some("Bearer canary-token-0123456789"));
    }
}

#[tokio::test]
async fn https_without_root_certificates_says_what_is_missing() {
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let source = source("https://127.0.0.1:1/a", b"");
    let error = verifier.verify(context(), source).await.unwrap_err();
    assert!(error.to_string().contains("root certificates"), "{error}");
}

#[test]
fn what_is_no_certificate_or_token_is_refused_and_not_repeated() {
    let cache = tempfile::tempdir().unwrap();
    for pem in ["", "canary", "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n"] {
        let built = verifier(cache.path()).root_certificate_pem(pem).build();
        assert!(matches!(built, Err(deploy_http::ConfigureError::RootCertificate { .. })));
    }
    for token in ["", "canary with spaces", "canary\r\nx: y"] {
        let token = Secret::new(token);
        let built = HttpVerifier::builder(cache.path()).bearer_for("h:1", token).build();
        let refused = built.unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("canary"));
    }
}
