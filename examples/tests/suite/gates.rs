//! The release bot with gates: what holds a deployment, and what it says of it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::world::{World, bot, package, said};

/// Runs the command until it says that the deployment is held, gives that line, and ends it.
fn held(mut command: Command) -> String {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.contains("held until"));
    child.kill().unwrap();
    child.wait().unwrap();
    line.unwrap()
}

fn deploy(world: &World, request: &Path, gates: &str) -> Command {
    let mut command = world.deploy(request, "direct.toml");
    command.arg("--gates").arg(world.write("gates.toml", gates));
    command.arg("--approvals").arg(world.path("approvals.jsonl"));
    command
}

#[test]
fn a_frozen_project_is_held_and_says_why() {
    let world = World::new(1);
    let request = world.request("d1", &package("1"), "");
    let gates = r#"
        [[freeze]]
        reason = "the shop is closed for good"
        zone = "Asia/Shanghai"
        daily = { from = "00:00", until = "24:00" }
        projects = ["b/p"]
    "#;
    let line = held(deploy(&world, &request, gates));
    assert!(line.ends_with(": frozen: the shop is closed for good"), "{line}");
    assert!(!world.path("h1").exists());
    // It is not for others.
    let output = deploy(&world, &request, &gates.replace("b/p", "b/q")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_work_order_is_held_until_it_is_approved() {
    let world = World::new(1);
    let request = world.request("d1", &package("1"), r#", "requested_by": "alice""#);
    let gates = "[[approval]]\nneed = 1\nof = [\"alice\", \"bob\"]\nnot_requester = true\n";
    let line = held(deploy(&world, &request, gates));
    assert!(line.contains("work order WO-1 lacks 1 of 1 approvals"), "{line}");
    assert!(line.ends_with("missing is 1 of bob"), "{line}");
    let approve = |name: &str| {
        let mut command = Command::new(bot());
        command.args(["approve", "--by", name, "--work-order", "WO-1", "--approvals"]);
        command.arg(world.path("approvals.jsonl")).status().unwrap().code()
    };
    assert_eq!(approve("Bob"), Some(2));
    assert_eq!(approve("bob"), Some(0));
    let output = deploy(&world, &request, gates).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(world.version(1).as_deref(), Some("1"));
}

#[test]
fn gates_that_make_no_sense_are_told_whole_and_end_with_two() {
    let world = World::new(1);
    let request = world.request("d1", &package("1"), "");
    let gates = r#"
        freeze = [{ reason = "r", zone = "Europe/Berln", daily = { from = "1", until = "02:00" } }]
        approval = [{ need = 3, of = ["alice"] }]
    "#;
    let output = deploy(&world, &request, gates).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for path in ["freeze[0].zone: ", "freeze[0].daily.from: ", "approval[0].need: "] {
        assert!(said(&output).contains(path), "{path} is missing in:\n{}", said(&output));
    }
    let gates = world.write("needs.toml", "approval = [{ need = 1, of = [\"alice\"] }]");
    let output = world.deploy(&request, "direct.toml").arg("--gates").arg(gates).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}
