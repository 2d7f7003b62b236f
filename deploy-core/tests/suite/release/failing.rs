//! Hosts on which a release cannot work.

use deploy_core::model::HostStatus;
use deploy_core::{Executor, FailureCode, Retry};

use super::fixture::{Host, Package, Reached, Watched, hook, one, target};

on_every_host! {
    a_host_without_room_is_left_alone(host) {
        let package = Package::version("one");
        let task = host.task("d1", 1, &package);
        let executor = host.executor(&package).free_space(1 << 60).build();
        let result = one(executor.execute(Watched::new(&task).cx, task).await.unwrap());
        assert_eq!(result.status, HostStatus::Failed);
        let failure = result.failure.unwrap();
        assert_eq!(failure.code, FailureCode::HostFull);
        assert!(failure.message.contains("1125899906842") && failure.message.contains("KiB are free"), "{failure}");
        assert_eq!(host.names("releases"), [""; 0]);
        host.assert_tidy();
    }

    a_disk_that_fills_up_fails_the_release_and_nothing_else(host) {
        let small = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(small.path()).status();
        assert!(mounted.is_ok_and(|s| s.success()), "as root: mount -t tmpfs -o size=3m tmpfs {}", small.path().display());
        let root = small.path().join("app");
        let host = Host { root, ..host };
        let (one, big) = (Package::version("one"), Package::version("big"));
        let first = host.deploy(&one, &host.task("d1", 1, &one)).await;
        let mut task = host.task("d2", 2, &big);
        task.release.hooks.before_switch = vec![hook("head -c 9000000 /dev/zero > filler")];
        let second = host.deploy(&big, &task).await;
        let serves = host.read("current/version");
        let (releases, free) = (host.names("releases"), host.is_unlocked());
        std::process::Command::new("umount").arg("-l").arg(small.path()).status().unwrap();
        assert_eq!(first.status, HostStatus::Succeeded, "{first:?}");
        assert_eq!(second.status, HostStatus::Failed, "{second:?}");
        assert_eq!((serves.as_str(), releases, free), ("one", vec!["d1".to_owned()], true));
    }

    a_current_that_is_no_link_is_not_touched(host) {
        let package = Package::version("one");
        std::fs::create_dir_all(host.root.join("current/precious")).unwrap();
        let result = host.deploy(&package, &host.task("d1", 1, &package)).await;
        assert_eq!(result.failure.unwrap().code, FailureCode::HostFailed);
        assert!(host.root.join("current/precious").exists());
    }

    a_root_that_cannot_be_made_says_so(host) {
        let package = Package::version("one");
        std::fs::create_dir_all(host.root.parent().unwrap()).unwrap();
        std::fs::write(&host.root, "a file").unwrap();
        let result = host.deploy(&package, &host.task("d1", 1, &package)).await;
        assert_eq!(result.status, HostStatus::Failed);
        assert_eq!(result.failure.unwrap().code, FailureCode::HostFailed);
    }
}

#[tokio::test]
async fn a_tool_that_is_missing_is_named() {
    let host = Host::new("busybox", false);
    let package = Package::packed("app.tar.zst", &[("a", "b")], "tar -cf - * | zstd -q > \"$1\"");
    let result = host.deploy(&package, &host.task("d1", 1, &package)).await;
    let failure = result.failure.unwrap();
    assert_eq!(failure.code, FailureCode::ToolMissing);
    assert_eq!(failure.message, "the host lacks zstd");
    assert_eq!(failure.retry, Retry::Never);
}

#[tokio::test]
async fn each_host_has_its_result_in_the_order_of_the_task() {
    let host = Host::new("dash", true);
    let package = Package::version("one");
    let mut task = host.task("d1", 1, &package);
    std::fs::write(host.dir.path().join("file"), "").unwrap();
    let root = |name: &str| host.dir.path().join(name);
    task.hosts =
        vec![target("h1", &root("a")), target("h2", &root("file/b")), target("h3", &root("c"))];
    task.max_parallel = 2;
    let executor = host.executor(&package).build();
    let watched = Watched::new(&task);
    let report = executor.execute(watched.cx.clone(), task).await.unwrap();
    let found: Vec<_> = report.hosts.iter().map(|h| (h.host.as_str(), h.status)).collect();
    let expected =
        [("h1", HostStatus::Succeeded), ("h2", HostStatus::Failed), ("h3", HostStatus::Succeeded)];
    assert_eq!(found, expected);
    let finished = watched.facts().iter().filter(|f| f.name() == "host_finished").count();
    assert_eq!(finished, 3);
}

#[tokio::test]
async fn an_endpoint_of_another_scheme_is_not_reached() {
    let host = Host::new("dash", true);
    let package = Package::version("one");
    let mut task = host.task("d1", 1, &package);
    task.hosts[0].endpoint = "ssh://h1".parse().unwrap();
    let result = host.deploy(&package, &task).await;
    assert_eq!(result.status, HostStatus::Failed);
    assert_eq!(result.failure.unwrap().code, FailureCode::Invalid);
}

/// A connector with a defect.
#[derive(Debug)]
struct Broken(Reached);

#[async_trait::async_trait]
impl deploy_core::Connector for Broken {
    async fn connect(
        &self,
        cx: deploy_core::Context,
        target: deploy_core::model::Target,
    ) -> Result<Box<dyn deploy_core::Session>, deploy_core::ConnectError> {
        assert_ne!(target.host.as_str(), "h2", "a planted defect");
        self.0.connect(cx, target).await
    }
}

#[tokio::test]
async fn a_panic_on_one_host_is_that_hosts_result() {
    let host = Host::new("dash", true);
    let package = Package::version("one");
    let mut task = host.task("d1", 1, &package);
    task.hosts.push(target("h2", &host.dir.path().join("b")));
    let reached = Reached { connector: host.connector.clone(), in_process: true };
    let executor =
        deploy_core::ReleaseExecutor::builder(Broken(reached), package.verifier()).build();
    let report = executor.execute(Watched::new(&task).cx, task).await.unwrap();
    assert_eq!(report.hosts[0].status, HostStatus::Succeeded);
    assert_eq!(report.hosts[1].failure.as_ref().unwrap().code, FailureCode::Internal);
}

#[tokio::test]
async fn a_directory_whose_name_is_no_text_is_refused_and_no_other_taken_for_it() {
    let host = Host::new("dash", true);
    let package = Package::version("one");
    let mut task = host.task("d1", 1, &package);
    let base = host.dir.path().display().to_string();
    task.hosts[0].endpoint = format!("local:{base}/%FF").parse().unwrap();
    let failure = host.deploy(&package, &task).await.failure.unwrap();
    assert_eq!(failure.code, FailureCode::Invalid, "{failure}");
    assert!(!host.root.exists());
}
