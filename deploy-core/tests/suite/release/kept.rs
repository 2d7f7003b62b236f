//! Packages that stay on a host, so that they are not sent again.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use deploy_core::model::{HostResult, HostStatus, ReleaseTask, Target};
use deploy_core::{
    CommandIo, ConnectError, Connector, Context, Executor, Exit, Fact, ReleaseExecutor, Session,
    SessionError, pipe,
};

use super::fixture::{Host, Package, Reached, Watched, hook, one};

/// A connector that counts what is sent to the host's programs.
#[derive(Clone, Debug)]
struct Counted {
    connector: Reached,
    sent: Arc<AtomicU64>,
}

#[async_trait]
impl Connector for Counted {
    async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError> {
        let session = self.connector.connect(cx, target).await?;
        Ok(Box::new(CountedSession { session, sent: Arc::clone(&self.sent) }))
    }
}

#[derive(Debug)]
struct CountedSession {
    session: Box<dyn Session>,
    sent: Arc<AtomicU64>,
}

#[async_trait]
impl Session for CountedSession {
    async fn run(
        &self,
        cx: Context,
        script: String,
        mut io: CommandIo,
    ) -> Result<Exit, SessionError> {
        let (to, stdin) = pipe(1);
        let mut from = std::mem::replace(&mut io.stdin, stdin);
        let count = async {
            while let Some(chunk) = from.read().await {
                self.sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                if to.write(chunk).await.is_err() {
                    break;
                }
            }
            drop(to);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            exit = self.session.run(cx, script, io) => exit,
            () = count => unreachable!("it goes on for ever"),
        }
    }
}

/// What a deployment came to.
struct Deployed {
    result: HostResult,
    /// Bytes that the host's program was sent.
    sent: u64,
    watched: Watched,
}

impl Deployed {
    fn note(&self, step: &str) -> Option<String> {
        self.watched.facts().into_iter().find_map(|fact| match fact {
            Fact::StepFinished { step: found, note, .. } if found.to_string() == step => note,
            _ => None,
        })
    }

    fn succeeded(&self) -> bool {
        self.result.status == HostStatus::Succeeded
    }
}

async fn deploy_with(host: &Host, package: &Package, task: ReleaseTask, free: u64) -> Deployed {
    let connector = Reached { connector: host.connector.clone(), in_process: host.in_process };
    let sent = Arc::new(AtomicU64::new(0));
    let connector = Counted { connector, sent: Arc::clone(&sent) };
    let executor = ReleaseExecutor::builder(connector, package.verifier()).free_space(free).build();
    let watched = Watched::new(&task);
    let result = one(executor.execute(watched.cx.clone(), task).await.unwrap());
    Deployed { result, sent: sent.load(Ordering::Relaxed), watched }
}

async fn deploy(host: &Host, package: &Package, id: &str, number: u64) -> Deployed {
    deploy_with(host, package, host.task(id, number, package), 1 << 20).await
}

/// A host that is sent its packages, by each shell.
fn hosts() -> [Host; 3] {
    ["dash", "bash", "busybox"].map(|shell| Host::new(shell, false))
}

#[tokio::test]
async fn a_package_that_is_there_is_not_sent_again() {
    for host in hosts() {
        let package = Package::version("one");
        let first = deploy(&host, &package, "d1", 1).await;
        assert!(first.succeeded(), "{:?}", first.result);
        assert!(first.sent > package.digests.size, "{}", first.sent);
        let second = deploy(&host, &package, "d2", 2).await;
        assert!(second.succeeded(), "{:?}", second.result);
        assert_eq!(second.sent, 0);
        assert_eq!(second.note("transfer").as_deref(), Some("on the host already"));
        let steps = "+connect -connect +lock -lock +transfer -transfer +verify -verify +unpack -unpack \
            +switch -switch +prune -prune";
        assert_eq!(second.watched.steps(), steps.split_whitespace().collect::<Vec<_>>());
        assert_eq!(host.current().as_deref(), Some("d2"));
        assert_eq!(host.read("current/version"), "one");
        host.assert_tidy();
    }
}

#[tokio::test]
async fn going_back_and_forth_between_two_releases_moves_no_bytes() {
    let host = Host::new("dash", false);
    let (one, two) = (Package::version("one"), Package::version("two"));
    deploy(&host, &one, "d1", 1).await;
    deploy(&host, &two, "d2", 2).await;
    for (number, package) in [&one, &two, &one].into_iter().enumerate() {
        let number = number as u64 + 3;
        let again = deploy(&host, package, &format!("d{number}"), number).await;
        assert!(again.succeeded(), "{:?}", again.result);
        assert_eq!(again.sent, 0);
    }
    assert_eq!(host.read("current/version"), "one");
}

#[tokio::test]
async fn a_damaged_package_is_noticed_and_sent_anew() {
    for host in hosts() {
        let package = Package::version("one");
        deploy(&host, &package, "d1", 1).await;
        let kept = host.root.join(format!(".deploy/packages/{}", package.digests.sha256));
        let mut bytes = fs::read(&kept).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&kept, bytes).unwrap();
        let second = deploy(&host, &package, "d2", 2).await;
        assert!(second.succeeded(), "{:?}", second.result);
        assert!(second.sent > package.digests.size);
        assert_eq!(
            second.note("transfer").as_deref(),
            Some("sent again: the package on the host was damaged")
        );
        assert_eq!(fs::read(&kept).unwrap(), fs::read(&package.path).unwrap());
        // Torn by a crash: it has another size.
        fs::write(&kept, "").unwrap();
        let third = deploy(&host, &package, "d3", 3).await;
        assert!(third.succeeded(), "{:?}", third.result);
        assert!(third.sent > package.digests.size);
        assert_eq!(deploy(&host, &package, "d4", 4).await.sent, 0);
        host.assert_tidy();
    }
}

