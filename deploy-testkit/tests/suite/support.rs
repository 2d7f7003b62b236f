//! A control node over a queue and a journal in memory and an executor that follows a script.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{DeploymentId, DeploymentRequest, RolloutSpec, TaskId};
use deploy_core::{Clock, ControlNode, Deployment, Fact, Journal, JsonParser, Parser, Sequence};
use deploy_queue::{MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::{FakeVerifier, ScriptedExecutor, StaticResolver, VirtualClock, samples};
use tokio::task::JoinHandle;

/// A control node's parts, kept apart so that a second node can be put together of them.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) queue: Arc<MemoryQueue>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) executor: ScriptedExecutor,
    pub(crate) verifier: FakeVerifier,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) hosts: usize,
}

impl World {
    pub(crate) fn new(hosts: usize) -> Self {
        let clock = Arc::new(VirtualClock::new());
        let config = QueueConfig::new().with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            queue: Arc::new(MemoryQueue::new(config)),
            journal: Arc::new(MemoryJournal::new()),
            executor: ScriptedExecutor::new(),
            verifier: FakeVerifier::new(*b"package"),
            clock,
            hosts,
        }
    }

    /// The same journal in a new process: what was in memory of the queue is gone.
    pub(crate) fn restarted(&self) -> Self {
        let config = QueueConfig::new().with_clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        Self { queue: Arc::new(MemoryQueue::new(config)), ..self.clone() }
    }

    pub(crate) fn builder(&self) -> deploy_core::ControlNodeBuilder {
        ControlNode::builder()
            .resolver(StaticResolver::new(samples::fleet(self.hosts)))
            .verifier(self.verifier.clone())
            .executor(self.executor.clone())
            .queue(Arc::clone(&self.queue))
            .journal(Arc::clone(&self.journal))
            .clock(Arc::clone(&self.clock))
            .drain(Duration::ZERO)
    }

    pub(crate) async fn node(&self) -> ControlNode {
        self.builder().build().await.unwrap()
    }

    /// Lets the time pass, second by second.
    pub(crate) fn passing(&self) -> JoinHandle<()> {
        let clock = Arc::clone(&self.clock);
        tokio::spawn(async move {
            loop {
                clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        })
    }

    pub(crate) async fn facts(&self, deployment: &Deployment) -> Vec<Fact> {
        let task = TaskId::from(deployment.id());
        let events = self.journal.read(task, Sequence::START, 100_000).await.unwrap();
        let numbers: Vec<_> = events.iter().map(|event| event.sequence.number()).collect();
        assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
        events.into_iter().map(|event| event.fact).collect()
    }
}

pub(crate) fn request(id: &str, batches: &[&str]) -> DeploymentRequest {
    let sizes = batches.iter().map(|size| size.parse().unwrap()).collect();
    samples::request(samples::package(b"package"))
        .with_id(DeploymentId::new(id).unwrap())
        .with_rollout(RolloutSpec::default().with_batches(sizes))
}

pub(crate) fn count(facts: &[Fact], name: &str) -> usize {
    facts.iter().filter(|fact| fact.name() == name).count()
}

/// Waits until the journal has a fact of this name.
pub(crate) async fn until(deployment: &Deployment, name: &str) {
    let mut events = deployment.events(Sequence::START);
    while let Some(event) = events.next().await {
        if event.unwrap().fact.name() == name {
            return;
        }
    }
    panic!("{name} never came");
}

/// The ids of the parts that were handed out, in order.
pub(crate) fn order(world: &World) -> Vec<String> {
    world.executor.tasks().into_iter().map(|task| task.id.to_string()).collect()
}

/// A request with this rollout, a JSON document.
pub(crate) fn rollout(id: &str, rollout: &str) -> DeploymentRequest {
    let document = format!(
        r#"{{"business": "b", "project": "p", "rollout": {rollout}, "package":
            {{"url": "http://192.0.2.1/a.tar", "md5": "5eb63bbbe01eeed093cb22bb8f5acdc3"}}}}"#
    );
    let parsed = JsonParser::new().parse(document.as_bytes()).unwrap();
    request(id, &["1"]).with_rollout(parsed.rollout)
}
