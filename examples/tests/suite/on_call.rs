//! What a person on call is told: how a rollout failed on each host, and what may be done now.

use deploy_core::Fact;
use serde_json::Value;

use crate::calls::{call, done, json};
use crate::running::{Bot, GATED, in_hook, let_go};
use crate::world::{World, package, said};

const BROKEN: &str = r#", "rollout": {"batches": ["2"]}, "release": {"hooks": {"after_switch":
    ["[ \"$DEPLOY_HOST\" = h1 ] || { echo the port is taken; exit 3; }"]}}"#;

/// The commands that `status --json` names.
fn commands(world: &World, deployment: &str) -> Vec<String> {
    let status = json(world, &["status", deployment]);
    let next = status[0]["next"].as_array().into_iter().flatten();
    next.map(|advice| advice["command"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_failed_rollout_says_of_each_host_why_and_what_may_be_done_now() {
    let world = World::new(3);
    let request = world.request("d1", &package("1"), BROKEN);
    let output = world.deploy_with_state(&request, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let status = done(&world, &["status", "d1"]);
    assert!(status.contains("1 of 3 hosts done, 1 failed, 1 not started"), "{status}");
    let state = world.path("state").display().to_string();
    for text in [said(&output), status] {
        for part in [
            "h2: rolled back (after_switch: hook 1 ended with status 3)".to_owned(),
            "    | the port is taken".to_owned(),
            "h3: not started (the rollout stopped before its turn)".to_owned(),
            format!("release_bot retry d1 --state {state}: does what does not serve it (2 hosts)"),
            format!("release_bot rollback d1 --state {state}: puts back what serves it (1 host)"),
        ] {
            assert!(text.contains(&part), "{part} is missing in: {text}");
        }
    }
    assert_eq!(commands(&world, "d1"), ["retry", "rollback"]);
    // What is advised works, and then there is nothing to advise but for the rest.
    done(&world, &["rollback", "d1"]);
    assert_eq!(commands(&world, "d1-rollback1"), [""; 0]);
}

#[test]
fn a_rollout_that_stands_until_somebody_says_something_says_what() {
    let world = World::new(2);
    let request = world.request("d1", &package("1"), GATED);
    let running = Bot::start(world.deploy_with_state(&request, "direct.toml"));
    running.until(|fact| in_hook(fact, "h1"));
    assert_eq!(commands(&world, "d1"), [""; 0]);
    let status = done(&world, &["status", "d1"]);
    assert!(status.contains("h1: is being done, at after_switch"), "{status}");
    done(&world, &["pause", "d1"]);
    assert_eq!(commands(&world, "d1"), ["resume", "rollback", "cancel"]);
    let_go(&world, 1..=2);
    done(&world, &["resume", "d1"]);
    assert_eq!(running.end(), Some(0));
    assert_eq!(commands(&world, "d1"), [""; 0]);
}

#[test]
fn a_bot_that_is_told_to_stop_says_by_its_status_that_nothing_has_ended() {
    let world = World::new(2);
    let request = world.request("d1", &package("1"), GATED);
    let deploy = || world.deploy_with_state(&request, "direct.toml");
    let running = Bot::start(deploy());
    running.until(|fact| in_hook(fact, "h1"));
    running.terminate();
    let_go(&world, 1..=2);
    assert_eq!(running.end(), Some(3));
    assert_eq!(world.version(2), None, "the next host is not begun");
    let output = deploy().output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!((world.runs(1), world.version(2).as_deref()), (1, Some("1")));
}

#[test]
fn hosts_of_an_agent_that_is_away_are_said_to_be_silent() {
    let world = World::new(1);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.lead_to(nobody);
    let request = world.request("d1", &package("1"), "");
    let running = Bot::start(world.deploy_with_state(&request, "inventory.toml"));
    running.until(|fact| matches!(fact, Fact::Dispatched { .. }));
    let status = done(&world, &["status", "d1"]);
    let silent = format!("h1: handed to http://{nobody}/, and nothing heard of it yet");
    assert!(status.contains(&silent), "{status}");
    done(&world, &["cancel", "d1"]);
    assert_eq!(running.end(), Some(1));
}

#[test]
fn with_json_errors_are_data_too() {
    let world = World::new(1);
    let request = world.request("d1", &package("1"), "");
    assert!(world.deploy_with_state(&request, "direct.toml").output().unwrap().status.success());
    let output = call(&world, &["retry", "d1", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(error["error"].as_str().unwrap().contains("none of its hosts has failed"), "{error}");
}
