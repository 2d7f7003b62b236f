//! Which URLs are contacted: the table of those that are not, and names that change their mind.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deploy_core::model::{Md5Digest, PackageSource, PackageUrl};
use deploy_core::{ProbeError, ProbeQuestion, Prober, Verifier, VerifyError};
use deploy_http::{HostLookup, HttpProber, HttpVerifier, UrlPolicy};
use url::Url;

use crate::support::server::{Reply, Server};
use crate::support::{SOON, context};

/// URLs that must lead to no connection. `{p}` is the port at which a canary listens.
const REFUSED: &[&str] = &[
    // Loopback, in the forms that a URL may have.
    "http://127.0.0.1:{p}/",
    "http://127.0.0.2:{p}/",
    "http://127.1.2.3:{p}/",
    "http://127.255.255.254:{p}/",
    "http://127.1:{p}/",
    "http://127.0.1:{p}/",
    "http://2130706433:{p}/",
    "http://0x7f000001:{p}/",
    "http://0x7f.0.0.1:{p}/",
    "http://0x7f.1:{p}/",
    "http://0X7F.0X0.0X0.0X1:{p}/",
    "http://0177.0.0.1:{p}/",
    "http://0177.1:{p}/",
    "http://017700000001:{p}/",
    "http://0000177.0.0.1:{p}/",
    "http://127.0.0.1.:{p}/",
    "http://127.0.0.01:{p}/",
    "http://%31%32%37.0.0.1:{p}/",
    "http://127%2e0%2e0%2e1:{p}/",
    "http://127。0。0。1:{p}/",
    "http://127．0．0．1:{p}/",
    "http://１２７.0.0.1:{p}/",
    "http://①②⑦.⓪.⓪.①:{p}/",
    "http:127.0.0.1:{p}/",
    "http:/127.0.0.1:{p}/",
    "http:\\\\127.0.0.1:{p}\\",
    "http://\t127.0.0.1:{p}/",
    "http://127.0.\n0.1:{p}/",
    " http://127.0.0.1:{p}/ ",
    "HTTP://127.0.0.1:{p}/",
    "http://127.0.0.1:0{p}/",
    "http://127.0.0.1:{p}",
    "http://127.0.0.1:{p}?x=http://good/",
    "http://127.0.0.1:{p}#@good/",
    // Names of this machine.
    "http://localhost:{p}/",
    "http://localhost.:{p}/",
    "http://LOCALHOST:{p}/",
    "http://LocalHost:{p}/a/../b",
    "http://%6c%6f%63%61%6c%68%6f%73%74:{p}/",
    "http://ｌｏｃａｌｈｏｓｔ:{p}/",
    "http://loc\u{ad}alhost:{p}/",
    // Unspecified: Linux takes it as this machine.
    "http://0.0.0.0:{p}/",
    "http://0:{p}/",
    "http://0x0:{p}/",
    "http://0.1.2.3:{p}/",
    "http://[::]:{p}/",
    "http://[0:0:0:0:0:0:0:0]:{p}/",
    // IPv6 loopback, and IPv4 within IPv6.
    "http://[::1]:{p}/",
    "http://[0:0:0:0:0:0:0:1]:{p}/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]:{p}/",
    "http://[::0001]:{p}/",
    "http://[::ffff:127.0.0.1]:{p}/",
    "http://[::ffff:7f00:1]:{p}/",
    "http://[::FFFF:7F00:0001]:{p}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{p}/",
    "http://[::ffff:0.0.0.0]:{p}/",
    "http://[::127.0.0.1]:{p}/",
    "http://[::7f00:1]:{p}/",
    "http://[::ffff:0:127.0.0.1]:{p}/",
    "http://[64:ff9b::127.0.0.1]:{p}/",
    "http://[64:ff9b::7f00:1]:{p}/",
    "http://[64:ff9b:1::7f00:1]:{p}/",
    "http://[2002:7f00:1::]:{p}/",
    "http://[2001:0:1:2:3:4:80ff:fffe]:{p}/",
    // Metadata services and link-local addresses.
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254:{p}/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://168.63.129.16/",
    "http://169.254.0.1/",
    "http://[fe80::1]/",
    "http://[febf::1]/",
    // Multicast, broadcast, reserved.
    "http://224.0.0.1/",
    "http://239.255.255.250:1900/",
    "http://255.255.255.255/",
    "http://240.0.0.1/",
    "http://[ff02::1]/",
    // Credentials that make an address look like another.
    "http://good.example@127.0.0.1:{p}/",
    "http://good.example:80@127.0.0.1:{p}/",
    "http://user:password@10.0.0.1/",
    "http://127.0.0.1:{p}@good.example/",
    "http://good.example%40127.0.0.1:{p}/",
    // Other schemes.
    "ftp://127.0.0.1:{p}/",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "gopher://127.0.0.1:{p}/_GET",
    "dict://127.0.0.1:{p}/x",
    "ws://127.0.0.1:{p}/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "git::http://127.0.0.1:{p}/",
    "unix:///var/run/docker.sock",
    // No address at all.
    "http://",
    "http:///",
    "http://:{p}/",
    "http://[::1",
    "http://127.0.0.1:99999/",
    "http://256.256.256.256/",
    "http://a b/",
    "127.0.0.1:{p}",
];

