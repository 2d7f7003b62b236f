//! A control side and a real agent, whose hosts are directories of this machine.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use deploy_core::model::{
    DeploymentId, Endpoint, Fence, HostName, HostStatus, PackageSource, PackageUrl, ReleaseAction,
    ReleaseReport, ReleaseTask, RollbackTarget, Target, TaskId,
};
use deploy_core::{
    AgentNode, CancelToken, ControlNode, Executor as _, LocalConnector, ReleaseExecutor, Secret,
};
use deploy_http::{AccessTokens, Scope, ServeConfig, agent_router, serve};
use deploy_queue::{DiskStore, MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::{FakeVerifier, StaticResolver, samples};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::agent::{DEPLOY, endpoint, executor};
use super::{SOON, context};

/// The hosts, and what the agent remembers, which outlives its process.
#[derive(Debug)]
pub(crate) struct World {
    directory: TempDir,
    hosts: usize,
    /// What the agent fetches packages by.
    pub(crate) verifier: FakeVerifier,
}

/// An agent that is served.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    node: AgentNode,
    store: Arc<DiskStore>,
    shutdown: CancelToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl World {
    pub(crate) fn new(hosts: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("version"), "1").unwrap();
        let archive = directory.path().join("app.tar.gz");
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(&archive).arg("version").current_dir(directory.path());
        assert!(tar.status().expect("apt-get install tar").success());
        let verifier = FakeVerifier::new(fs::read(archive).unwrap());
        Self { directory, hosts, verifier }
    }

    fn targets(&self, place: impl Fn(&HostName) -> Endpoint) -> Vec<Target> {
        let through = |target: Target| {
            let place = place(&target.host);
            Target::new(target.host, target.address, place, target.root)
        };
        samples::fleet(self.hosts).into_iter().map(through).collect()
    }

    /// Starts the agent.
    pub(crate) async fn agent(&self) -> Serving {
        self.agent_at("127.0.0.1:0".parse().unwrap()).await
    }

    /// The same at an address, with what an earlier one left.
    pub(crate) async fn agent_at(&self, address: SocketAddr) -> Serving {
        let local = |host: &HostName| {
            let place = self.directory.path().join(host.as_str());
            format!("local:{}", place.display()).parse().unwrap()
        };
        let path = self.directory.path().join("state");
        let store = Arc::new(DiskStore::open(&path, QueueConfig::new()).await.unwrap());
        let releases = ReleaseExecutor::builder(LocalConnector::new(), self.verifier.clone())
            .free_space(0)
            .build();
        let node = AgentNode::builder()
            .resolver(StaticResolver::new(self.targets(local)))
            .executor(releases)
            .queue(Arc::clone(&store))
            .journal(Arc::clone(&store))
            .drain(SOON)
            .build()
            .await
            .unwrap();
        let access = AccessTokens::new().with("robot", Secret::new(DEPLOY), Scope::Deploy).unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancelToken::new();
        let router = agent_router(node.clone(), access);
        let serving = tokio::spawn(serve(listener, router, ServeConfig::new(), shutdown.clone()));
        Serving { address, node, store, shutdown, serving }
    }

    /// A control node that reaches the hosts through the agent.
    pub(crate) async fn control(&self, agent: &Serving) -> ControlNode {
        ControlNode::builder()
            .resolver(StaticResolver::new(self.targets(|_| endpoint(agent.address))))
            .verifier(FakeVerifier::clone(&self.verifier))
            .executor(executor(agent.address).build().unwrap())
            .queue(MemoryQueue::new(QueueConfig::new()))
            .journal(MemoryJournal::new())
            .drain(SOON)
            .build()
            .await
            .unwrap()
    }

    pub(crate) fn package(&self) -> PackageSource {
        let url = PackageUrl::new("https://packages.test/app.tar.gz").unwrap();
        self.verifier.source(url).pinned(&self.verifier.digests())
    }

    /// A task of the deployment `d<number>` for all hosts.
    pub(crate) fn task(&self, agent: &Serving, number: u64) -> ReleaseTask {
        let source = self.package();
        ReleaseTask::new(
            TaskId::new(format!("d{number}.1")).unwrap(),
            DeploymentId::new(format!("d{number}")).unwrap(),
            &samples::request(source.clone()),
            source,
            self.targets(|_| endpoint(agent.address)),
            Fence::new(number),
        )
    }

    /// The task that undoes `d<undone>`, as `d<number>`.
    pub(crate) fn undo(
        &self,
        agent: &Serving,
        number: u64,
        undone: u64,
        to: RollbackTarget,
    ) -> ReleaseTask {
        let release = format!("d{undone}").parse().unwrap();
        self.task(agent, number).with_action(ReleaseAction::Rollback { release, to })
    }

    pub(crate) fn root(&self, host: usize) -> PathBuf {
        self.directory.path().join(samples::host(host).as_str()).join("srv/checkout")
    }

    /// The release that each host serves.
    pub(crate) fn serve(&self) -> Vec<String> {
        let served = |host| {
            let link = fs::read_link(self.root(host).join("current")).unwrap();
            link.file_name().unwrap().to_str().unwrap().to_owned()
        };
        (1..=self.hosts).map(served).collect()
    }
}

impl Serving {
    /// Carries out a task through the agent.
    pub(crate) async fn execute(&self, task: &ReleaseTask) -> ReleaseReport {
        let executor = executor(self.address).build().unwrap();
        executor.execute(context(), task.clone()).await.unwrap()
    }

    /// The same, where each host ends in a way.
    pub(crate) async fn ends(&self, task: &ReleaseTask, status: HostStatus) -> ReleaseReport {
        let report = self.execute(task).await;
        assert!(!report.hosts.is_empty());
        assert!(report.hosts.iter().all(|host| host.status == status), "{report:?}");
        report
    }

    /// Ends the agent, frees what it remembers for the next one, and gives its address.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.shutdown.cancel("the end");
        self.serving.await.unwrap().unwrap();
        self.node.shutdown().await;
        self.store.close().await;
        self.address
    }
}