#[tokio::test]
async fn a_link_in_the_place_of_a_package_is_not_followed() {
    let host = Host::new("dash", false);
    let package = Package::version("one");
    deploy(&host, &package, "d1", 1).await;
    let kept = host.root.join(format!(".deploy/packages/{}", package.digests.sha256));
    let elsewhere = host.dir.path().join("elsewhere");
    fs::rename(&kept, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &kept).unwrap();
    let second = deploy(&host, &package, "d2", 2).await;
    assert!(second.succeeded() && second.sent > package.digests.size, "{:?}", second.result);
    assert!(fs::symlink_metadata(&kept).unwrap().is_file() && elsewhere.exists());
}

#[tokio::test]
async fn the_packages_of_the_newest_good_releases_stay() {
    let host = Host::new("dash", false);
    let packages: Vec<Package> = (0..4).map(|n| Package::version(&n.to_string())).collect();
    for (number, package) in packages.iter().enumerate() {
        deploy(&host, package, &format!("d{number}"), number as u64 + 1).await;
    }
    let name = |package: &Package| package.digests.sha256.to_string();
    let mut expected = vec![name(&packages[2]), name(&packages[3])];
    expected.sort();
    assert_eq!(host.names(".deploy/packages"), expected);
    // The package of a release that failed does not count, and does not stay.
    let bad = Package::version("bad");
    let mut task = host.task("bad", 9, &bad);
    task.release.hooks.after_switch = vec![hook("exit 1")];
    let failed = deploy_with(&host, &bad, task, 1 << 20).await;
    assert_eq!(failed.result.status, HostStatus::RolledBack);
    assert_eq!(host.names(".deploy/packages"), expected);
}

#[tokio::test]
async fn none_is_kept_when_none_is_wanted() {
    let host = Host::new("dash", false);
    let package = Package::version("one");
    for number in 1..=3 {
        let mut task = host.task(&format!("d{number}"), number, &package);
        task.release.keep_packages = if number == 2 { 1 } else { 0 };
        let deployed = deploy_with(&host, &package, task, 1 << 20).await;
        assert!(deployed.succeeded(), "{:?}", deployed.result);
        assert_eq!(deployed.sent == 0, number == 3);
        let kept = usize::from(number == 2);
        assert_eq!(host.names(".deploy/packages").len(), kept, "after {number}");
    }
}

#[tokio::test]
async fn two_projects_keep_their_packages_apart() {
    let host = Host::new("dash", false);
    let package = Package::version("one");
    deploy(&host, &package, "d1", 1).await;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("other");
    let other = Host::at(dir, root, "dash", false);
    let first = deploy(&other, &package, "d1", 1).await;
    assert!(first.succeeded() && first.sent > package.digests.size, "{:?}", first.result);
}

#[tokio::test]
async fn an_agent_on_the_host_itself_needs_no_copy_and_leaves_those_that_are_there() {
    let host = Host::new("dash", false);
    let package = Package::version("one");
    deploy(&host, &package, "d1", 1).await;
    let host = Host { in_process: true, ..host };
    let mut task = host.task("d2", 2, &package);
    task.release.hooks.after_switch = vec![hook("ls \"$DEPLOY_ROOT/.deploy/packages\"")];
    let second = deploy_with(&host, &package, task, 1 << 20).await;
    assert!(second.succeeded(), "{:?}", second.result);
    assert_eq!(host.names(".deploy/packages"), [package.digests.sha256.to_string()]);
}

/// A small file system that fills up.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "as root: mount -t tmpfs -o size={size} tmpfs {}",
            dir.path().display()
        );
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// A package of so many bytes that nothing makes smaller.
fn large(bytes: usize) -> Package {
    let pack = format!("head -c {bytes} /dev/urandom > x; tar -cf \"$1\" x");
    Package::packed("app.tar", &[("x", "")], &pack)
}

#[tokio::test]
async fn kept_packages_make_room_for_a_release() {
    let small = Small::mount("10m");
    let host = Host { root: small.path().join("app"), ..Host::new("dash", false) };
    let (one, two, three) = (large(2_000_000), large(2_000_000), large(2_000_000));
    assert!(deploy_with(&host, &one, host.task("d1", 1, &one), 0).await.succeeded());
    assert!(deploy_with(&host, &two, host.task("d2", 2, &two), 0).await.succeeded());
    // Two releases and two packages of 2 MB each leave no room for another pair.
    let third = deploy_with(&host, &three, host.task("d3", 3, &three), 0).await;
    assert!(third.succeeded(), "{:?}", third.result);
    assert_eq!(host.names(".deploy/packages"), [three.digests.sha256.to_string()]);
    // The one that is reused is not thrown away for room, and needs none.
    let mut task = host.task("d4", 4, &three);
    task.release.keep = 1;
    let fourth = deploy_with(&host, &three, task, 0).await;
    assert!(fourth.succeeded(), "{:?}", fourth.result);
    assert_eq!(fourth.sent, 0);
}
