//! When a deployment begins, when it is too late, and what holds it, on a virtual clock.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::gate::{
    Approval, ApprovalRule, ApprovalStore, ApprovalSubject, Approvals, MemoryApprovals,
};
use deploy_core::model::{
    DeploymentId, DeploymentRequest, HostStatus, OnMissed, Outcome, Timestamp,
};
use deploy_core::{
    Clock, ControlNode, ControlNodeBuilder, Deployment, Fact, FailureCode, NodeError, Sequence,
};
use deploy_queue::{MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::{FakeVerifier, ScriptedExecutor, StaticResolver, VirtualClock, samples};

const HOUR: Duration = Duration::from_secs(3600);

/// The parts of a control node that outlive it.
struct World {
    clock: Arc<VirtualClock>,
    journal: Arc<MemoryJournal>,
    executor: ScriptedExecutor,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(VirtualClock::new());
        Self { clock, journal: Arc::new(MemoryJournal::new()), executor: ScriptedExecutor::new() }
    }

    /// A control node over the journal; its queue is as new, as after a restart.
    fn builder(&self) -> ControlNodeBuilder {
        let config = QueueConfig::new().with_clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        ControlNode::builder()
            .resolver(StaticResolver::new(samples::fleet(2)))
            .verifier(FakeVerifier::new(*b"package"))
            .executor(self.executor.clone())
            .queue(MemoryQueue::new(config))
            .journal(Arc::clone(&self.journal))
            .clock(Arc::clone(&self.clock))
            .drain(Duration::ZERO)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn touched(&self) -> usize {
        self.executor.tasks().len()
    }
}

fn request() -> DeploymentRequest {
    samples::request(samples::package(b"package")).with_id(DeploymentId::new("d1").unwrap())
}

/// Waits until the deployment has a fact of this name.
async fn until(deployment: &Deployment, name: &str) -> Fact {
    let mut events = deployment.events(Sequence::START);
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        if event.fact.name() == name {
            return event.fact;
        }
    }
    panic!("{name} never came");
}

#[tokio::test]
async fn a_deployment_that_is_held_until_it_expires_fails_and_touches_nothing() {
    let world = World::new();
    let rule = ApprovalRule::new(1, vec!["alice".parse().unwrap()]).unwrap();
    let gate = Approvals::new(vec![rule], MemoryApprovals::new())
        .with_clock(Arc::clone(&world.clock))
        .with_ask_again(24 * HOUR);
    let node = world.builder().gate(gate).build().await.unwrap();
    let expires_at = world.now().plus(HOUR);
    let deployment = node.submit(request().with_expires_at(expires_at)).await.unwrap();
    // It is asked again when it expires, and not only when the gate would be.
    let Fact::Held { until: again, .. } = until(&deployment, "held").await else { panic!() };
    assert_eq!(again, expires_at);
    world.clock.set(expires_at);
    let report = deployment.wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    let failure = report.failure.unwrap();
    assert_eq!(failure.code, FailureCode::Expired);
    assert!(failure.message.contains(&expires_at.to_string()), "{}", failure.message);
    assert!(report.hosts.iter().all(|host| host.status == HostStatus::NotStarted));
    assert_eq!(world.touched(), 0);
    // Filed again it is the same deployment, though a new one would be refused by now.
    assert!(node.submit(request().with_expires_at(expires_at)).await.is_ok());
}

#[tokio::test]
async fn a_time_missed_by_more_than_allowed_fails_where_told_so() {
    for (down_for, on_missed, outcome) in [
        (4 * 60, OnMissed::FAIL, Outcome::Succeeded),
        (5 * 60, OnMissed::FAIL, Outcome::Failed),
        (24 * 3600, OnMissed::Run, Outcome::Succeeded),
    ] {
        let world = World::new();
        let due = world.now().plus(HOUR);
        let node = world.builder().build().await.unwrap();
        let wanted = request().with_not_before(due).with_on_missed(on_missed);
        until(&node.submit(wanted).await.unwrap(), "waiting").await;
        node.shutdown().await;
        world.clock.set(due.plus(Duration::from_secs(down_for)));
        let node = world.builder().build().await.unwrap();
        let report = node.deployment(DeploymentId::new("d1").unwrap()).wait().await.unwrap();
        assert_eq!(report.outcome, outcome, "{down_for} s, {on_missed:?}");
        if outcome == Outcome::Failed {
            assert_eq!(report.failure.unwrap().code, FailureCode::Missed);
            assert_eq!(world.touched(), 0);
        }
    }
}

