//! Processes that are killed with -9 in the middle, and started again.

use deploy_core::Fact;

use crate::running::{Bot, GATED, in_hook, let_go};
use crate::world::{World, package, said};

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
