//! What a seed stands for: the fleet, the requests, and how much breaks.

use std::time::Duration;

use deploy_core::model::{
    AfterBudget, BatchPause, Canary, CanaryHold, DeploymentId, DeploymentRequest, Endpoint,
    FailureBudget, FailureLimit, Hook, HookPoint, HostCount, HostName, HostOrder, Monitor,
    OnMissed, ReleaseSpec, RolloutSpec, RunningHosts, Target,
};
use deploy_testkit::{Dice, samples};

use super::clock::MachineClock;

/// What a seed stands for.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) dice: Dice,
    pub(super) controls: usize,
    pub(super) agents: usize,
    pub(super) projects: Vec<Project>,
    pub(super) filed: Vec<Filed>,
    /// How long things break.
    pub(super) chaos: Duration,
    pub(super) levels: Levels,
    /// For each gate, when it is shut.
    pub(super) gates: Vec<Vec<(Duration, Duration)>>,
    pub(super) max_hosts: Option<usize>,
}

/// A project, and its hosts with the agent behind which each is, if any.
#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) name: String,
    pub(super) hosts: Vec<(usize, Option<usize>)>,
}

/// A request, when it is filed, and whether its release is broken.
#[derive(Clone, Debug)]
pub(super) struct Filed {
    pub(super) after: Duration,
    pub(super) request: DeploymentRequest,
    pub(super) spoiled: bool,
}

/// How much breaks: out of a thousand, where it says nothing else. Each is nothing in many runs, so
/// that what only happens without the others happens too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Levels {
    pub(super) link: u32,
    pub(super) fleet: u32,
    pub(super) disk: u32,
    /// How often something bigger happens, in an hour.
    pub(super) kills: u64,
    pub(super) cuts: u64,
    pub(super) jumps: u64,
    pub(super) people: u64,
}

impl Project {
    /// Its hosts as the control node has them.
    pub(super) fn targets(&self) -> Vec<Target> {
        self.hosts.iter().map(|&(host, agent)| target(host, agent.map(endpoint))).collect()
    }

    /// Its hosts as the agent has them that they are behind.
    pub(super) fn behind(&self, agent: usize) -> Vec<Target> {
        let behind = self.hosts.iter().filter(|(_, at)| *at == Some(agent));
        behind.map(|&(host, _)| target(host, None)).collect()
    }
}

/// Where an agent is reached.
pub(super) fn endpoint(agent: usize) -> Endpoint {
    Endpoint::new(&format!("http://agent-{agent}.test:7070")).unwrap()
}

fn target(host: usize, endpoint: Option<Endpoint>) -> Target {
    let mut target = samples::target(host);
    target.endpoint = endpoint.unwrap_or_else(|| Endpoint::new("ssh://hosts.test").unwrap());
    target.zone = Some(format!("zone-{}", host % 3).parse().unwrap());
    target
}

impl Scenario {
    pub(super) fn draw(seed: u64) -> Self {
        let dice = Dice::new(seed).fork("scenario");
        let agents = usize::try_from(dice.below(3)).unwrap();
        let projects: Vec<_> =
            (0..dice.within(1..4)).map(|number| project(&dice, number, agents)).collect();
        let count = dice.within(1..7);
        let filed = (0..count).map(|number| filed(&dice, number, &projects)).collect();
        let level = |most: u64| match dice.below(3) {
            0 => 0,
            1 => dice.within(1..most / 4 + 2),
            _ => dice.within(1..most + 1),
        };
        let per_mille = |most| u32::try_from(level(most)).unwrap();
        let levels = Levels {
            link: per_mille(150),
            fleet: per_mille(250),
            disk: per_mille(25),
            kills: level(60),
            cuts: level(20),
            jumps: level(6),
            people: level(200),
        };
        let gate = |_| {
            let shut = |_| (dice.millis(0..2_400_000), dice.millis(10_000..1_200_000));
            (0..dice.below(3)).map(shut).map(|(from, long)| (from, from + long)).collect()
        };
        Self {
            controls: if dice.chance(250) { 2 } else { 1 },
            agents,
            projects,
            filed,
            chaos: dice.millis(600_000..3_600_000),
            levels,
            gates: (0..dice.below(3)).map(gate).collect(),
            max_hosts: dice.chance(300).then(|| usize::try_from(dice.within(1..4)).unwrap()),
            dice: Dice::new(seed),
        }
    }
}

