//! The directory of kept packages: what is found there, what is not, and what goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use deploy_core::model::{Md5Digest, PackageSource, PackageUrl};
use deploy_core::{Verifier, VerifyError};
use deploy_http::HttpVerifier;

use crate::support::context;
use crate::support::package::{bytes, content, digests, kept, pinned, source, verifier};
use crate::support::server::{Reply, Server};

#[tokio::test]
async fn a_kept_package_is_found_by_its_sha256_and_not_fetched_again() {
    let server = Server::start(|_, _| Reply::ok(b"package")).await;
    let cache = tempfile::tempdir().unwrap();
    let url = server.url("/a");
    for _ in 0..2 {
        // Also after a restart.
        let verifier = verifier(cache.path()).build().unwrap();
        for _ in 0..3 {
            let source = pinned(&url, b"package");
            let found = verifier.verify(context(), source).await.unwrap();
            assert_eq!(content(&found.file), b"package");
        }
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn sec_c01_a_kept_package_is_never_found_by_its_md5() {
    // The pair of Wang, Feng, Lai and Yu (2004): two texts with one MD5.
    let good = hex("d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89\
         55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b\
         d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0\
         e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70");
    let evil = hex("d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f89\
         55ad340609f4b30283e4888325f1415a085125e8f7cdc99fd91dbd7280373c5b\
         d8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0\
         e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70");
    assert_eq!(Md5Digest::of(&good), Md5Digest::of(&evil));
    assert_eq!(Md5Digest::of(&good).to_string(), "79054025255fb1a26e4bc422aef54eb4");
    let (first, then) = (good.clone(), evil.clone());
    let server = Server::start(move |number, _| match number {
        0 => Reply::ok(&first),
        _ => Reply::ok(&then),
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let url = server.url("/a");
    verifier.verify(context(), pinned(&url, &good)).await.unwrap();
    // By MD5 alone it is fetched anew, whatever is kept.
    let found = verifier.verify(context(), source(&url, &good)).await.unwrap();
    assert_eq!(content(&found.file), evil);
    // With a SHA-256 the twin is refused, and the good one is found.
    let other = PackageSource::new(PackageUrl::new(&url).unwrap(), digests(&good).md5)
        .with_sha256(digests(&good).sha256);
    let found = verifier.verify(context(), other).await.unwrap();
    assert_eq!(content(&found.file), good);
    let fresh = tempfile::tempdir().unwrap();
    let verifier = crate::support::package::verifier(fresh.path()).build().unwrap();
    let error = verifier.verify(context(), pinned(&url, &good)).await.unwrap_err();
    assert!(matches!(error, VerifyError::Mismatch { what: "SHA-256", .. }));
}

#[tokio::test]
async fn a_kept_package_does_not_excuse_another_md5_or_size() {
    let server = Server::start(|_, _| Reply::ok(b"package")).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let good = pinned(&server.url("/a"), b"package");
    verifier.verify(context(), good.clone()).await.unwrap();
    let other_md5 = source(&server.url("/a"), b"other").with_sha256(digests(b"package").sha256);
    let error = verifier.verify(context(), other_md5).await.unwrap_err();
    assert!(matches!(error, VerifyError::Mismatch { what: "MD5", .. }));
    let error = verifier.verify(context(), good.clone().with_size(8)).await;
    assert!(matches!(error, Err(VerifyError::Mismatch { what: "size", .. })));
    // Neither was a reason to throw the package away.
    verifier.verify(context(), good).await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_damaged_package_is_noticed_removed_and_fetched_again() {
    let package = bytes(600_000);
    let served = package.clone();
    let server = Server::start(move |_, _| Reply::ok(&served)).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let source = pinned(&server.url("/a"), &package);
    verifier.verify(context(), source.clone()).await.unwrap();
    let path = cache.path().join("sha256").join(digests(&package).sha256.to_string());
    let mut flipped = package.clone();
    flipped[599_999] ^= 0x80;
    for damage in [flipped, package[..10].to_vec(), Vec::new()] {
        fs::write(&path, damage).unwrap();
        let found = verifier.verify(context(), source.clone()).await.unwrap();
        assert_eq!(content(&found.file), package);
        assert_eq!(fs::read(&path).unwrap(), package);
    }
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn sec_c08_a_link_in_the_cache_is_not_followed() {
    let server = Server::start(|_, _| Reply::ok(b"package")).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let elsewhere = cache.path().join("elsewhere");
    fs::write(&elsewhere, b"package").unwrap();
    let name = digests(b"package").sha256.to_string();
    std::os::unix::fs::symlink(&elsewhere, cache.path().join("sha256").join(name)).unwrap();
    let source = pinned(&server.url("/a"), b"package");
    verifier.verify(context(), source).await.unwrap();
    assert_eq!(server.requests().len(), 1);
    assert_eq!(fs::read(&elsewhere).unwrap(), b"package");
}

#[tokio::test]
async fn the_file_that_is_given_stays_readable_when_the_cache_drops_it() {
    let server = Server::start(|_, _| Reply::ok(b"package")).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let source = pinned(&server.url("/a"), b"package");
    let found = verifier.verify(context(), source).await.unwrap();
    fs::remove_dir_all(cache.path()).unwrap();
    assert_eq!(content(&found.file), b"package");
}

#[tokio::test]
async fn sec_c07_only_its_owner_can_read_what_is_kept() {
    let server = Server::start(|_, _| Reply::ok(b"package")).await;
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path().join("made/here");
    let verifier = verifier(&cache).build().unwrap();
    let source = pinned(&server.url("/a"), b"package");
    verifier.verify(context(), source).await.unwrap();
    let directory = cache.join("sha256");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory.clone()), 0o700);
    let name = digests(b"package").sha256.to_string();
    assert_eq!(mode(directory.join(name)), 0o600);
}

#[tokio::test]
async fn what_a_crash_left_is_removed_and_what_lives_is_not() {
    let server = Server::start(|_, _| Reply::ok(b"package").cut(3).then_stall()).await;
    let cache = tempfile::tempdir().unwrap();
    let first = Arc::new(verifier(cache.path()).build().unwrap());
    fs::write(cache.path().join("sha256/.partial-crashed"), b"half").unwrap();
    fs::write(cache.path().join("sha256/README"), b"somebody's").unwrap();
    let source = source(&server.url("/a"), b"package");
    let running = Arc::clone(&first);
    let running = tokio::spawn(async move { running.verify(context(), source).await });
    while kept(cache.path()).len() < 3 {
        tokio::task::yield_now().await;
    }
    let _second = verifier(cache.path()).build().unwrap();
    let names = kept(cache.path());
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].starts_with(".partial-") && names[0] != ".partial-crashed");
    // Dropping the download keeps nothing, once the thread that writes has noticed.
    running.abort();
    running.await.unwrap_err();
    while kept(cache.path()) != ["README"] {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes_when_there_is_too_much() {
    let server = Server::start(|_, request| {
        let name = request.split([' ', '/']).nth(2).unwrap();
        Reply::ok(name.repeat(100).as_bytes())
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).cache_size(250).build().unwrap();
    let package =
        |name: &str| pinned(&server.url(&format!("/{name}")), name.repeat(100).as_bytes());
    let path = |name: &str| {
        let sha256 = digests(name.repeat(100).as_bytes()).sha256;
        cache.path().join("sha256").join(sha256.to_string())
    };
    let used = |name: &str, seconds_ago: u64| {
        let file = fs::File::open(path(name)).unwrap();
        let then = SystemTime::now() - Duration::from_secs(seconds_ago);
        file.set_modified(then).unwrap();
    };
    verifier.verify(context(), package("a")).await.unwrap();
    verifier.verify(context(), package("b")).await.unwrap();
    used("a", 20);
    used("b", 10);
    // Using it again makes `a` the younger one.
    verifier.verify(context(), package("a")).await.unwrap();
    verifier.verify(context(), package("c")).await.unwrap();
    assert!(path("a").exists() && !path("b").exists() && path("c").exists());
    // What was just given stays even when it alone is too much.
    let large = pinned(&server.url("/dddd"), "dddd".repeat(100).as_bytes());
    verifier.verify(context(), large).await.unwrap();
    assert_eq!(kept(cache.path()).len(), 1);
    assert!(path("dddd").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_are_fetched_once_however_many_want_them() {
    let package = bytes(200_000);
    let served = package.clone();
    let server = Server::start(move |_, _| Reply::ok(&served)).await;
    let cache = tempfile::tempdir().unwrap();
    let verifier = Arc::new(verifier(cache.path()).build().unwrap());
    let source = pinned(&server.url("/a"), &package);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (verifier, source) = (Arc::clone(&verifier), source.clone());
        running.spawn(async move { verifier.verify(context(), source).await.unwrap() });
    }
    while let Some(found) = running.join_next().await {
        assert_eq!(found.unwrap().digests, digests(&package));
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn sec_d06_files_of_this_machine_are_packages_only_where_that_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, file) = (directory.path().join("cache"), directory.path().join("app.jar"));
    let package = bytes(700_000);
    fs::write(&file, &package).unwrap();
    let url = |path: &std::path::Path| format!("file://{}", path.display());
    let closed = verifier(&cache).build().unwrap();
    let error = closed.verify(context(), pinned(&url(&file), &package)).await;
    assert!(matches!(error, Err(VerifyError::Refused { .. })), "{error:?}");

    let open = verifier(&cache).allow_file_urls().build().unwrap();
    let found = open.verify(context(), source(&url(&file), &package)).await.unwrap();
    // It is a copy: the file may change.
    fs::write(&file, b"other").unwrap();
    assert_eq!(content(&found.file), package);
    for (path, wanted) in [
        (directory.path().join("missing"), "there is no such file"),
        (directory.path().to_owned(), "there is no such file"),
        (std::path::PathBuf::from("/dev/zero"), "there is no such file"),
    ] {
        let error = open.verify(context(), source(&url(&path), b"")).await;
        let Err(VerifyError::Refused { reason, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(reason, wanted);
    }
    let small = verifier(&cache).allow_file_urls().max_size(3).build().unwrap();
    let error = small.verify(context(), source(&url(&file), b"other")).await;
    assert!(matches!(error, Err(VerifyError::TooLarge { .. })));
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_an_error_of_storage() {
    let server = Server::start(|_, _| Reply::ok(b"package")).await;
    let cache = tempfile::tempdir().unwrap();
    let broken = verifier(cache.path()).build().unwrap();
    fs::remove_dir_all(cache.path().join("sha256")).unwrap();
    let error = broken.verify(context(), source(&server.url("/a"), b"package")).await;
    assert!(matches!(error, Err(VerifyError::Storage { .. })), "{error:?}");
    let file = cache.path().join("file");
    fs::write(&file, b"").unwrap();
    let built = HttpVerifier::builder(&file).build();
    assert!(matches!(built, Err(deploy_http::ConfigureError::Cache { .. })));
}

/// A download of 64 MiB, in a process of its own, since others of this test would be measured too.
#[test]
fn sec_c02_memory_does_not_grow_with_the_package() {
    const CHILD: &str = "DEPLOY_HTTP_MEASURES_MEMORY";
    const NAME: &str = "package_cache::sec_c02_memory_does_not_grow_with_the_package";
    if std::env::var_os(CHILD).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let small = fetch_zeros(1).await;
        let large = fetch_zeros(64).await;
        let grown = large.saturating_sub(small);
        println!("grew by {grown} KiB");
        assert!(grown < 16 * 1024, "grew by {grown} KiB");
    });
}

/// Fetches so many MiB of zeros, and gives the most memory that was in use so far, in KiB.
async fn fetch_zeros(mebibytes: u64) -> u64 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a", listener.local_addr().unwrap());
    let size = mebibytes * 1024 * 1024;
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // What is unread when a socket is closed would reset the connection.
        let count = stream.read(&mut [0; 4096]).await.unwrap();
        assert!(count > 0);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let block = vec![0; 64 * 1024];
        for _ in 0..size / (64 * 1024) {
            stream.write_all(&block).await.unwrap();
        }
    });
    let block = vec![0; 1024 * 1024];
    let mut expected = deploy_core::model::Digests::new();
    (0..mebibytes).for_each(|_| expected.update(&block));
    let expected = expected.finish();
    let cache = tempfile::tempdir().unwrap();
    let verifier = verifier(cache.path()).build().unwrap();
    let source = PackageSource::new(PackageUrl::new(&url).unwrap(), expected.md5);
    let found = verifier.verify(context(), source).await.unwrap();
    assert_eq!(found.digests, expected);
    serving.await.unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}
