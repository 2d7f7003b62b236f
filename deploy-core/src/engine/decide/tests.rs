//! A small world around the decider: it carries decisions out with results drawn from a seed, and
//! every fact it records can be the last before a crash.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::engine::batches::batches;
use crate::engine::batches::tests::target;
use crate::event::{Event, Sequence};
use crate::model::{
    BusinessName, DeploymentId, DeploymentRequest, Digests, Fence, Md5Digest, PackageSource,
    PackageUrl, ProjectName, ReleaseId, RolloutSpec,
};

/// The facts so far, and the parts that are out.
struct World {
    facts: Vec<Fact>,
    running: BTreeSet<TaskId>,
    fails: Vec<bool>,
    most_in_flight: usize,
}

fn request(batches: &[String], max_parallel: u32) -> DeploymentRequest {
    let package = PackageSource::new(
        PackageUrl::new("http://192.0.2.1/a.tar.gz").unwrap(),
        Md5Digest::of(b"package"),
    );
    let (business, project) = (BusinessName::new("b").unwrap(), ProjectName::new("p").unwrap());
    let sizes = batches.iter().map(|size| size.parse().unwrap()).collect();
    let mut rollout = RolloutSpec::default().with_batches(sizes);
    rollout.max_parallel = max_parallel;
    DeploymentRequest::new(business, project, package).with_rollout(rollout)
}

fn state(facts: &[Fact]) -> TaskState {
    let task = TaskId::new("d").unwrap();
    let at = Timestamp::from_unix_micros(0).unwrap();
    let event = |(index, fact): (usize, &Fact)| {
        Event::new(task.clone(), Sequence::new(index as u64 + 1), at, fact.clone())
    };
    let events: Vec<_> = facts.iter().enumerate().map(event).collect();
    TaskState::fold(&events).unwrap()
}

impl World {
    fn new(request: DeploymentRequest, fails: Vec<bool>) -> Self {
        let deployment = DeploymentId::new("d").unwrap();
        let accepted = Fact::Accepted { deployment, request: Box::new(request) };
        Self { facts: vec![accepted], running: BTreeSet::new(), fails, most_in_flight: 0 }
    }

    /// The process dies here, and another one takes over.
    fn crash_after(facts: &[Fact], fails: &[bool]) -> Self {
        let (facts, running) = (facts.to_vec(), BTreeSet::new());
        Self { facts, running, fails: fails.to_vec(), most_in_flight: 0 }
    }

    fn finished(&self, host: &HostName) -> Fact {
        let index: usize = host.as_str()[1..].parse().unwrap();
        let result = if self.fails[index] {
            let failure = Failure::new(FailureCode::HookFailed, "no");
            HostResult::failed(host.clone(), HostStatus::Failed, failure)
        } else {
            HostResult::succeeded(host.clone(), ReleaseId::new("d").unwrap())
        };
        Fact::HostFinished { result }
    }

    /// Carries out one decision; `None` at the end.
    fn step(&mut self) -> Option<()> {
        let state = state(&self.facts);
        self.most_in_flight = self.most_in_flight.max(state.in_flight().len());
        let now = Timestamp::from_unix_micros(0).unwrap();
        match decide(&state, now, &self.running) {
            Next::Nothing => return None,
            Next::Resolve => {
                let hosts = (0..self.fails.len()).map(target).collect();
                self.facts.push(Fact::Resolved { hosts });
            }
            Next::Verify => {
                self.facts.push(Fact::Verified { package: Digests::new().finish() });
            }
            Next::WaitUntil(until) => panic!("it is not to wait until {until}"),
            Next::AskGates => {
                let targets: Vec<_> = state.hosts.iter().map(|h| h.target.clone()).collect();
                let Subject::Deployment { request, .. } = &state.subject else { unreachable!() };
                let batches = batches(&targets, &request.rollout);
                self.facts.push(Fact::RolloutStarted { batches });
            }
            Next::StartBatch(batch) => self.facts.push(Fact::BatchStarted { batch }),
            Next::FinishBatch(batch) => self.facts.push(Fact::BatchFinished { batch }),
            Next::Dispatch { number, hosts } => {
                assert!(!hosts.is_empty());
                let task = state.task.part(number);
                self.running.insert(task.clone());
                let hosts = hosts.into_iter().map(|target| target.host).collect();
                self.facts.push(Fact::Dispatched { task, hosts, fence: Fence::new(1) });
            }
            Next::Resume { number } => {
                let part = &state.dispatches[number].task;
                assert!(self.running.insert(part.clone()), "{part} is running already");
            }
            Next::Await { .. } => {
                let host = state.in_flight().next().expect("there is something to wait for");
                self.facts.push(self.finished(&host.target.host));
            }
            Next::Finish(facts) => self.facts.extend(facts),
        }
        Some(())
    }