#[tokio::test]
async fn sec_d01_no_url_of_the_table_leads_to_a_connection() {
    assert!(REFUSED.len() >= 80);
    let canary = Server::canary().await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = HttpVerifier::builder(cache.path())
        .tries(1)
        .build()
        .unwrap();
    let prober = HttpProber::builder().build().unwrap();
    for template in REFUSED {
        let text = template.replace("{p}", &canary.address.port().to_string());
        if let Ok(url) = PackageUrl::new(&text) {
            let source = PackageSource::new(url, Md5Digest::of(b"found"));
            let error = verifier.verify(context(), source).await;
            assert!(
                matches!(error, Err(VerifyError::Refused { .. })),
                "{text}: {error:?}"
            );
        }
        if let Ok(url) = Url::parse(&text) {
            let question = ProbeQuestion::new(url, Duration::from_secs(60), 100);
            let error = prober.probe(context(), question).await;
            assert!(
                matches!(error, Err(ProbeError::Forbidden { .. })),
                "{text}: {error:?}"
            );
        }
        assert_eq!(canary.connections(), 0, "{text}");
    }
}

#[tokio::test]
async fn the_table_would_reach_the_canary_if_it_were_allowed() {
    let canary = Server::canary().await;
    let port = canary.address.port();
    let policy = UrlPolicy::new().allow_loopback();
    let prober = HttpProber::builder().policy(policy).build().unwrap();
    for text in [
        "http://127.0.0.1:{p}/",
        "http://2130706433:{p}/",
        "http://localhost:{p}/",
        "http://[::ffff:127.0.0.1]:{p}/",
    ] {
        let url = Url::parse(&text.replace("{p}", &port.to_string())).unwrap();
        let question = ProbeQuestion::new(url, Duration::from_secs(60), 100);
        let answer = prober.probe(context(), question).await.unwrap();
        assert_eq!(answer.body, b"found", "{text}");
    }
    assert_eq!(canary.connections(), 4);
}

