//! The nodes: each lives until it is stopped or killed, and is started again.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{BusinessName, Digests, PackageSource, ProjectName, Target};
use deploy_core::{
    AgentNode, AgentResolver, Context, ControlNode, ResolveError, SchemeExecutor, VerifiedPackage,
    Verifier, VerifyError,
};
use deploy_testkit::{Dice, StaticResolver, samples};

use super::flaw::Flawed;
use super::gates::TimedGate;
use super::history::Happening;
use super::life::Life;
use super::scenario::endpoint;
use super::store::Store;
use super::world::{Machine, World};

/// Lets a control node live, again and again.
pub(super) async fn control(world: Arc<World>, number: usize) {
    let machine = &world.controls[number];
    let dice = world.dice.fork(&machine.name);
    loop {
        let life = begin(&world, &dice);
        let store = store(machine, &life);
        let executor = Flawed {
            inner: SchemeExecutor::new()
                .with("http", world.link.executor())
                .with("ssh", world.fleet.executor()),
            flaw: world.flaw,
            hosts: Arc::new(world.scenario.clone()),
        };
        let hosts = world.scenario.projects.iter().fold(StaticResolver::empty(), |all, project| {
            let name = samples::project(&project.name);
            all.with_project(samples::business(), name, project.targets())
        });
        let mut builder = ControlNode::builder()
            .name(&machine.name)
            .resolver(Unsteady { inner: hosts, dice: dice.fork("resolver") })
            .verifier(Unsteady { inner: package(), dice: dice.fork("verifier") })
            .executor(executor)
            .queue(store.clone())
            .journal(store)
            .clock(machine.clock.clone())
            .workers(3)
            .drain(dice.millis(0..40_000));
        for (number, shut) in world.scenario.gates.iter().enumerate() {
            builder = builder.gate(TimedGate {
                number,
                shut: shut.clone(),
                clock: machine.clock.clone(),
                dice: dice.fork("gate"),
                history: world.history.clone(),
                flaw: world.flaw,
            });
        }
        if let Some(hosts) = world.scenario.max_hosts {
            builder = builder.max_hosts(hosts);
        }
        let started = life.of(builder.build()).await;
        let Some(Ok(node)) = started else {
            end(&world, machine, &life, &dice, "did not start").await;
            continue;
        };
        note(&world, machine, "started");
        machine.set(Some((node.clone(), life.clone())));
        let how = tokio::select! {
            biased;
            () = life.over() => "killed",
            () = machine.stop.notified() => stopped(life.of(node.shutdown()).await),
        };
        machine.set(None);
        drop(node);
        end(&world, machine, &life, &dice, how).await;
    }
}

/// Lets an agent live, again and again.
pub(super) async fn agent(world: Arc<World>, number: usize) {
    let machine = &world.agents[number];
    let dice = world.dice.fork(&machine.name);
    loop {
        let life = begin(&world, &dice);
        let store = store(machine, &life);
        let hosts = world.scenario.projects.iter().fold(StaticResolver::empty(), |all, project| {
            let name = samples::project(&project.name);
            all.with_project(samples::business(), name, project.behind(number))
        });
        let executor = Flawed {
            inner: world.fleet.executor(),
            flaw: world.flaw,
            hosts: Arc::new(world.scenario.clone()),
        };
        let builder = AgentNode::builder()
            .name(&machine.name)
            .resolver(Unsteady { inner: hosts, dice: dice.fork("resolver") })
            .executor(executor)
            .queue(store.clone())
            .journal(store)
            .clock(machine.clock.clone())
            .workers(3)
            .drain(dice.millis(0..40_000));
        let started = life.of(builder.build()).await;
        let Some(Ok(node)) = started else {
            end(&world, machine, &life, &dice, "did not start").await;
            continue;
        };
        note(&world, machine, "started");
        machine.set(Some((node.clone(), life.clone())));
        world.link.connect(&endpoint(number), &node);
        let how = tokio::select! {
            biased;
            () = life.over() => "killed",
            () = machine.stop.notified() => stopped(life.of(node.shutdown()).await),
        };
        world.link.disconnect(&endpoint(number));
        machine.set(None);
        drop(node);
        end(&world, machine, &life, &dice, how).await;
    }
}

fn stopped(ended: Option<()>) -> &'static str {
    if ended.is_some() { "stopped" } else { "killed while it stopped" }
}

fn begin(world: &World, dice: &Dice) -> Life {
    let mortal = !world.is_healed() && world.scenario.levels.kills > 0 && dice.chance(400);
    let steps = if mortal { dice.within(10..1_500) } else { u64::MAX >> 1 };
    Life::new(i64::try_from(steps).unwrap())
}

fn store<N>(machine: &Machine<N>, life: &Life) -> Store {
    Store { disk: Arc::clone(&machine.disk), life: life.clone(), by: machine.name.clone() }
}

fn note<N>(world: &World, machine: &Machine<N>, what: &'static str) {
    world.history.note(Happening::Process { node: machine.name.clone(), what });
}

/// A life has ended. What the next one finds of the queue depends on what kind of queue it is.
async fn end<N>(world: &World, machine: &Machine<N>, life: &Life, dice: &Dice, what: &'static str) {
    life.kill();
    note(world, machine, what);
    // Whoever holds something of the dead process lets go of it.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let shared = world.controls.len() > 1 && machine.disk.name == "control";
    machine.disk.lose_power().await;
    match dice.below(10) {
        _ if shared => {}
        0..6 => machine.disk.reopen_queue().await,
        6 | 7 => machine.disk.lose_queue(),
        _ => {}
    }
    tokio::time::sleep(dice.millis(1..90_000)).await;
}

/// The package that every request is for: its bytes are nowhere.
fn package() -> VerifiedPackage {
    let mut digests = Digests::new();
    digests.update(b"package");
    let file = Arc::new(File::open("/dev/null").unwrap());
    VerifiedPackage::new(file, digests.finish(), "package.tar".to_owned())
}

/// Something that is slow, and fails now and then.
#[derive(Clone, Debug)]
struct Unsteady<T> {
    inner: T,
    dice: Dice,
}

#[async_trait]
impl AgentResolver for Unsteady<StaticResolver> {
    async fn resolve(
        &self,
        cx: Context,
        business: BusinessName,
        project: ProjectName,
    ) -> Result<Vec<Target>, ResolveError> {
        tokio::time::sleep(self.dice.millis(1..500)).await;
        if self.dice.chance(30) {
            return Err(ResolveError::Unavailable { source: "nobody answers".into() });
        }
        self.inner.resolve(cx, business, project).await
    }
}

#[async_trait]
impl Verifier for Unsteady<VerifiedPackage> {
    async fn verify(
        &self,
        _cx: Context,
        source: PackageSource,
    ) -> Result<VerifiedPackage, VerifyError> {
        tokio::time::sleep(self.dice.millis(1..10_000)).await;
        let url = source.url.to_string();
        if self.dice.chance(30) {
            return Err(VerifyError::Unreachable { url, source: "nobody answers".into() });
        }
        VerifyError::check(&source, &self.inner.digests)?;
        Ok(self.inner.clone())
    }
}
