//! A small world around the decider: it carries decisions out with results drawn from a seed, and
//! every fact it records can be the last before a crash.

use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use crate::engine::batches::batches;
use crate::engine::batches::tests::target;
use crate::engine::verbs::{self, Wish};
use crate::event::{BatchHold, Event, Sequence};
use crate::failure::{Failure, FailureCode};
use crate::model::{
    Actor, BusinessName, DeploymentId, DeploymentRequest, Digests, Fence, HostName, HostResult,
    HostStatus, Md5Digest, Monitor, PackageSource, PackageUrl, ProjectName, ReleaseAction,
    ReleaseId, RollbackTarget, RolloutSpec,
};

/// What a world is to be like.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) rollout: RolloutSpec,
    /// How often each host fails before it succeeds.
    pub(super) fails: Vec<u32>,
    /// In which order things happen.
    pub(super) seed: u64,
    /// Whether a deployment that waits for a person is retried, or resumed.
    pub(super) kindly: bool,
    /// Whether it has a monitoring address.
    pub(super) monitored: bool,
}

impl Course {
    pub(super) fn of(rollout: RolloutSpec) -> Self {
        Self { rollout, fails: vec![0], seed: 1, kindly: false, monitored: false }
    }
}

/// The facts so far, with their times, and the parts that are out.
pub(super) struct World {
    pub(super) facts: Vec<(Timestamp, Fact)>,
    pub(super) most_in_flight: usize,
    course: Course,
    here: Here,
    wishes: Vec<(usize, Wish)>,
    steps: usize,
    now: Timestamp,
    random: u64,
}

pub(super) fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).unwrap()
}

pub(super) fn actor() -> Actor {
    Actor::new("anna", "because")
}

/// A request with this rollout, a JSON document.
pub(super) fn request(rollout: &str) -> DeploymentRequest {
    with_rollout(serde_json::from_str(rollout).unwrap())
}

fn with_rollout(rollout: RolloutSpec) -> DeploymentRequest {
    let package = PackageSource::new(
        PackageUrl::new("http://192.0.2.1/a.tar.gz").unwrap(),
        Md5Digest::of(b"package"),
    );
    let (business, project) = (BusinessName::new("b").unwrap(), ProjectName::new("p").unwrap());
    DeploymentRequest::new(business, project, package).with_rollout(rollout)
}

impl World {
    pub(super) fn new(course: &Course) -> Self {
        let mut request = with_rollout(course.rollout.clone());
        request.monitor = course.monitored.then(|| Monitor::new("http://h/").unwrap());
        Self::of(course, request)
    }

    pub(super) fn of(course: &Course, request: DeploymentRequest) -> Self {
        let deployment = DeploymentId::new("d").unwrap();
        let accepted = Fact::Accepted { deployment, request: Box::new(request) };
        Self::crash_after(course, &[(at(0), accepted)])
    }

    /// The process dies here, and another one takes over.
    pub(super) fn crash_after(course: &Course, facts: &[(Timestamp, Fact)]) -> Self {
        Self {
            facts: facts.to_vec(),
            most_in_flight: 0,
            course: course.clone(),
            here: Here::default(),
            wishes: Vec::new(),
            steps: 0,
            now: facts.last().unwrap().0,
            random: course.seed | 1,
        }
    }

    /// People want these things, each after so many steps.
    pub(super) fn with_wishes(mut self, wishes: Vec<(usize, Wish)>) -> Self {
        self.wishes = wishes;
        self
    }

    pub(super) fn state(&self) -> TaskState {
        let task = TaskId::new("d").unwrap();
        let event = |(index, (at, fact)): (usize, &(Timestamp, Fact))| {
            Event::new(task.clone(), Sequence::new(index as u64 + 1), *at, fact.clone())
        };
        let events: Vec<_> = self.facts.iter().enumerate().map(event).collect();
        TaskState::fold(&events).unwrap()
    }

    pub(super) fn record(&mut self, fact: Fact) {
        self.facts.push((self.now, fact));
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now = self.now.plus(span);
    }

    pub(super) fn decide(&self) -> Next {
        decide(&self.state(), self.now, &self.here)
    }

    fn wish(&mut self, wish: &Wish) {
        if let Ok(facts) = verbs::facts(&self.state(), wish, &actor()) {
            facts.into_iter().for_each(|fact| self.record(fact));
        }
    }

