//! Processes that are killed with -9 in the middle, and started again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use deploy_core::{Event, Fact};

use crate::world::{World, package, said};

/// One host at a time, each of which waits in its hook for a file of its own.
const GATED: &str = r#", "rollout": {"batches": ["1"]}, "release": {"hooks": {
    "after_switch": ["./run; while [ ! -e \"$DEPLOY_ROOT/go\" ]; do sleep 0.05; done"]}}"#;

/// A bot whose events can be waited for.
struct Bot {
    child: Child,
    events: Receiver<Event>,
}

impl Bot {
    fn start(mut command: Command) -> Self {
        let mut child = command.arg("--json").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, events }
    }

    /// Waits until a fact comes for which `wanted` is true.
    fn until(&self, wanted: impl Fn(&Fact) -> bool) {
        while !wanted(&self.events.recv().expect("the bot ended before that came").fact) {}
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn in_hook(fact: &Fact, host: &str) -> bool {
    matches!(fact, Fact::StepStarted { host: at, step: deploy_core::Step::AfterSwitch } if at.as_str() == host)
}

fn let_go(world: &World, hosts: std::ops::RangeInclusive<usize>) {
    for host in hosts {
        std::fs::create_dir_all(world.path(&format!("h{host}/srv/app"))).unwrap();
        world.write(&format!("h{host}/srv/app/go"), "");
    }
}

#[test]
fn a_control_node_that_is_killed_goes_on_and_does_no_host_again() {
    let world = World::new(3);
    let agent = world.agent("127.0.0.1:0");
    let request = world.request("d1", &package("1"), GATED);
    let deploy = || world.deploy_with_state(&request, "inventory.toml");
    let_go(&world, 1..=1);
    let bot = Bot::start(deploy());
    bot.until(|fact| in_hook(fact, "h2"));
    bot.kill();
    // The agent goes on by itself; the next control node asks it.
    let_go(&world, 2..=3);
    let output = deploy().output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for host in 1..=3 {
        assert_eq!(world.version(host).as_deref(), Some("1"));
        assert_eq!(world.runs(host), 1, "the hook of h{host}");
    }
    drop(agent);
}

#[test]
fn an_agent_that_is_killed_and_started_again_loses_nothing() {
    let world = World::new(2);
    let agent = world.agent("127.0.0.1:0");
    let address = agent.address;
    let request = world.request("d1", &package("1"), GATED);
    let_go(&world, 1..=1);
    let bot = Bot::start(world.deploy(&request, "inventory.toml"));
    bot.until(|fact| in_hook(fact, "h2"));
    agent.kill();
    let_go(&world, 2..=2);
    let agent = world.agent(&address.to_string());
    bot.until(
        |fact| matches!(fact, Fact::Finished { outcome, .. } if outcome.as_str() == "succeeded"),
    );
    assert_eq!(world.version(2).as_deref(), Some("1"));
    assert_eq!(world.runs(1), 1);
    drop(agent);
}

#[test]
fn both_killed_at_once_come_to_the_one_end() {
    let world = World::new(3);
    let agent = world.agent("127.0.0.1:0");
    let address = agent.address;
    let request = world.request("d1", &package("1"), GATED);
    let deploy = || world.deploy_with_state(&request, "inventory.toml");
    let_go(&world, 1..=1);
    let bot = Bot::start(deploy());
    bot.until(|fact| in_hook(fact, "h2"));
    agent.kill();
    bot.kill();
    let_go(&world, 2..=3);
    let agent = world.agent(&address.to_string());
    let output = deploy().arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.matches("\"type\":\"finished\"").count(), 1, "{text}");
    for host in 1..=3 {
        assert_eq!(world.version(host).as_deref(), Some("1"));
    }
    assert_eq!(world.runs(1), 1);
    drop(agent);
}

#[test]
fn a_bot_without_an_agent_that_is_killed_leaves_the_host_whole_and_goes_on() {
    let world = World::new(2);
    let request = world.request("d1", &package("1"), GATED);
    let deploy = || world.deploy_with_state(&request, "direct.toml");
    let_go(&world, 1..=1);
    let bot = Bot::start(deploy());
    bot.until(|fact| in_hook(fact, "h2"));
    bot.kill();
    let_go(&world, 2..=2);
    let output = deploy().output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(world.version(1).as_deref(), Some("1"));
    assert_eq!(world.version(2).as_deref(), Some("1"));
    assert_eq!(world.runs(1), 1);
}
