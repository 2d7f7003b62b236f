//! The world of a run: its nodes, hosts, network, disks and clocks, and what happens to them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deploy_core::model::{DeploymentId, ReleaseTask, Target};
use deploy_core::{AgentNode, ControlNode};
use deploy_testkit::{Dice, FleetFaults, LinkFaults, LossyLink, ModelFleet, samples};
use tokio::sync::{Notify, watch};

use super::clock::MachineClock;
use super::flaw::{AllHosts, Flaw};
use super::history::{Happening, History};
use super::life::Life;
use super::scenario::{Scenario, endpoint};
use super::store::Disk;

/// A machine on which a node runs, one life after another.
#[derive(Debug)]
pub(super) struct Machine<N> {
    pub(super) name: String,
    pub(super) clock: MachineClock,
    pub(super) disk: Arc<Disk>,
    pub(super) stop: Notify,
    node: Mutex<Option<(N, Life)>>,
}

impl<N: Clone> Machine<N> {
    fn new(name: String, clock: MachineClock, disk: Arc<Disk>) -> Self {
        Self { name, clock, disk, stop: Notify::new(), node: Mutex::new(None) }
    }

    /// The node that runs there now.
    pub(super) fn node(&self) -> Option<(N, Life)> {
        self.node.lock().unwrap().clone()
    }

    pub(super) fn set(&self, node: Option<(N, Life)>) {
        *self.node.lock().unwrap() = node;
    }

    fn kill(&self) {
        if let Some((_, life)) = self.node() {
            life.kill();
        }
    }
}

/// The world of a run.
#[derive(Debug)]
pub(super) struct World {
    pub(super) scenario: Scenario,
    pub(super) flaw: Option<Flaw>,
    pub(super) dice: Dice,
    pub(super) history: History,
    pub(super) fleet: ModelFleet,
    pub(super) link: LossyLink,
    pub(super) controls: Vec<Machine<ControlNode>>,
    pub(super) agents: Vec<Machine<AgentNode>>,
    /// Every deployment that somebody knows of.
    pub(super) known: Mutex<Vec<DeploymentId>>,
    pub(super) healed: watch::Sender<bool>,
}

impl World {
    pub(super) fn new(seed: u64, flaw: Option<Flaw>) -> Arc<Self> {
        let scenario = Scenario::draw(seed);
        let dice = scenario.dice.fork("world");
        let history = History::new();
        let watcher = history.clone();
        let fleet = ModelFleet::new(&dice, move |event| watcher.note(Happening::Host(event)));
        let link = LossyLink::new(&dice);
        for project in &scenario.projects {
            for target in project.targets() {
                if dice.chance(700) {
                    let name = samples::project(&project.name);
                    fleet.serve(&target.host, &name, "before".parse().unwrap());
                }
            }
        }
        match flaw {
            Some(Flaw::Link(flaw)) => link.set_flaw(flaw),
            Some(flaw) => flaw.of_hosts().into_iter().for_each(|flaw| fleet.set_flaw(flaw)),
            None => {}
        }
        let off = |dice: &Dice| {
            let most = if scenario.levels.jumps > 0 { 3_600_000_000 } else { 5_000_000 };
            i64::try_from(dice.below(most)).unwrap() - i64::try_from(most / 2).unwrap()
        };
        let clock = || MachineClock::new(history.start(), off(&dice));
        let disk = |name: &str, clock| Disk::new(name, clock, &dice, &history, flaw);
        let shared = clock();
        let store = disk("control", shared.clone());
        let control = |number| {
            // Nodes that share a queue agree on the time, more or less: one that was far behind would be
            // given again and again what it puts off.
            let clock = shared.clone();
            let apart = i64::try_from(dice.below(600_000)).unwrap() - 300_000;
            let clock = if scenario.controls == 1 { clock } else { clock.apart(apart) };
            Machine::new(format!("control-{number}"), clock, Arc::clone(&store))
        };
        let agent = |number| {
            let (name, clock) = (format!("agent-{number}"), clock());
            let disk = disk(&name, clock.clone());
            Machine::new(name, clock, disk)
        };
        Arc::new(Self {
            controls: (0..scenario.controls).map(control).collect(),
            agents: (0..scenario.agents).map(agent).collect(),
            known: Mutex::default(),
            healed: watch::Sender::new(false),
            scenario,
            flaw,
            dice,
            history,
            fleet,
            link,
        })
    }

    pub(super) fn is_healed(&self) -> bool {
        *self.healed.borrow()
    }

    /// Waits, until everything is mended at most: whether it is not yet.
    pub(super) async fn chaos_for(&self, span: Duration) -> bool {
        let mut healed = self.healed.subscribe();
        tokio::select! {
            biased;
            _ = healed.wait_for(|healed| *healed) => false,
            () = tokio::time::sleep(span) => true,
        }
    }