fn project(dice: &Dice, number: u64, agents: usize) -> Project {
    let way = |_| {
        let agent = usize::try_from(dice.below(agents as u64 + 1)).unwrap();
        (agent < agents).then_some(agent)
    };
    let hosts = (1..=dice.within(1..7)).map(|host| (usize::try_from(host).unwrap(), way(host)));
    Project { name: format!("p{number}"), hosts: hosts.collect() }
}

fn filed(dice: &Dice, number: u64, projects: &[Project]) -> Filed {
    let project = dice.pick(projects);
    let after = dice.millis(0..1_500_000);
    let mut request = samples::request(samples::package(b"package"))
        .with_id(DeploymentId::new(format!("d{number}")).unwrap())
        .with_rollout(rollout(dice))
        .with_release(release(dice));
    request.project = samples::project(&project.name);
    if dice.chance(300) {
        request = request.with_monitor(Monitor::new("http://{host.name}.test/health").unwrap());
    }
    if dice.chance(300) {
        let due = after + dice.millis(0..1_800_000);
        request = request.with_not_before(MachineClock::perfect(due));
        if dice.chance(300) {
            request =
                request.with_expires_at(MachineClock::perfect(due + dice.millis(1_000..900_000)));
        }
        if dice.chance(300) {
            let after = dice.millis(10_000..600_000);
            request = request.with_on_missed(OnMissed::Fail { after });
        }
    }
    if dice.chance(150) {
        let some = project.hosts.iter().filter(|_| dice.chance(500));
        let some: Vec<HostName> = some.map(|&(host, _)| samples::host(host)).collect();
        request = request.with_hosts(some);
    }
    Filed { after, request, spoiled: dice.chance(200) }
}

fn rollout(dice: &Dice) -> RolloutSpec {
    let lists: &[&[&str]] =
        &[&["1"], &["2"], &["3"], &["50%"], &["100%"], &["1", "100%"], &["1", "+1"], &["1", "*2"]];
    let sizes = dice.pick(lists).iter().map(|size| size.parse().unwrap()).collect();
    let mut rollout = RolloutSpec::default()
        .with_batches(sizes)
        .with_max_parallel(u32::try_from(dice.within(1..5)).unwrap())
        .with_failures(budget(dice))
        .with_deadline(match dice.chance(250) {
            true => dice.millis(10_000..200_000),
            false => dice.millis(300_000..5_400_000),
        });
    if dice.chance(300) {
        rollout = rollout.with_order(HostOrder::Zone);
    }
    if dice.chance(400) {
        let pause = BatchPause::new(dice.millis(1_000..120_000));
        rollout = rollout.with_pause(pause.with_jitter(dice.millis(0..30_000)));
    }
    if dice.chance(250) {
        let hold = match dice.chance(500) {
            true => CanaryHold::Promotion,
            false => CanaryHold::For(dice.millis(1_000..600_000)),
        };
        rollout = rollout.with_canary(Canary::new(HostCount::Hosts(1), hold));
    }
    rollout
}

fn budget(dice: &Dice) -> FailureBudget {
    let hosts = |most| HostCount::Hosts(u32::try_from(dice.within(1..most)).unwrap());
    let mut budget = FailureBudget::new()
        .with_then(*dice.pick(&[AfterBudget::Stop, AfterBudget::Wait, AfterBudget::RollBack]))
        .with_running(*dice.pick(&[RunningHosts::Finish, RunningHosts::Cancel]))
        .with_unreachable_counts(dice.chance(800));
    budget = match dice.below(4) {
        0 => budget,
        1 => budget.with_total(Some(FailureLimit::MoreThan(hosts(3)))),
        2 => budget.with_total(None).with_in_a_row(FailureLimit::AtLeast(hosts(4))),
        _ => budget.with_total(None),
    };
    budget
}

fn release(dice: &Dice) -> ReleaseSpec {
    let hook = |text: &str| Hook::new(text).unwrap();
    let mut release = ReleaseSpec::default()
        .with_timeout(dice.millis(240_000..900_000))
        .with_keep(u32::try_from(dice.within(1..4)).unwrap())
        .with_hook(HookPoint::AfterSwitch, hook("restart"));
    if dice.chance(500) {
        release = release.with_hook(HookPoint::BeforeSwitch, hook("migrate"));
    }
    if dice.chance(150) {
        release = release.without_rollback();
    }
    release
}
