//! One rollout over the hosts of a site: its processes are stopped as planned, and started again.

use std::path::{Path, PathBuf};
use std::process::Command;

use deploy_core::{Event, Fact};
use deploy_testkit::SshFleet;

use super::plan::{HOSTS, Plan, Stop, Victim};
use super::seen::{self, Halt, Seen};
use crate::running::Bot;
use crate::ssh;
use crate::world::{Agent, World, bot, package_of, said};

/// Ten hosts with an sshd each, and what reaches them: a bot, directly or through an agent.
#[derive(Debug)]
pub(crate) struct Site {
    world: World,
    fleet: SshFleet,
    agent: Option<Agent>,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    /// Hosts that the bot itself installs on.
    pub(crate) fn direct() -> Self {
        let (world, fleet) = (World::new(0), SshFleet::start(HOSTS));
        let table = ssh::table(fleet.identity(), fleet.known_hosts());
        world.write("inventory.toml", &ssh::inventory(&fleet, &table));
        Self { world, fleet, agent: None, runtime: tokio::runtime::Runtime::new().unwrap() }
    }

    /// Hosts that an agent installs on.
    pub(crate) fn with_agent() -> Self {
        let mut site = Self::direct();
        let inventory = site.world.path("inventory.toml");
        std::fs::rename(inventory, site.world.path("direct.toml")).unwrap();
        let agent = site.world.start_agent("127.0.0.1:0");
        let names: Vec<_> = site.fleet.hosts().iter().map(|host| host.name().to_string()).collect();
        let root = site.fleet.directory().join("{host.name}/files/srv/app");
        site.world.lead_to_hosts(agent.address, &names, &root);
        site.agent = Some(agent);
        site
    }

    fn roots(&self) -> impl Iterator<Item = PathBuf> {
        self.fleet.hosts().iter().map(|host| host.directory().join("srv/app"))
    }

    /// The journals of a deployment in a state directory whose process is gone.
    fn journals(&self, state: &str, plan: &Plan) -> (Vec<Vec<Event>>, usize) {
        self.runtime.block_on(seen::journals(&self.world.path(state), &plan.id))
    }

    /// Carries a rollout out, and looks at all that is there afterwards.
    pub(crate) fn carry_out(&mut self, plan: Plan) -> Seen {
        let before: Vec<_> = self.roots().map(|root| seen::current(&root, payload).0).collect();
        let payload_of_plan = payload(&plan.id);
        let files = [("VERSION", 0o644, plan.id.as_bytes()), ("payload", 0o644, &payload_of_plan)];
        let request = self.world.request(&plan.id, &package_of(&files), &plan.request());
        let mut halts = Vec::new();
        let (exit, told) = self.bots_to_the_end(&plan, &request, &mut halts);
        let (journal, mut unfinished) = self.journals("state", &plan);
        let mut tasks = Vec::new();
        if self.agent.is_some() {
            // Told to stop, it lets its journal be read.
            let stop = Stop::of_agent();
            self.halt_agent(&plan, stop, &mut halts);
            let (journals, open) = self.journals("agent-state", &plan);
            unfinished += open;
            tasks = journals;
        }
        let hosts = self.fleet.hosts().iter().zip(self.roots()).zip(before);
        let hosts =
            hosts.map(|((host, root), before)| seen::host(host, &root, &plan, before, payload));
        let hosts = hosts.collect();
        let journal = journal.concat();
        Seen { plan, exit, told, journal, tasks, unfinished, halts, hosts }
    }

    /// Starts bots until one of them comes to the end; gives its exit status, and what it told.
    fn bots_to_the_end(
        &mut self,
        plan: &Plan,
        request: &Path,
        halts: &mut Vec<Halt>,
    ) -> (Option<i32>, Vec<Event>) {
        let mut stops = plan.stops.iter().copied();
        let mut stop = stops.next();
        let (mut promoted, mut known) = (false, 0);
        loop {
            let bot = Bot::start(self.world.deploy_with_state(request, "inventory.toml"));
            let (mut told, mut fresh) = (Vec::new(), 0);
            loop {
                if let Some(due) = stop.filter(|stop| fresh >= stop.after) {
                    std::thread::sleep(due.delay);
                    stop = stops.next();
                    fresh = 0;
                    match due.victim {
                        Victim::Agent => self.halt_agent(plan, due, halts),
                        Victim::Bot => {
                            self.halt_bot(plan, bot, due, halts);
                            break;
                        }
                        Victim::Both => {
                            // Which one goes first, makes a difference.
                            if due.delay.as_millis() % 2 == 0 {
                                self.halt_agent(plan, due, halts);
                                self.halt_bot(plan, bot, due, halts);
                            } else {
                                self.halt_bot(plan, bot, due, halts);
                                self.halt_agent(plan, due, halts);
                            }
                            break;
                        }
                    }
                }
                let Some(event) = bot.next() else { return (bot.end(), told) };
                if event.sequence.number() > known {
                    known = event.sequence.number();
                    fresh += 1;
                }
                if matches!(event.fact, Fact::BatchHeld { until: None, .. }) && !promoted {
                    self.promote(plan);
                    promoted = true;
                }
                told.push(event);
            }
        }
    }

    fn promote(&self, plan: &Plan) {
        let mut promote = Command::new(bot());
        promote.args(["promote", &plan.id, "--state"]).arg(self.world.path("state"));
        let output = promote.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }

    /// Stops a bot.
    fn halt_bot(&self, plan: &Plan, bot: Bot, stop: Stop, halts: &mut Vec<Halt>) {
        let exit = if stop.gracefully {
            bot.terminate();
            bot.end()
        } else {
            bot.kill();
            None
        };
        halts.push(self.halt("state", plan, stop, exit, self.agent.is_none()));
    }

    /// Stops the agent, and starts it again where it was.
    fn halt_agent(&mut self, plan: &Plan, stop: Stop, halts: &mut Vec<Halt>) {
        let agent = self.agent.take().unwrap();
        let address = agent.address.to_string();
        let exit = if stop.gracefully {
            agent.terminate()
        } else {
            agent.kill();
            None
        };
        halts.push(self.halt("agent-state", plan, stop, exit, true));
        std::thread::sleep(stop.away);
        self.agent = Some(self.world.start_agent(&address));
    }

    /// What is known right after a process was stopped.
    fn halt(
        &self,
        state: &str,
        plan: &Plan,
        stop: Stop,
        exit: Option<i32>,
        installs: bool,
    ) -> Halt {
        let (journals, _) = self.journals(state, plan);
        let (finished, in_flight) = seen::standing(&journals);
        let ended = |journal: &Vec<Event>| {
            matches!(journal.last().map(|event| &event.fact), Some(Fact::Finished { .. }))
        };
        let lines = self.fleet.hosts().iter().zip(self.roots());
        let lines = lines.filter(|(host, _)| finished.contains(host.name()));
        let lines =
            lines.map(|(host, root)| (host.name().clone(), seen::lines(&root, &plan.id).len()));
        Halt {
            of_agent: state == "agent-state",
            installs,
            // Who is told before it listens ends as if killed.
            gracefully: stop.gracefully && exit.is_some(),
            while_recovering: stop.while_recovering,
            exit,
            over: !journals.is_empty() && journals.iter().all(ended),
            finished: lines.collect(),
            in_flight,
        }
    }
}

/// Bytes that belong to a release alone.
fn payload(release: &str) -> Vec<u8> {
    release.bytes().cycle().zip(0_u32..64 * 1024).map(|(byte, n)| byte ^ (n % 251) as u8).collect()
}
