//! Whole releases over SSH.

use std::path::Path;

use deploy_core::model::{
    DeploymentId, DeploymentRequest, Fence, Hook, HookPoint, HostStatus, PackageUrl, ReleaseTask,
    Target, TaskId,
};
use deploy_core::{CancelToken, Executor as _, ReleaseExecutor};
use deploy_testkit::FakeVerifier;

use crate::support::{Sshd, context};

/// A package of two files, one of which does not compress.
fn package(directory: &Path) -> FakeVerifier {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let large: Vec<u8> = (0..3_000_000).map(|_| next()).collect();
    std::fs::write(directory.join("large"), large).unwrap();
    std::fs::write(directory.join("version"), "one\n").unwrap();
    let packed = std::process::Command::new("tar")
        .args(["-czf", "-", "-C"])
        .arg(directory)
        .args(["large", "version"])
        .output()
        .unwrap();
    assert!(packed.status.success());
    FakeVerifier::new(packed.stdout)
}

fn task(sshd: &Sshd, root: &Path, verifier: &FakeVerifier, hook: &str) -> ReleaseTask {
    let source = verifier.source(PackageUrl::new("http://packages.test/app.tar.gz").unwrap());
    let request =
        DeploymentRequest::new("shop".parse().unwrap(), "app".parse().unwrap(), source.clone());
    let target = Target::new(
        "h1".parse().unwrap(),
        "127.0.0.1".parse().unwrap(),
        sshd.endpoint(),
        root.to_str().unwrap().parse().unwrap(),
    );
    let mut task = ReleaseTask::new(
        TaskId::new("d-1.1").unwrap(),
        DeploymentId::new("d-1").unwrap(),
        &request,
        source,
        vec![target],
        Fence::new(1),
    );
    task.release.hooks.before_switch.push(Hook::new(hook).unwrap());
    assert_eq!(task.release.hooks.at(HookPoint::BeforeSwitch).len(), 1);
    task
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed() {
    let (sshd, directory) = (Sshd::start(), tempfile::tempdir().unwrap());
    let verifier = package(directory.path());
    let root = directory.path().join("srv/it's an app");
    let hook = "echo \"$DEPLOY_PROJECT\" >from-hook";
    let task = task(&sshd, &root, &verifier, hook);
    let connector = sshd.builder().build().unwrap();
    let executor = ReleaseExecutor::builder(connector, verifier).free_space(1 << 20).build();
    let report = executor.execute(context(), task).await.unwrap();
    let host = &report.hosts[0];
    assert_eq!(host.status, HostStatus::Succeeded, "{host:?}\n{}", sshd.log());
    let read = |path: &str| std::fs::read(root.join("current").join(path)).unwrap();
    assert!(read("large") == std::fs::read(directory.path().join("large")).unwrap());
    assert_eq!((read("version"), read("from-hook")), (b"one\n".to_vec(), b"app\n".to_vec()));
    assert_eq!(sshd.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_cancelled_in_a_hook_leaves_nothing_behind() {
    let (sshd, directory) = (Sshd::start(), tempfile::tempdir().unwrap());
    let verifier = package(directory.path());
    let root = directory.path().join("srv");
    let begun = directory.path().join("begun");
    let hook = format!("echo $$ >{}; sleep 1000", begun.display());
    let task = task(&sshd, &root, &verifier, &hook);
    let connector = sshd.builder().build().unwrap();
    let executor = ReleaseExecutor::builder(connector, verifier).free_space(1 << 20).build();
    let cancel = CancelToken::new();
    let cancelling = async {
        while !begun.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        cancel.cancel("enough");
    };
    let (report, ()) =
        tokio::join!(executor.execute(context().with_cancel(cancel.clone()), task), cancelling);
    let host = &report.unwrap().hosts[0];
    assert_eq!(host.status, HostStatus::Cancelled, "{host:?}");
    assert!(!root.join("current").exists() && !root.join("releases/d-1").exists());
    let hook = std::fs::read_to_string(&begun).unwrap();
    let state = std::fs::read_to_string(format!("/proc/{}/stat", hook.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}
