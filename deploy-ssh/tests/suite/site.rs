//! Whole releases to hosts of a fleet, and what must be so after each, whatever happened.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deploy_core::model::{
    DeploymentId, Fence, Hook, HostResult, HostStatus, PackageUrl, ReleaseTask, Target, TaskId,
};
use deploy_core::{Connector, Context, Event, Executor, Fact, FnObserver, ReleaseExecutor, Step};
use deploy_testkit::{FakeVerifier, SshFleet, SshHost, samples};
use tokio::sync::watch;

/// A package that says which version it is, with so many bytes that do not shrink.
pub(crate) fn package(version: &str, bytes: usize) -> FakeVerifier {
    FakeVerifier::new(package_bytes(version, bytes))
}

pub(crate) fn package_bytes(version: &str, bytes: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("version"), version).unwrap();
    // A generator of numbers is as good as noise to gzip.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    });
    fs::write(dir.path().join("noise"), noise.take(bytes).collect::<Vec<u8>>()).unwrap();
    let archive = dir.path().join("app.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&archive).args(["version", "noise"]);
    assert!(tar.current_dir(dir.path()).status().expect("apt-get install tar").success());
    fs::read(archive).unwrap()
}

/// The release of a package to hosts, as deployment `d<number>`.
pub(crate) fn task(number: u64, package: &FakeVerifier, hosts: Vec<Target>) -> ReleaseTask {
    let url = PackageUrl::new("https://packages.test/app.tar.gz").unwrap();
    let source = package.source(url).pinned(&package.digests());
    let request = samples::request(source.clone());
    let deployment = DeploymentId::new(format!("d{number}")).unwrap();
    let id = TaskId::new(format!("d{number}.1")).unwrap();
    let mut task = ReleaseTask::new(id, deployment, &request, source, hosts, Fence::new(number));
    task.max_parallel = 100;
    task
}

pub(crate) fn hook(run: &str) -> Hook {
    Hook::new(run).unwrap().with_timeout(Duration::from_secs(600))
}

/// Carries out a task and gives the results.
pub(crate) async fn deploy(
    connector: impl Connector,
    package: &FakeVerifier,
    task: &ReleaseTask,
) -> Vec<HostResult> {
    deploy_watched(connector, package, task, &Watched::new(task)).await
}

pub(crate) async fn deploy_watched(
    connector: impl Connector,
    package: &FakeVerifier,
    task: &ReleaseTask,
    watched: &Watched,
) -> Vec<HostResult> {
    let executor = ReleaseExecutor::builder(connector, package.clone()).free_space(0).build();
    let report = executor.execute(watched.cx.clone(), task.clone()).await.unwrap();
    assert_eq!(report.hosts.len(), task.hosts.len(), "a result for each host");
    report.hosts
}

/// A context whose facts can be awaited.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) cx: Context,
    facts: Arc<Mutex<Vec<Fact>>>,
    seen: watch::Receiver<usize>,
}

impl Watched {
    pub(crate) fn new(task: &ReleaseTask) -> Self {
        let facts = Arc::new(Mutex::new(Vec::new()));
        let (count, seen) = watch::channel(0);
        let kept = Arc::clone(&facts);
        let observer = FnObserver::new(move |event: &Event| {
            kept.lock().unwrap().push(event.fact.clone());
            count.send_modify(|count| *count += 1);
        });
        let cx = Context::new(task.id.clone()).with_observer(Arc::new(observer));
        Self { cx, facts, seen }
    }

    pub(crate) fn facts(&self) -> Vec<Fact> {
        self.facts.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, what: impl Fn(&Fact) -> bool) -> usize {
        self.facts.lock().unwrap().iter().filter(|fact| what(fact)).count()
    }

    /// Waits until so many facts are so.
    pub(crate) async fn until(&self, number: usize, what: impl Fn(&Fact) -> bool) {
        let mut seen = self.seen.clone();
        loop {
            seen.borrow_and_update();
            if self.count(&what) >= number {
                return;
            }
            seen.changed().await.unwrap();
        }
    }

    pub(crate) async fn until_step(&self, wanted: Step) {
        self.until(1, |fact| matches!(fact, Fact::StepStarted { step, .. } if *step == wanted))
            .await;
    }