    /// A control node that runs, at random.
    pub(super) async fn control(&self, dice: &Dice) -> (ControlNode, Life) {
        loop {
            if let Some(found) = dice.pick(&self.controls).node() {
                return found;
            }
            tokio::time::sleep(dice.millis(100..5_000)).await;
        }
    }

    fn fault(&self, what: String) {
        self.history.note(Happening::Fault { what });
    }

    /// Everything breaks as often as the scenario says.
    pub(super) fn break_down(&self) {
        let levels = &self.scenario.levels;
        self.link.set_faults(LinkFaults::everything(levels.link));
        self.fleet.set_faults(FleetFaults::everything(levels.fleet));
        for disk in self.disks() {
            *disk.errors.lock().unwrap() = levels.disk;
        }
        for filed in self.scenario.filed.iter().filter(|filed| filed.spoiled) {
            self.fleet.spoil(filed.request.id.clone().unwrap());
        }
    }

    /// Everything is mended; what was cut off is reached again.
    pub(super) fn heal(&self) {
        self.link.set_faults(LinkFaults::default());
        self.fleet.set_faults(FleetFaults::default());
        self.disks().for_each(|disk| *disk.errors.lock().unwrap() = 0);
        (0..self.agents.len()).for_each(|agent| self.link.set_cut(&endpoint(agent), false));
        (1..10).for_each(|host| self.fleet.set_down(&samples::host(host), false));
        let lives = self.controls.iter().filter_map(|machine| Some(machine.node()?.1));
        let lives = lives.chain(self.agents.iter().filter_map(|machine| Some(machine.node()?.1)));
        lives.for_each(|life| life.spare());
        self.history.note(Happening::Healed);
        self.healed.send_replace(true);
    }

    pub(super) fn disks(&self) -> impl Iterator<Item = &Arc<Disk>> {
        let control = self.controls.iter().take(1).map(|machine| &machine.disk);
        control.chain(self.agents.iter().map(|machine| &machine.disk))
    }

    /// Something big happens so many times an hour.
    async fn now_and_then(&self, dice: &Dice, an_hour: u64, happens: impl AsyncFn()) {
        while an_hour > 0 && self.chaos_for(dice.millis(0..7_200_000 / an_hour)).await {
            happens().await;
        }
    }

    /// Processes are killed or told to stop.
    pub(super) async fn kills(&self) {
        let dice = self.dice.fork("kills");
        let happens = async || {
            let number = usize::try_from(dice.below(100)).unwrap();
            let number = number % (self.controls.len() + self.agents.len());
            let gently = dice.chance(300);
            match (self.controls.get(number), gently) {
                (Some(control), true) => control.stop.notify_one(),
                (Some(control), false) => control.kill(),
                (None, true) => self.agents[number - self.controls.len()].stop.notify_one(),
                (None, false) => self.agents[number - self.controls.len()].kill(),
            }
        };
        self.now_and_then(&dice, self.scenario.levels.kills, happens).await;
    }

    /// Agents and hosts are cut off for a while.
    pub(super) async fn cuts(&self) {
        let dice = self.dice.fork("cuts");
        let happens = async || {
            let for_a_while = dice.millis(5_000..600_000);
            if dice.chance(600) && !self.agents.is_empty() {
                let number = usize::try_from(dice.below(self.agents.len() as u64)).unwrap();
                self.fault(format!("agent {number} is cut off"));
                self.link.set_cut(&endpoint(number), true);
                self.chaos_for(for_a_while).await;
                self.link.set_cut(&endpoint(number), false);
            } else {
                let host = samples::host(usize::try_from(dice.within(1..7)).unwrap());
                self.fault(format!("{host} is down"));
                self.fleet.set_down(&host, true);
                self.chaos_for(for_a_while).await;
                self.fleet.set_down(&host, false);
            }
        };
        self.now_and_then(&dice, self.scenario.levels.cuts, happens).await;
    }

    /// Clocks jump.
    pub(super) async fn jumps(&self) {
        let dice = self.dice.fork("jumps");
        let happens = async || {
            let clocks = self.controls.iter().take(1).map(|machine| &machine.clock);
            let clocks: Vec<_> =
                clocks.chain(self.agents.iter().map(|machine| &machine.clock)).collect();
            let number = usize::try_from(dice.below(clocks.len() as u64)).unwrap();
            let far = *dice.pick(&[2_000, 60_000, 3_600_000]);
            let by = i64::try_from(dice.within(0..2 * far)).unwrap() - i64::try_from(far).unwrap();
            self.fault(format!("clock {number} jumps by {by} ms"));
            clocks[number].jump(by * 1_000);
        };
        self.now_and_then(&dice, self.scenario.levels.jumps, happens).await;
    }
}

impl AllHosts for Scenario {
    fn of(&self, task: &ReleaseTask) -> Vec<Target> {
        let project = self.projects.iter().find(|project| project.name == task.project.as_str());
        project.map(super::scenario::Project::targets).unwrap_or_default()
    }
}
