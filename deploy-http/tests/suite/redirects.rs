//! Redirects: none by default, few and checked where they are allowed.

use deploy_core::{Secret, Verifier, VerifyError};
use deploy_http::UrlPolicy;

use crate::support::context;
use crate::support::package::{content, source, verifier};
use crate::support::server::{Reply, Server, header};

fn to(location: &str) -> Reply {
    Reply::status("302 Found", &format!("location: {location}\r\n"))
}

#[tokio::test]
async fn sec_d03_no_redirect_is_followed_by_default() {
    let canary = Server::canary().await;
    let target = canary.url("/b");
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let target = target.clone();
        let server =
            Server::start(move |_, _| Reply::status(status, &format!("location: {target}\r\n")))
                .await;
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).build().unwrap();
        let error = verifier
            .verify(context(), source(&server.url("/a"), b"found"))
            .await;
        assert!(
            matches!(error, Err(VerifyError::Refused { .. })),
            "{error:?}"
        );
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn sec_d03_redirects_are_followed_so_far_and_no_further() {
    // /3 → /2 → /1 → /0
    let server = Server::start(|_, request| {
        let number: u32 = request.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        match number {
            0 => Reply::ok(b"found"),
            number => to(&format!("/{}", number - 1)),
        }
    })
    .await;
    for (allowed, hops, reached) in [
        (0, 1, false),
        (1, 1, true),
        (1, 2, false),
        (3, 3, true),
        (9, 4, false),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path()).redirects(allowed).build().unwrap();
        let source = source(&server.url(&format!("/{hops}")), b"found");
        let found = verifier.verify(context(), source).await;
        assert_eq!(found.is_ok(), reached, "{allowed} {hops}");
        if let Ok(found) = found {
            assert_eq!(content(&found.file), b"found");
        }
    }
}

#[tokio::test]
async fn sec_d03_each_hop_is_judged_by_the_policy() {
    let canary = Server::canary().await;
    let port = canary.address.port();
    for hop in [
        canary.url("/b"),
        format!("http://localhost:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("//127.0.0.1:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        format!("http://user:password@127.0.0.1:{port}/"),
        "http://".to_owned(),
    ] {
        let server = Server::start(move |_, _| to(&hop)).await;
        let policy = UrlPolicy::new().allow(&server.address.to_string()).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let verifier = verifier(cache.path())
            .policy(policy)
            .redirects(3)
            .build()
            .unwrap();
        let error = verifier
            .verify(context(), source(&server.url("/a"), b"found"))
            .await;
        assert!(
            matches!(error, Err(VerifyError::Refused { .. })),
            "{error:?}"
        );
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn sec_d03_credentials_do_not_travel_to_another_host() {
    let other = Server::start(|_, _| Reply::ok(b"found")).await;
    let target = other.url("/b");
    let first = Server::start(move |_, _| to(&target)).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path())
        .bearer_for(first.address.to_string(), Secret::new("canary"))
        .redirects(1)
        .build()
        .unwrap();
    let found = verifier.verify(context(), source(&first.url("/a?sig=canary"), b"found"));
    found.await.unwrap();
    assert_eq!(
        header(&first.requests()[0], "authorization"),
        Some("Bearer canary")
    );
    assert!(!other.requests()[0].contains("canary"));
}
