//! A host in a temporary directory, its packages, and the words to deploy to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{
    DeploymentId, DeploymentRequest, Fence, Hook, HostResult, PackageSource, PackageUrl,
    ReleaseReport, ReleaseTask, Target, TaskId,
};
use deploy_core::{
    CommandIo, ConnectError, Connector, Context, Executor, Exit, LocalConnector, ReleaseExecutor,
    ReleaseExecutorBuilder, Session, SessionError, VerifiedPackage, Verifier, VerifyError,
};
use tempfile::TempDir;

pub(crate) use super::package::Package;
pub(crate) use super::watched::Watched;

/// A host: a directory that is its project's root, and the shell that it has.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) dir: TempDir,
    pub(crate) root: PathBuf,
    pub(crate) in_process: bool,
    pub(crate) shell: &'static str,
    pub(crate) connector: LocalConnector,
}

/// The tools of busybox alone, by their names.
pub(crate) fn busybox_tools() -> PathBuf {
    static TOOLS: std::sync::OnceLock<TempDir> = std::sync::OnceLock::new();
    let tools = TOOLS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let status = Command::new("busybox").args(["--install", "-s"]).arg(dir.path()).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "busybox is missing; apt-get install busybox"
        );
        dir
    });
    tools.path().to_owned()
}

impl Host {
    pub(crate) fn new(shell: &'static str, in_process: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("srv/it's an app");
        Self::at(dir, root, shell, in_process)
    }

    pub(crate) fn at(dir: TempDir, root: PathBuf, shell: &'static str, in_process: bool) -> Self {
        let connector = LocalConnector::new();
        let connector = match shell {
            "busybox" => {
                connector.shell([busybox_tools().join("sh")]).variable("PATH", busybox_tools())
            }
            shell => connector.shell([shell]),
        };
        Self { dir, root, in_process, shell, connector }
    }

    pub(crate) fn executor(&self, package: &Package) -> ReleaseExecutorBuilder {
        let connector = Reached { connector: self.connector.clone(), in_process: self.in_process };
        ReleaseExecutor::builder(connector, package.verifier())
            .free_space(1 << 20)
            .node("the test's node")
    }

    /// An executor for tasks that need no package: the server that has them is gone.
    pub(crate) fn executor_without_packages(&self) -> ReleaseExecutorBuilder {
        let connector = Reached { connector: self.connector.clone(), in_process: self.in_process };
        ReleaseExecutor::builder(connector, Gone).node("the test's node")
    }

    pub(crate) fn target(&self) -> Target {
        target("h1", &self.root)
    }

    /// The task of a deployment to this host; its fencing number is `number`.
    pub(crate) fn task(&self, id: &str, number: u64, package: &Package) -> ReleaseTask {
        let id = DeploymentId::new(id).unwrap();
        let url = package.source.url.to_string();
        let request = DeploymentRequest::new(
            "shop".parse().unwrap(),
            "checkout".parse().unwrap(),
            PackageSource::new(PackageUrl::new(&url).unwrap(), package.source.md5),
        );
        let request = request.with_work_order("WO-7 \"x\"".parse().unwrap());
        ReleaseTask::new(
            TaskId::new(format!("{id}.1")).unwrap(),
            id,
            &request,
            package.source.clone(),
            vec![self.target()],
            Fence::new(number),
        )
    }

    /// Carries out a task and gives the host's result.
    pub(crate) async fn deploy(&self, package: &Package, task: &ReleaseTask) -> HostResult {
        let watched = Watched::new(task);
        self.deploy_watched(package, task, &watched).await
    }

    pub(crate) async fn deploy_watched(
        &self,
        package: &Package,
        task: &ReleaseTask,
        watched: &Watched,
    ) -> HostResult {
        let executor = self.executor(package).build();
        one(executor.execute(watched.cx.clone(), task.clone()).await.unwrap())
    }

    /// What `current` points to.
    pub(crate) fn current(&self) -> Option<String> {
        let link = fs::read_link(self.root.join("current")).ok()?;
        Some(link.to_str().unwrap().trim_start_matches("releases/").to_owned())
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// The names in a directory of the root, hidden ones among them.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root.join(path))
            .map(|entries| entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        names.sort();
        names
    }

    /// Nothing unfinished is left, and the lock is free.
    pub(crate) fn assert_tidy(&self) {
        let left = |names: Vec<String>| -> Vec<String> {
            names
                .into_iter()
                .filter(|n| n.starts_with('.') || n.starts_with("work.") || n.starts_with("claim."))
                .collect()
        };
        assert_eq!(left(self.names("releases")), [""; 0]);
        assert_eq!(left(self.names(".deploy")), [""; 0]);
        assert!(self.is_unlocked());
        for release in self.names("releases") {
            assert_ne!(self.state(&release), "unfinished", "{release}");
        }
    }

    pub(crate) fn is_unlocked(&self) -> bool {
        let locks = self.names(".deploy");
        let highest =
            locks.iter().filter_map(|n| n.strip_prefix("lock.")?.parse::<u64>().ok()).max();
        highest.is_none_or(|n| last_state(&self.read(&format!(".deploy/lock.{n}"))) == "free")
    }

    /// What the mark of a release says of it.
    pub(crate) fn state(&self, release: &str) -> String {
        last_state(&self.read(&format!(".deploy/marks/{release}"))).to_owned()
    }

    /// Waits until no process names the root in its command line.
    pub(crate) async fn until_nothing_runs(&self) {
        let root = self.dir.path().to_str().unwrap();
        let runs = || {
            let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
            processes
                .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
                .any(|line| String::from_utf8_lossy(&line).contains(root))
        };
        while runs() {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn history(&self) -> Vec<serde_json::Value> {
        let lines = self.read(".deploy/history.jsonl");
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
            .collect()
    }
}

/// The last word of a lock or a mark.
fn last_state(text: &str) -> &str {
    text.lines().filter_map(|line| line.strip_prefix("state ")).next_back().unwrap_or_default()
}

pub(crate) fn target(name: &str, root: &Path) -> Target {
    Target::new(
        name.parse().unwrap(),
        "127.0.0.1".parse().unwrap(),
        "local:/".parse().unwrap(),
        root.to_str().unwrap().parse().unwrap(),
    )
}

pub(crate) fn one(report: ReleaseReport) -> HostResult {
    assert_eq!(report.hosts.len(), 1);
    report.hosts.into_iter().next().unwrap()
}

pub(crate) fn hook(run: &str) -> Hook {
    Hook::new(run).unwrap().with_timeout(Duration::from_secs(20))
}

/// A verifier whose packages are not there any more.
#[derive(Debug)]
struct Gone;

#[async_trait]
impl Verifier for Gone {
    async fn verify(
        &self,
        _cx: Context,
        _source: PackageSource,
    ) -> Result<VerifiedPackage, VerifyError> {
        panic!("nothing is fetched here");
    }
}

/// A connector whose sessions may hide that our own code runs on the host.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub(crate) connector: LocalConnector,
    pub(crate) in_process: bool,
}

#[async_trait]
impl Connector for Reached {
    async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError> {
        let session = self.connector.connect(cx, target).await?;
        Ok(if self.in_process { session } else { Box::new(Remote(session)) })
    }
}

/// A session as a remote host's: it has no local path.
#[derive(Debug)]
struct Remote(Box<dyn Session>);

#[async_trait]
impl Session for Remote {
    async fn run(&self, cx: Context, script: String, io: CommandIo) -> Result<Exit, SessionError> {
        self.0.run(cx, script, io).await
    }
}
