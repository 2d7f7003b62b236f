//! Plans: what a request would do, looked at first, and done where the world has not moved.

use std::path::Path;
use std::process::{Command, Output};

use deploy_core::{Fact, Plan};
use serde_json::Value;

use crate::calls::{json, run};
use crate::running::{Bot, GATED, in_hook, let_go};
use crate::world::{World, bot, package, said};

const HOOKS: &str = r#", "release": {"hooks": {"after_switch": ["./run"]}},
    "rollout": {"batches": ["1", "100%"]}"#;

fn plan(world: &World, request: &Path, inventory: &str) -> Command {
    let mut command = Command::new(bot());
    command.arg("plan").arg(request).arg("--inventory").arg(world.path(inventory));
    command.arg("--out").arg(world.path("plan.json"));
    command
}

fn apply(world: &World, inventory: &str) -> Command {
    let mut command = Command::new(bot());
    command.arg("apply").arg(world.path("plan.json")).arg("--inventory");
    command.arg(world.path(inventory)).arg("--state").arg(world.path("state"));
    command
}

fn deployed(world: &World, id: &str, version: &str, inventory: &str) {
    let request = world.request(id, &package(version), HOOKS);
    let output = world.deploy_with_state(&request, inventory).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

fn says(output: &Output, code: i32, parts: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    for part in parts {
        assert!(said(output).contains(part), "{part} is missing in: {}", said(output));
    }
}

#[test]
fn a_plan_says_what_would_change_where_and_is_applied_once() {
    let world = World::new(3);
    deployed(&world, "d1", "1", "direct.toml");
    let request = world.request("d2", &package("2"), HOOKS);
    let output = plan(&world, &request, "direct.toml").output().unwrap();
    let parts = [
        "plan of d2 for b/p",
        "batch 1 of 2: h1",
        "batch 2 of 2: h2, h3",
        "h3 by local:",
        "d1 -> d2",
        "after_switch on each host: ./run",
        "release_bot apply",
    ];
    says(&output, 0, &parts);
    // Nothing has happened.
    assert_eq!(world.version(1).as_deref(), Some("1"));
    assert_eq!(json(&world, &["history"]).as_array().unwrap().len(), 1);
    let text = std::fs::read(world.path("plan.json")).unwrap();
    let written: Plan = serde_json::from_slice(&text).unwrap();
    assert_eq!(written.hosts.len(), 3);

    for _ in 0..2 {
        let output = apply(&world, "direct.toml").output().unwrap();
        says(&output, 0, &["d2 succeeded"]);
    }
    for host in 1..=3 {
        assert_eq!((world.version(host).as_deref(), world.runs(host)), (Some("2"), 2));
    }
}

#[test]
fn a_plan_is_refused_with_everything_that_has_moved_since() {
    let world = World::new(2);
    deployed(&world, "d1", "1", "direct.toml");
    let request = world.request("d3", &package("3"), HOOKS);
    says(&plan(&world, &request, "direct.toml").output().unwrap(), 0, &[]);
    deployed(&world, "d2", "2", "direct.toml");
    let third = format!(
        "[[host]]\nname = \"h3\"\naddress = \"127.0.0.1\"\nendpoint = \"local:{}\"\n\n",
        world.path("h3").display()
    );
    let inventory = std::fs::read_to_string(world.path("direct.toml")).unwrap();
    world.write("direct.toml", &(third + &inventory));
    let moved = [
        "hosts.h1.current: release d2 now, planned with release d1",
        "hosts.h3: one now",
        "batches: ",
    ];
    says(&apply(&world, "direct.toml").output().unwrap(), 2, &moved);
    let output = apply(&world, "direct.toml").arg("--json").output().unwrap();
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    let paths: Vec<_> =
        told["drifts"].as_array().unwrap().iter().map(|drift| drift["path"].as_str()).collect();
    assert!(paths.contains(&Some("hosts.h2.current")), "{told}");
    assert!(paths.contains(&Some("batches")), "{told}");
    // By a bot at work too.
    let working = run(&world);
    crate::running::until_it_answers(&world);
    says(&apply(&world, "direct.toml").output().unwrap(), 2, &moved);
    working.terminate();
    assert_eq!(working.end(), Some(0));
    assert_eq!(json(&world, &["history"]).as_array().unwrap().len(), 2);
    assert_eq!(world.version(1).as_deref(), Some("2"));
}

#[test]
fn a_bot_at_work_plans_by_its_own_inventory_and_says_what_comes_first() {
    let world = World::new(2);
    let first = world.request("d1", &package("1"), GATED);
    let running = Bot::start(world.deploy_with_state(&first, "direct.toml"));
    running.until(|fact| in_hook(fact, "h1"));
    let request = world.request("d2", &package("2"), HOOKS);
    // Its inventory has no such host.
    let other = std::fs::read_to_string(world.path("direct.toml")).unwrap().replace("h2", "h9");
    world.write("other.toml", &other);
    let mut command = plan(&world, &request, "other.toml");
    let output = command.arg("--state").arg(world.path("state")).arg("--json").output().unwrap();
    says(&output, 0, &[]);
    let plan: Plan = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan.waits_for, ["the deployment d1"]);
    assert!(plan.hosts.iter().any(|host| host.target.host.as_str() == "h2"));
    let_go(&world, 1..=2);
    assert_eq!(running.end(), Some(0));
    // Nobody is at work, and nothing is before it any more.
    let mut command = self::plan(&world, &request, "direct.toml");
    let output = command.arg("--state").arg(world.path("state")).arg("--json").output().unwrap();
    let plan: Plan = serde_json::from_slice(&output.stdout).unwrap();
    assert!(plan.waits_for.is_empty());
}

#[test]
fn hosts_behind_an_agent_are_looked_at_and_a_plan_is_applied_through_it() {
    let world = World::new(2);
    let agent = world.agent("127.0.0.1:0");
    deployed(&world, "d1", "1", "inventory.toml");
    let request = world.request("d2", &package("2"), HOOKS);
    let output = plan(&world, &request, "inventory.toml").output().unwrap();
    says(&output, 0, &["h2 by http://127.0.0.1", "d1 -> d2"]);
    let running = Bot::start(apply(&world, "inventory.toml"));
    running.until(|fact| matches!(fact, Fact::Finished { .. }));
    assert_eq!(running.end(), Some(0));
    assert_eq!(world.version(2).as_deref(), Some("2"));
    drop(agent);
}

#[test]
fn a_host_that_cannot_be_looked_at_is_named_with_the_reason() {
    let world = World::new(2);
    std::fs::write(world.path("h2"), "no directory").unwrap();
    let request = world.request("d1", &package("1"), HOOKS);
    let output = plan(&world, &request, "direct.toml").output().unwrap();
    says(&output, 1, &["nothing of ours -> d1", "cannot be looked at: "]);
}

#[test]
fn what_is_no_plan_is_refused() {
    let world = World::new(1);
    world.write("plan.json", "{\"made_at\": 1}");
    says(&apply(&world, "direct.toml").output().unwrap(), 2, &["plan.json is no plan: "]);
    assert!(!world.path("state").exists());
}