    /// One of so many, drawn.
    fn draw(&mut self, of: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) as usize % of
    }

    /// Carries out one decision; `None` at the end.
    pub(super) fn step(&mut self) -> Option<()> {
        self.pass(Duration::from_millis(1));
        let due = |(step, _): &(usize, Wish)| *step == self.steps;
        let wishes: Vec<_> = self.wishes.iter().filter(|w| due(w)).cloned().collect();
        self.steps += 1;
        wishes.iter().for_each(|(_, wish)| self.wish(wish));
        let state = self.state();
        self.most_in_flight = self.most_in_flight.max(state.in_flight().len());
        match self.decide() {
            Next::Nothing => return None,
            Next::Resolve => {
                let hosts = (0..self.course.fails.len()).map(target).collect();
                self.record(Fact::Resolved { hosts });
            }
            Next::Verify => {
                self.record(Fact::Verified { package: Digests::new().finish() });
            }
            Next::WaitUntil(until) => panic!("it is not to wait until {until}"),
            Next::AskGates => {
                let open = state.hosts.iter().filter(|host| host.result.is_none());
                let targets: Vec<_> = open.map(|host| host.target.clone()).collect();
                let batches = batches(&targets, &self.course.rollout).unwrap();
                let deadline = Some(self.now.plus(self.course.rollout.deadline));
                self.record(Fact::RolloutStarted { batches, deadline });
            }
            Next::Record(facts) | Next::Finish(facts) => {
                assert!(!facts.is_empty());
                facts.into_iter().for_each(|fact| self.record(fact));
            }
            Next::Dispatch { number, hosts } => {
                assert!(!hosts.is_empty());
                let task = state.task.part(number);
                self.here.running.insert(task.clone());
                let hosts = hosts.into_iter().map(|target| target.host).collect();
                self.record(Fact::Dispatched { task, hosts, fence: Fence::new(1) });
            }
            Next::Resume { number } => {
                let part = &state.dispatches[number].task;
                assert!(self.here.running.insert(part.clone()), "{part} is running already");
            }
            Next::Await { cancel, .. } => self.something_happens(&state, cancel),
            Next::Stand(Some(until)) => {
                assert!(until > self.now, "it could go on now");
                self.now = until;
                if state.gap.as_ref().is_some_and(|gap| gap.until.is_none()) {
                    self.somebody_comes(&state);
                }
            }
            Next::Stand(None) => self.somebody_comes(&state),
            Next::Look(hosts) => {
                let later: Vec<_> =
                    hosts.iter().filter(|host| self.dies_late(&host.host)).collect();
                for target in later {
                    let failure = Failure::new(FailureCode::Unhealthy, "it died");
                    let result =
                        HostResult::failed(target.host.clone(), HostStatus::Failed, failure);
                    let result = result.with_serves(ReleaseId::new("d").unwrap());
                    self.record(Fact::HostFailedLater { result });
                }
                self.here.looked = Some(self.now);
            }
        }
        Some(())
    }

    /// A host begins, or ends.
    fn something_happens(&mut self, state: &TaskState, cancel: bool) {
        let hosts: Vec<_> = state.in_flight().collect();
        assert!(!hosts.is_empty(), "there is nothing to wait for");
        let host = hosts[self.draw(hosts.len())];
        let name = host.target.host.clone();
        let recalled = host.dispatch.is_some_and(|part| state.dispatches[part].recalled);
        let begun = state.has_begun(&name);
        let stopped = |status| {
            let failure = Failure::new(FailureCode::Cancelled, "stopped");
            Fact::HostFinished { result: HostResult::failed(name.clone(), status, failure) }
        };
        let fact = match begun {
            false if cancel || recalled => stopped(HostStatus::NotStarted),
            true if cancel => stopped(HostStatus::Cancelled),
            false if self.draw(2) == 0 => Fact::HostStarted { host: name },
            _ if state.action_of(host.dispatch.unwrap()) != ReleaseAction::Install => {
                self.went_back(&name)
            }
            _ => self.finished(&name),
        };
        self.record(fact);
    }

    /// A host that is looked at dies now and then, and once at most.
    fn dies_late(&mut self, host: &HostName) -> bool {
        let died = |(_, fact): &(Timestamp, Fact)| match fact {
            Fact::HostFailedLater { result } => result.host == *host,
            _ => false,
        };
        self.draw(16) == 0 && !self.facts.iter().any(died)
    }

    /// A host that is put back does, mostly.
    fn went_back(&mut self, host: &HostName) -> Fact {
        let failure = || Failure::new(FailureCode::ReleaseMissing, "there is none");
        let result = match self.draw(8) {
            0 => HostResult::failed(host.clone(), HostStatus::Failed, failure())
                .with_serves(ReleaseId::new("d").unwrap()),
            // It was not reached.
            1 => HostResult::failed(host.clone(), HostStatus::Failed, failure()),
            _ => HostResult::new(host.clone(), HostStatus::RolledBack),
        };
        Fact::HostFinished { result }
    }

    fn finished(&mut self, host: &HostName) -> Fact {
        let index: usize = host.as_str()[1..].parse().unwrap();
        let failed = |(_, fact): &&(Timestamp, Fact)| {
            matches!(fact, Fact::HostFinished { result }
                if result.host == *host && result.status == HostStatus::Failed)
        };
        let times = self.facts.iter().filter(failed).count();
        let result = if times < self.course.fails[index] as usize {
            let failure = Failure::new(FailureCode::HookFailed, "no");
            let result = HostResult::failed(host.clone(), HostStatus::Failed, failure);
            match self.draw(4) {
                0 => result.with_serves(ReleaseId::new("d").unwrap()),
                _ => result,
            }
        } else {
            HostResult::succeeded(host.clone(), ReleaseId::new("d").unwrap())
        };
        Fact::HostFinished { result }
    }

    /// Nothing goes on without a person.
    fn somebody_comes(&mut self, state: &TaskState) {
        let before = self.facts.len();
        if state.paused.is_some() {
            if self.course.kindly {
                self.wish(&Wish::RetryFailed);
            }
            if self.facts.len() == before {
                self.wish(&Wish::Resume);
            }
        } else {
            let gap = state.gap.as_ref().expect("it waits for a person");
            assert_ne!(gap.hold, BatchHold::Pause);
            self.wish(&Wish::Promote);
        }
        assert!(self.facts.len() > before, "a person can let it go on");
    }

    pub(super) fn run(&mut self) -> TaskState {
        for _ in 0..2_000 {
            if self.step().is_none() {
                return self.state();
            }
        }
        panic!("it does not come to an end: {:#?}", self.facts);
    }
}