#[tokio::test]
async fn a_clock_set_forward_starts_it_and_one_set_back_never_does_early() {
    let world = World::new();
    let due = world.now().plus(24 * HOUR);
    let node = world.builder().build().await.unwrap();
    let deployment = node.submit(request().with_not_before(due)).await.unwrap();
    until(&deployment, "waiting").await;
    world.clock.set(Timestamp::from_unix_micros(0).unwrap());
    // A restart with the wrong clock takes it up, looks, and lets it wait again.
    node.shutdown().await;
    let node = world.builder().build().await.unwrap();
    world.clock.set(due.plus(48 * HOUR));
    let deployment = node.deployment(deployment.id().clone());
    assert_eq!(deployment.wait().await.unwrap().outcome, Outcome::Succeeded);
    let mut events = deployment.events(Sequence::START);
    let mut started = None;
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        if event.fact.name() == "rollout_started" {
            started = Some(event.at);
        }
    }
    assert!(started.unwrap() >= due);
}

#[tokio::test]
async fn times_that_contradict_each_other_are_refused_all_at_once_and_nothing_is_kept() {
    let world = World::new();
    let node = world.builder().build().await.unwrap();
    let past = Timestamp::from_unix_micros(1_000_000).unwrap();
    let wanted = request()
        .with_not_before(past.plus(HOUR))
        .with_expires_at(past)
        .with_on_missed(OnMissed::Fail { after: HOUR });
    let Err(NodeError::Invalid(faults)) = node.submit(wanted).await else { panic!() };
    let faults: Vec<_> = faults.as_slice().iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(faults[0].starts_with("expires_at: ") && faults[0].contains("after not_before"));
    assert!(faults[1].starts_with("not_before: ") && faults[1].contains("1h before now"));
    assert!(faults[2].starts_with("expires_at: ") && faults[2].contains("after now"));
    let unknown = node.deployment(DeploymentId::new("d1").unwrap()).state().await;
    assert!(matches!(unknown, Err(NodeError::Unknown { .. })));
    let idle = node.submit(request().with_on_missed(OnMissed::FAIL)).await;
    assert!(matches!(idle, Err(NodeError::Invalid(_))), "there is no time that could be missed");
}

#[tokio::test]
async fn an_approval_wakes_a_held_deployment_at_once_when_it_is_told_to_look() {
    let world = World::new();
    let approvals = Arc::new(MemoryApprovals::new());
    let rule = ApprovalRule::new(1, vec!["alice".parse().unwrap()]).unwrap();
    let gate =
        Approvals::new(vec![rule], Arc::clone(&approvals)).with_clock(Arc::clone(&world.clock));
    let node = world.builder().gate(gate).build().await.unwrap();
    let deployment = node.submit(request()).await.unwrap();
    let Fact::Held { reason, .. } = until(&deployment, "held").await else { panic!() };
    assert!(reason.contains("missing is 1 of alice"), "{reason}");
    let subject = ApprovalSubject::Deployment(deployment.id().clone());
    let approval = Approval::new(subject, "alice".parse().unwrap(), world.now());
    approvals.record(approval).await.unwrap();
    // While its gates are being asked it cannot be woken, so it is told until it has heard.
    for _ in 0..10_000 {
        deployment.recheck().await.unwrap();
        if deployment.state().await.unwrap().outcome.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(deployment.wait().await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(world.now(), VirtualClock::new().now(), "no time has passed");
    deployment.recheck().await.unwrap();
}

#[tokio::test]
async fn a_gate_that_says_the_same_every_minute_leaves_few_facts_behind() {
    let world = World::new();
    let rule = ApprovalRule::new(1, vec!["alice".parse().unwrap()]).unwrap();
    let gate =
        Approvals::new(vec![rule], MemoryApprovals::new()).with_clock(Arc::clone(&world.clock));
    let node = world.builder().gate(gate).build().await.unwrap();
    let end = world.now().plus(3 * HOUR);
    let deployment = node.submit(request().with_expires_at(end)).await.unwrap();
    until(&deployment, "held").await;
    while world.now() < end {
        world.clock.advance_to_next().await;
    }
    deployment.wait().await.unwrap();
    let mut events = deployment.events(Sequence::START);
    let mut held = 0;
    while let Some(event) = events.next().await {
        held += usize::from(event.unwrap().fact.name() == "held");
    }
    assert!((3..=4).contains(&held), "{held}");
}