    pub(crate) async fn until_output(&self, wanted: &str) {
        self.until(1, |fact| matches!(fact, Fact::Output { text, .. } if text.contains(wanted)))
            .await;
    }
}

/// The root of a project on a host, as the test sees it.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) host: &'a SshHost,
    pub(crate) path: String,
}

impl<'a> Site<'a> {
    pub(crate) fn new(host: &'a SshHost, path: impl Into<String>) -> Self {
        Self { host, path: path.into() }
    }

    pub(crate) fn target(&self) -> Target {
        self.host.target(&self.path)
    }

    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(self.target().root.as_str())
    }

    /// What `current` points to; nothing when there is none. Whatever it points to is whole.
    pub(crate) fn current(&self) -> Option<String> {
        let link = fs::read_link(self.root().join("current")).ok()?;
        let release = self.root().join(&link);
        for file in ["version", "noise"] {
            assert!(release.join(file).is_file(), "current -> {} lacks {file}", link.display());
        }
        Some(link.to_str().unwrap().trim_start_matches("releases/").to_owned())
    }

    pub(crate) fn version(&self) -> String {
        fs::read_to_string(self.root().join("current/version")).unwrap()
    }

    /// Waits until nothing of ours runs on the host: the program has seen that nobody is there.
    pub(crate) async fn until_nothing_runs(&self) {
        for _ in 0..6000 {
            if self.host.processes().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let line = |id: &i32| fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let left: Vec<_> = self.host.processes().iter().map(line).collect();
        panic!("after 30 s these still run on {}: {left:?}\n{}", self.host.name(), self.host.log());
    }

    /// Holds a result against the host, on which nothing runs any more.
    pub(crate) fn assert_true(&self, result: &HostResult, before: Option<&str>, wanted: &str) {
        let current = self.current();
        let current = current.as_deref();
        assert!(current == before || current == Some(wanted), "{current:?}: {result:?}");
        match result.status {
            HostStatus::Succeeded => {
                assert_eq!(current, Some(wanted), "{result:?}");
                assert!(result.failure.is_none());
                assert_eq!(result.serves.as_ref().unwrap().as_str(), wanted);
            }
            HostStatus::Failed | HostStatus::RolledBack | HostStatus::Cancelled => {
                assert_eq!(current, before, "{result:?}");
                assert!(result.failure.is_some());
                if let Some(serves) = &result.serves {
                    assert_eq!(Some(serves.as_str()), current, "{result:?}");
                }
            }
            HostStatus::Unknown => assert!(result.failure.is_some()),
            other => panic!("{other:?}: {result:?}"),
        }
    }

    /// Nothing unfinished is left, and the lock is free.
    pub(crate) fn assert_tidy(&self) {
        let names = |path: &Path| -> Vec<String> {
            let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
        };
        let deploy = self.root().join(".deploy");
        for name in names(&deploy).into_iter().chain(names(&self.root().join("releases"))) {
            let unfinished = ["work.", "claim.", "."].iter().any(|sign| name.starts_with(sign));
            assert!(!unfinished, "{name} is left");
        }
        let number = |name: &String| name.strip_prefix("lock.")?.parse::<u64>().ok();
        let lock = names(&deploy).iter().filter_map(number).max().expect("there was a lock");
        let lock = fs::read_to_string(deploy.join(format!("lock.{lock}"))).unwrap();
        assert!(lock.ends_with("state free\n"), "{lock}");
    }

    /// The next deployment, over a line without faults, succeeds and tidies up.
    pub(crate) async fn assert_the_next_succeeds(&self, fleet: &SshFleet, number: u64) {
        let next = package("the next", 10);
        let connector = super::conformance::builder(fleet).build().unwrap();
        let results = deploy(connector, &next, &task(number, &next, vec![self.target()])).await;
        assert_eq!(results[0].status, HostStatus::Succeeded, "{:?}", results[0]);
        assert_eq!(self.current(), Some(format!("d{number}")));
        assert_eq!(self.version(), "the next");
        self.until_nothing_runs().await;
        self.assert_tidy();
    }
}

/// Nothing on a host was written but below its roots.
pub(crate) fn assert_nothing_outside(host: &SshHost, roots: &str) {
    let names = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path).unwrap().filter_map(Result::ok);
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(host.directory()), [roots]);
    assert_eq!(names(&host.directory().with_file_name("home")), [""; 0]);
}