    fn run(&mut self) -> TaskState {
        for _ in 0..10_000 {
            if self.step().is_none() {
                return state(&self.facts);
            }
        }
        panic!("it does not come to an end");
    }
}

/// What must hold of every end.
fn check(end: &TaskState, facts: &[Fact]) -> Result<(), TestCaseError> {
    let ends = facts.iter().filter(|fact| matches!(fact, Fact::Finished { .. })).count();
    prop_assert_eq!(ends, 1);
    prop_assert_eq!(end.results().count(), end.hosts.len());
    let all_succeeded = end.unsuccessful().len() == 0 && !end.hosts.is_empty();
    prop_assert_eq!(end.outcome == Some(Outcome::Succeeded), all_succeeded);
    prop_assert_eq!(end.failure.is_some(), end.outcome != Some(Outcome::Succeeded));
    let mut failed = false;
    let mut dispatched = BTreeSet::new();
    let mut batch = None;
    for fact in facts {
        match fact {
            Fact::HostFinished { result } => failed |= result.status != HostStatus::Succeeded,
            Fact::BatchStarted { batch: next } => batch = Some(*next as usize),
            Fact::Dispatched { hosts, .. } => {
                prop_assert!(!failed, "a host was started after one had failed");
                for host in hosts {
                    prop_assert!(dispatched.insert(host.clone()), "{} was started twice", host);
                    prop_assert!(end.batches[batch.unwrap()].contains(host));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn worlds() -> impl Strategy<Value = (Vec<String>, u32, Vec<bool>)> {
    let size = prop_oneof![
        (1_u32..6).prop_map(|n| n.to_string()),
        (1_u32..=100).prop_map(|n| format!("{n}%")),
    ];
    let fails = prop_oneof![
        prop::collection::vec(Just(false), 1..12),
        prop::collection::vec(prop::bool::weighted(0.2), 1..12),
    ];
    (prop::collection::vec(size, 1..4), 1_u32..5, fails)
}

proptest! {
    #[test]
    fn every_deployment_ends_once_and_stops_at_the_first_failure(
        (batches, max_parallel, fails) in worlds(),
    ) {
        let mut world = World::new(request(&batches, max_parallel), fails);
        let end = world.run();
        check(&end, &world.facts)?;
        prop_assert!(world.most_in_flight <= max_parallel as usize);
    }

    #[test]
    fn resuming_from_every_prefix_of_the_journal_gives_an_allowed_end(
        (batches, max_parallel, fails) in worlds(),
    ) {
        let mut world = World::new(request(&batches, max_parallel), fails.clone());
        world.run();
        for length in 1..=world.facts.len() {
            let mut resumed = World::crash_after(&world.facts[..length], &fails);
            let end = resumed.run();
            check(&end, &resumed.facts)?;
        }
    }

    #[test]
    fn a_cancel_at_any_time_comes_to_an_end_and_starts_nothing_more(
        (batches, max_parallel, fails) in worlds(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new(request(&batches, max_parallel), fails.clone());
        world.run();
        let finished = |fact: &Fact| matches!(fact, Fact::Finished { .. });
        let alive: Vec<_> = world.facts.iter().filter(|fact| !finished(fact)).cloned().collect();
        let mut facts = alive[..=at.index(alive.len())].to_vec();
        facts.push(Fact::CancelRequested { reason: "enough".to_owned() });
        let before = facts.len();
        let mut resumed = World::crash_after(&facts, &fails);
        let end = resumed.run();
        let started = |fact: &Fact| matches!(fact, Fact::Dispatched { .. });
        prop_assert!(!resumed.facts[before..].iter().any(started));
        let all_succeeded = !end.hosts.is_empty() && end.unsuccessful().len() == 0;
        let expected = if all_succeeded { Outcome::Succeeded } else { Outcome::Cancelled };
        prop_assert_eq!(end.outcome, Some(expected));
    }
}

#[test]
fn hosts_of_one_agent_are_handed_out_together_and_direct_ones_by_their_scheme() {
    let reached = |endpoint: &str| {
        let mut target = target(0);
        target.endpoint = crate::model::Endpoint::new(endpoint).unwrap();
        target
    };
    let shared = |one: &str, other: &str| share_executor(&reached(one), &reached(other));
    assert!(shared("http://127.0.0.1:1", "http://127.0.0.1:1"));
    assert!(!shared("http://127.0.0.1:1", "http://127.0.0.1:2"));
    assert!(shared("ssh://a", "ssh://b"));
    assert!(!shared("ssh://a", "local:/srv"));
}

#[test]
fn nothing_is_rolled_out_before_its_time() {
    let at = |micros| Timestamp::from_unix_micros(micros).unwrap();
    let request = request(&["1".to_owned()], 1).with_not_before(at(1_000));
    let mut world = World::new(request, vec![false]);
    world.step();
    world.step();
    let state = state(&world.facts);
    assert_eq!(decide(&state, at(999), &world.running), Next::WaitUntil(at(1_000)));
    assert_eq!(decide(&state, at(1_000), &world.running), Next::AskGates);
}

#[test]
fn a_rollout_that_has_not_begun_in_time_never_does_and_one_that_has_goes_on() {
    let at = |second: i64| Timestamp::from_unix_micros(second * 1_000_000).unwrap();
    let request = request(&["100%".to_owned()], 10)
        .with_not_before(at(100))
        .with_expires_at(at(500))
        .with_on_missed(crate::model::OnMissed::FAIL);
    let mut world = World::new(request, vec![false; 2]);
    let decide = |world: &World, second| decide(&state(&world.facts), at(second), &BTreeSet::new());
    let code = |next| match next {
        Next::Finish(facts) => match facts.last() {
            Some(Fact::Finished { failure: Some(failure), outcome: Outcome::Failed }) => {
                failure.code
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(decide(&world, 0), Next::Resolve);
    assert_eq!(code(decide(&world, 500)), FailureCode::Expired);
    world.facts.push(Fact::Resolved { hosts: (0..2).map(target).collect() });
    assert_eq!(decide(&world, 399), Next::Verify);
    assert_eq!(code(decide(&world, 400)), FailureCode::Missed);
    let package = Digests::new().finish();
    world.facts.push(Fact::Verified { package });
    assert_eq!(decide(&world, 99), Next::WaitUntil(at(100)));
    assert_eq!(decide(&world, 100), Next::AskGates);
    // Every host has a result, also of a deployment that touched none.
    let Next::Finish(facts) = decide(&world, 400) else { panic!() };
    assert_eq!(facts.len(), 3);
    let batches = vec![(0..2).map(|index| target(index).host).collect()];
    world.facts.push(Fact::RolloutStarted { batches });
    assert_eq!(decide(&world, 1000), Next::StartBatch(0));
}
