//! Hosts that are put back: by hand, in the middle and afterwards, and by themselves.

use deploy_core::Fact;
use deploy_core::model::Outcome;
use serde_json::Value;

use crate::calls::{call, done, json, refused, run, user};
use crate::running::{Bot, GATED, in_hook, let_go};
use crate::world::{World, package, said};

const PLAIN: &str = r#", "release": {"hooks": {"after_switch": ["./run"]}}"#;

/// Deploys versions 1 to `last`, as `d1` and so on.
fn deployed(world: &World, last: usize, inventory: &str) {
    for number in 1..=last {
        let request = world.request(&format!("d{number}"), &package(&number.to_string()), PLAIN);
        let output = world.deploy_with_state(&request, inventory).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

fn versions(world: &World, hosts: usize) -> Vec<Option<String>> {
    (1..=hosts).map(|host| world.version(host)).collect()
}

fn rolled_back(fact: &Fact) -> bool {
    matches!(fact, Fact::Finished { outcome: Outcome::RolledBack, .. })
}

#[test]
fn a_finished_deployment_is_undone_by_hand_and_the_history_says_who_did_it_and_why() {
    let world = World::new(3);
    deployed(&world, 2, "direct.toml");
    for _ in 0..2 {
        let text = done(&world, &["rollback", "d2", "--reason", "it is slow"]);
        assert!(text.contains("d2-rollback1  b/p  being prepared"), "{text}");
        assert!(text.contains("no bot is at work"), "{text}");
    }
    assert_eq!(versions(&world, 3), vec![Some("2".to_owned()); 3], "reading works on nothing");
    let running = run(&world);
    running.until(rolled_back);
    running.terminate();
    assert_eq!(running.end(), Some(0));
    assert_eq!(versions(&world, 3), vec![Some("1".to_owned()); 3]);

    let text = done(&world, &["status", "d2-rollback1"]);
    assert!(text.contains("rolled back  3 of 3 hosts put back"), "{text}");
    assert!(text.contains("undoes: d2, to the last good release"), "{text}");
    assert!(text.contains(&format!("rollback filed by {}: it is slow", user())), "{text}");
    let entry = &json(&world, &["history", "--outcome", "rolled-back"])[0];
    assert_eq!((&entry["task"], &entry["rollback"]["of"]), (&"d2-rollback1".into(), &"d2".into()));
    assert_eq!(entry["deeds"][0]["why"], "it is slow");
    let record = &json(&world, &["history", "--host", "h2"])[0];
    assert_eq!(
        (&record["result"]["status"], &record["result"]["serves"]),
        (&"rolled_back".into(), &"d1".into())
    );
    refused(&world, &["rollback", "d2-rollback1"], "it undoes another deployment itself");
    refused(&world, &["rollback", "d9"], "no deployment d9 is known");
    refused(&world, &["rollback", "d2", "--to", "no id"], "--to: ");
    refused(&world, &["rollback", "d2", "--to", "previuos"], "no deployment previuos is known");
}

#[test]
fn a_running_rollout_is_put_back_through_the_bot_and_is_no_success() {
    let world = World::new(3);
    deployed(&world, 1, "direct.toml");
    let request = world.request("d2", &package("2"), GATED);
    let running = Bot::start(world.deploy_with_state(&request, "direct.toml"));
    running.until(|fact| in_hook(fact, "h1"));
    let text = done(&world, &["rollback", "d2", "--to", "previous", "--reason", "the phones ring"]);
    assert!(text.contains("rolling back"), "{text}");
    let status = &json(&world, &["status", "d2"])[0];
    assert_eq!(
        (&status["phase"], &status["goes_back_to"]),
        (&"rolling_back".into(), &"previous".into())
    );
    let_go(&world, 1..=3);
    running.until(rolled_back);
    assert_eq!(running.end(), Some(1));
    assert_eq!(versions(&world, 3), vec![Some("1".to_owned()); 3]);
    let text = done(&world, &["status", "d2"]);
    assert!(text.contains("d2  b/p  rolled back"), "{text}");
    assert!(text.contains("the phones ring"), "{text}");
}

#[test]
fn past_its_budget_a_rollout_puts_back_what_it_had_switched() {
    let world = World::new(3);
    deployed(&world, 1, "direct.toml");
    let more = r#", "rollout": {"failures": {"then": "roll_back"}}, "release": {"hooks": {"after_switch":
        ["[ -n \"$DEPLOY_ROLLBACK\" ] || [ \"$DEPLOY_HOST\" != h2 ] || { echo no port; exit 3; }"]}}"#;
    let request = world.request("d2", &package("2"), more);
    let output = world.deploy_with_state(&request, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for part in
        ["rolling back 1 host", "d2 rolled back in", "| no port", "h1: rolled back, serves d1"]
    {
        assert!(said(&output).contains(part), "{part} is missing in: {}", said(&output));
    }
    assert_eq!(versions(&world, 3), vec![Some("1".to_owned()); 3]);
}

#[test]
fn hosts_go_back_to_a_release_that_is_named_through_their_agent_too() {
    let world = World::new(2);
    let agent = world.agent("127.0.0.1:0");
    deployed(&world, 3, "inventory.toml");
    done(&world, &["rollback", "d3", "--to", "d1"]);
    // The same, whether or not the directory knows it.
    done(&world, &["rollback", "d3", "--to", "release:d1"]);
    // Whoever files something next goes on with it first.
    let request = world.request("d3", &package("3"), PLAIN);
    let output = world.deploy_with_state(&request, "inventory.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let request = world.request("d4", &package("4"), r#", "hosts": ["h1"]"#);
    let output = world.deploy_with_state(&request, "inventory.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(versions(&world, 2), [Some("4".to_owned()), Some("1".to_owned())]);
    let output = call(&world, &["history", "--outcome", "rolled-back", "--json"]);
    let entries: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(entries[0]["rollback"]["to"]["release"], "d1");
    drop(agent);
}