pub(super) fn worlds() -> impl Strategy<Value = Course> {
    let first = prop_oneof![
        (1_u32..6).prop_map(|n| n.to_string()),
        (1_u32..=100).prop_map(|n| format!("{n}%")),
    ];
    let next = prop_oneof![
        (1_u32..6).prop_map(|n| n.to_string()),
        (1_u32..=100).prop_map(|n| format!("{n}%")),
        (1_u32..3).prop_map(|n| format!("+{n}")),
        Just("*2".to_owned()),
    ];
    let sizes = (first, prop::collection::vec(next, 0..3))
        .prop_map(|(first, rest)| std::iter::once(first).chain(rest).collect::<Vec<_>>());
    let canary = prop_oneof![
        3 => Just(serde_json::Value::Null),
        1 => Just(serde_json::json!({"hosts": 1, "hold": "promote"})),
        1 => Just(serde_json::json!({"hosts": "20%", "hold": "10m"})),
    ];
    let pause = prop_oneof![Just("0s"), Just("30s")];
    let failures = prop_oneof![
        2 => Just(serde_json::json!({})),
        1 => Just(serde_json::json!({"total": {"more_than": "30%"}})),
        1 => Just(serde_json::json!({"batch": {"at_least": "50%"}, "running": "cancel"})),
        1 => Just(serde_json::json!({"in_a_row": {"at_least": 2}, "then": "wait"})),
        1 => Just(serde_json::json!({"then": "wait", "running": "cancel"})),
        1 => Just(serde_json::json!({"then": "wait", "total": {"at_least": 2}})),
        2 => Just(serde_json::json!({"then": "roll_back", "total": {"at_least": 2}})),
        1 => Just(serde_json::json!({"then": "roll_back", "running": "cancel"})),
    ];
    let fails = prop_oneof![
        prop::collection::vec(Just(0_u32), 1..12),
        prop::collection::vec(prop_oneof![3 => Just(0_u32), 1 => 1_u32..3], 1..12),
    ];
    let spec = (sizes, 1_u32..5, canary, pause, failures);
    let more = (any::<u64>(), any::<bool>(), any::<bool>());
    (spec, fails, more).prop_map(|(spec, fails, (seed, kindly, monitored))| {
        let (batches, max_parallel, canary, pause, failures) = spec;
        let rollout = serde_json::json!({
            "batches": batches, "max_parallel": max_parallel, "canary": canary,
            "pause": {"fixed": pause, "jitter": pause}, "failures": failures,
        });
        let rollout = serde_json::from_value(rollout).unwrap();
        Course { rollout, fails, seed, kindly, monitored }
    })
}

pub(super) fn wishes() -> impl Strategy<Value = Wish> {
    prop_oneof![
        3 => Just(Wish::Pause),
        2 => Just(Wish::Resume),
        1 => Just(Wish::Promote),
        2 => Just(Wish::RetryFailed),
        1 => (0_usize..12).prop_map(|host| Wish::Skip(target(host).host)),
        1 => Just(Wish::Extend(at(i64::from(u32::MAX) * 1_000_000))),
        1 => Just(Wish::RollBack(RollbackTarget::LastGood)),
    ]
}