#[tokio::test]
async fn sec_d01_one_forbidden_address_of_a_name_is_enough() {
    let canary = Server::canary().await;
    let port = canary.address.port();
    for addresses in [
        ["10.0.0.1", "127.0.0.1"],
        ["127.0.0.1", "10.0.0.1"],
        ["10.0.0.1", "::ffff:127.0.0.1"],
        ["10.0.0.1", "169.254.169.254"],
    ] {
        let addresses: Vec<IpAddr> = addresses.map(|text| text.parse().unwrap()).to_vec();
        let lookup = HostLookup::new(move |_| std::future::ready(Ok(addresses.clone())));
        let policy = UrlPolicy::new().lookup(lookup);
        let prober = HttpProber::builder().policy(policy).build().unwrap();
        let url = Url::parse(&format!("http://good.example:{port}/")).unwrap();
        let question = ProbeQuestion::new(url, Duration::from_secs(60), 100);
        let error = prober.probe(context(), question).await;
        assert!(
            matches!(error, Err(ProbeError::Forbidden { .. })),
            "{error:?}"
        );
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn sec_d02_a_name_that_changes_its_mind_gains_nothing() {
    const TRIES: usize = 1000;
    let server = Server::start(|_, _| Reply::ok(b"good")).await;
    let port = server.address.port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    // Every second answer is 0.0.0.0, which is this machine too and would be connected to.
    let lookup = HostLookup::new(move |_| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        let last = if number.is_multiple_of(2) {
            [127, 0, 0, 1]
        } else {
            [0, 0, 0, 0]
        };
        std::future::ready(Ok(vec![IpAddr::from(last)]))
    });
    let policy = UrlPolicy::new().allow_loopback().lookup(lookup);
    let prober = HttpProber::builder().policy(policy).build().unwrap();
    let url = Url::parse(&format!("http://fickle.example:{port}/")).unwrap();
    for number in 0..TRIES {
        let question = ProbeQuestion::new(url.clone(), Duration::from_secs(60), 100);
        let answer = prober.probe(context(), question).await;
        match answer {
            Ok(_) => assert_eq!(number % 2, 0),
            Err(ProbeError::Forbidden { .. }) => assert_eq!(number % 2, 1),
            Err(error) => panic!("{error:?}"),
        }
    }
    // One lookup for each try, and a connection only where its answer was allowed.
    assert_eq!(asked.load(Ordering::SeqCst), TRIES);
    assert_eq!(server.connections(), TRIES / 2);
}

#[tokio::test]
async fn a_named_host_and_port_is_contacted_whatever_its_address_and_no_other_port_is() {
    let server = Server::start(|_, _| Reply::ok(b"found")).await;
    let canary = Server::canary().await;
    let (port, other) = (server.address.port(), canary.address.port());
    let lookup = HostLookup::new(|_| std::future::ready(Ok(vec![IpAddr::from([127, 0, 0, 1])])));
    let policy = UrlPolicy::new().lookup(lookup);
    let policy = policy.allow(&format!("near.example:{port}")).unwrap();
    let prober = HttpProber::builder().policy(policy).build().unwrap();
    let ask = async |text: String| {
        let url = Url::parse(&text).unwrap();
        let question = ProbeQuestion::new(url, Duration::from_secs(60), 100);
        prober.probe(context(), question).await
    };
    ask(format!("http://near.example:{port}/")).await.unwrap();
    ask(format!("http://NEAR.example.:{port}/")).await.unwrap();
    for refused in [
        format!("http://near.example:{other}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("http://far.example:{port}/"),
    ] {
        let error = ask(refused).await.unwrap_err();
        assert!(matches!(error, ProbeError::Forbidden { .. }), "{error:?}");
    }
    assert_eq!((server.connections(), canary.connections()), (2, 0));
}

#[tokio::test]
async fn sec_d05_a_line_break_in_an_address_does_not_become_a_header() {
    let server = Server::start(|_, _| Reply::ok(b"found")).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = crate::support::package::verifier(cache.path())
        .first_pause(SOON)
        .build()
        .unwrap();
    for path in [
        "/a\r\nx-evil: 1",
        "/a%0d%0ax-evil:%201",
        "/a?b=\r\nx-evil: 1",
        "/a#\r\nx-evil: 1",
    ] {
        let url = PackageUrl::new(&server.url(path)).unwrap();
        let source = PackageSource::new(url, Md5Digest::of(b"found"));
        verifier.verify(context(), source).await.unwrap();
    }
    for request in server.requests() {
        assert!(
            !request.lines().any(|line| line.starts_with("x-evil")),
            "{request}"
        );
    }
}
