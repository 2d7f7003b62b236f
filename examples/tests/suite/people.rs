//! What a person asks of a bot and does to its deployments, while it runs and when it does not.

use deploy_core::Fact;
use serde_json::Value;

use crate::calls::{done, json, refused, run, user};
use crate::running::{Bot, GATED, in_hook, let_go};
use crate::world::{World, package, said};

/// One host at a time, each of which fails while there is a file `broken`.
const REPAIRABLE: &str =
    r#""release": {"hooks": {"before_switch": ["test ! -e \"$DEPLOY_ROOT/broken\""]}}"#;

fn ended(fact: &Fact, host: &str) -> bool {
    matches!(fact, Fact::HostFinished { result } if result.host.as_str() == host)
}

fn has_ended(fact: &Fact) -> bool {
    matches!(fact, Fact::Finished { .. })
}

/// A rollout over three hosts that is paused, with the first of them done.
fn paused(world: &World) -> Bot {
    let request = world.request("d1", &package("1"), GATED);
    let running = Bot::start(world.deploy_with_state(&request, "direct.toml"));
    running.until(|fact| in_hook(fact, "h1"));
    done(world, &["pause", "d1", "--reason", "the phones ring"]);
    let_go(world, 1..=3);
    running.until(|fact| ended(fact, "h1"));
    running
}

#[test]
fn a_running_rollout_is_paused_shown_and_resumed() {
    let world = World::new(3);
    let running = paused(&world);
    let by = format!("{}: the phones ring", user());
    let text = done(&world, &["status"]);
    assert!(text.contains(&format!("d1  b/p  paused ({by})  1 of 3 hosts done, 2 left")), "{text}");
    let text = done(&world, &["status", "d1"]);
    assert!(text.contains("it waits for a person"), "{text}");
    assert!(text.contains(&format!("paused by {by}")), "{text}");
    let status = &json(&world, &["status"])[0];
    assert_eq!((&status["phase"], &status["task"]), (&"paused".into(), &"d1".into()));
    assert_eq!(status["reason"], by);
    assert_eq!(status["hosts"]["done"], 1);
    assert_eq!((world.version(2), world.version(3)), (None, None));
    // Said again it is not recorded again.
    done(&world, &["pause", "d1", "--reason", "they still ring"]);
    done(&world, &["resume", "d1", "--reason", "all quiet"]);
    assert_eq!(running.end(), Some(0));
    assert_eq!(world.version(3).as_deref(), Some("1"));

    // The bot has ended: its directory tells.
    let entry = &json(&world, &["history", "--project", "b/p"])[0];
    assert_eq!(entry["outcome"], "succeeded");
    assert!(entry["seconds"].as_f64().unwrap() > 0.0);
    let deeds = entry["deeds"].as_array().unwrap();
    let deeds: Vec<_> = deeds.iter().map(|d| [&d["what"], &d["who"], &d["why"]]).collect();
    let user = Value::from(user());
    let deed = |what: &str, why: &str| [Value::from(what), user.clone(), Value::from(why)];
    let [first, second] = [deed("paused", "the phones ring"), deed("resumed", "all quiet")];
    assert_eq!(deeds, [first.each_ref(), second.each_ref()]);
    assert!(done(&world, &["status"]).contains("nothing is unfinished"));
}

#[test]
fn whoever_asks_hears_that_an_agent_is_not_there_while_it_is_tried_again() {
    let world = World::new(1);
    let agent = world.agent("127.0.0.1:0");
    let address = agent.address;
    drop(agent);
    let request = world.request("d1", &package("1"), "");
    let running = Bot::start(world.deploy_with_state(&request, "inventory.toml"));
    running.until(|fact| matches!(fact, Fact::AttemptFailed { .. }));
    let text = done(&world, &["status", "d1"]);
    assert!(text.contains("last failed attempt: at 20"), "{text}");
    assert!(
        text.contains(&format!("tried again: http://{address}/ could not be reached")),
        "{text}"
    );
    let _agent = world.start_agent(&address.to_string());
    assert_eq!(running.end(), Some(0));
    assert!(!done(&world, &["status", "d1"]).contains("failed attempt"));
}

#[test]
fn a_deployment_that_was_paused_is_cancelled_and_the_reason_is_kept() {
    let world = World::new(3);
    let running = paused(&world);
    done(&world, &["cancel", "d1", "--reason", "wrong package"]);
    assert_eq!(running.end(), Some(1));
    assert_eq!((world.version(1).as_deref(), world.version(2)), (Some("1"), None));
    let entries = json(&world, &["history", "--outcome", "cancelled"]);
    assert_eq!(entries[0]["reason"], format!("{}: wrong package", user()));
    assert_eq!(entries[0]["deeds"][1]["what"], "cancel_requested");
    assert_eq!(entries[0]["deeds"][1]["why"], "wrong package");
    assert_eq!(json(&world, &["history", "--outcome", "failed"]), Value::Array(Vec::new()));
}

#[test]
fn a_host_is_skipped_and_a_rollout_gets_more_time() {
    let world = World::new(3);
    let running = paused(&world);
    let deadline = |status: &Value| -> deploy_core::model::Timestamp {
        status[0]["deadline"].as_str().unwrap().parse().unwrap()
    };
    let before = deadline(&json(&world, &["status", "d1"]));
    done(&world, &["extend", "d1", "--by", "1h"]);
    let after = deadline(&json(&world, &["status", "d1"]));
    assert_eq!(after.since(before).as_secs(), 3600);
    done(&world, &["skip", "d1", "h2", "--reason", "in repair"]);
    done(&world, &["resume", "d1"]);
    assert_eq!(running.end(), Some(1));
    assert_eq!((world.version(2), world.version(3).as_deref()), (None, Some("1")));
    let record = &json(&world, &["history", "--host", "h2"])[0];
    assert_eq!(record["result"]["status"], "not_started");
    assert_eq!((&record["turns"], record.get("began_at")), (&0.into(), None));
}

#[test]
fn a_canary_is_held_until_it_is_promoted() {
    let world = World::new(3);
    let rollout = r#", "rollout": {"canary": {"hosts": "1", "hold": "promote"}}"#;
    let request = world.request("d1", &package("1"), rollout);
    let running = Bot::start(world.deploy_with_state(&request, "direct.toml"));
    running.until(|fact| matches!(fact, Fact::BatchHeld { .. }));
    assert!(
        done(&world, &["status"]).contains("held (the canary is done, and the rest is held back)")
    );
    assert_eq!(world.version(2), None);
    done(&world, &["promote", "d1", "--reason", "looks good"]);
    assert_eq!(running.end(), Some(0));
    assert_eq!(world.version(3).as_deref(), Some("1"));
}

#[test]
fn a_failed_host_is_repaired_and_done_again_while_the_bot_waits() {
    let world = World::new(2);
    let more = format!(r#", "rollout": {{"failures": {{"then": "wait"}}}}, {REPAIRABLE}"#);
    let request = world.request("d1", &package("1"), &more);
    std::fs::create_dir_all(world.path("h1/srv/app")).unwrap();
    let broken = world.write("h1/srv/app/broken", "");
    let running = Bot::start(world.deploy_with_state(&request, "direct.toml"));
    running.until(|fact| matches!(fact, Fact::BudgetPassed { .. }));
    assert!(done(&world, &["status", "d1"]).contains("1 failed, 1 left"));
    std::fs::remove_file(broken).unwrap();
    done(&world, &["retry", "d1", "--reason", "repaired"]);
    assert_eq!(running.end(), Some(0));
    let record = &json(&world, &["history", "--host", "h1"])[0];
    assert_eq!((&record["turns"], &record["result"]["status"]), (&2.into(), &"succeeded".into()));
}

#[test]
fn what_is_said_while_no_bot_runs_is_done_by_the_next_one() {
    let world = World::new(2);
    let request = world.request("d1", &package("1"), &format!(", {REPAIRABLE}"));
    std::fs::create_dir_all(world.path("h1/srv/app")).unwrap();
    let broken = world.write("h1/srv/app/broken", "");
    let output = world.deploy_with_state(&request, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    std::fs::remove_file(broken).unwrap();
    for _ in 0..2 {
        let text = done(&world, &["retry", "d1", "--reason", "repaired"]);
        assert!(text.contains("d1-retry1  b/p  being prepared"), "{text}");
        assert!(text.contains("no bot is at work"), "{text}");
    }
    assert!(done(&world, &["status"]).contains("d1-retry1"));
    assert_eq!(world.version(1), None, "reading works on nothing");
    let running = run(&world);
    running.until(has_ended);
    assert_eq!((world.version(1).as_deref(), world.version(2).as_deref()), (Some("1"), Some("1")));
    let of_host = json(&world, &["history", "--host", "h1"]);
    let found: Vec<_> = of_host.as_array().unwrap().iter().collect();
    let found: Vec<_> =
        found.iter().map(|r| (&r["deployment"]["task"], &r["result"]["status"])).collect();
    let [done, failed] = [Value::from("succeeded"), Value::from("failed")];
    let [second, first] = [Value::from("d1-retry1"), Value::from("d1")];
    assert_eq!(found, [(&second, &done), (&first, &failed)]);
    running.terminate();
    assert_eq!(running.end(), Some(0));
}

#[test]
fn what_makes_no_sense_is_told_and_ends_with_two() {
    let world = World::new(1);
    let refused = |arguments: &[&str], why: &str| refused(&world, arguments, why);
    refused(&["status"], "is not the state directory of a bot");
    assert!(!world.path("state").exists());
    let request = world.request("d1", &package("1"), GATED);
    let running = Bot::start(world.deploy_with_state(&request, "direct.toml"));
    running.until(|fact| in_hook(fact, "h1"));
    refused(&["promote", "d1"], "cannot promote d1 while it is rolling out: it has no canary");
    refused(&["retry", "d1"], "it is neither paused nor finished");
    refused(&["skip", "d1", "h1"], "h1 is being done");
    refused(&["skip", "d1", "h9"], "it has no host h9");
    refused(&["pause", "d9"], "no deployment d9 is known");
    refused(&["status", "d9"], "no deployment d9 is known");
    refused(&["pause", "no id"], "DEPLOYMENT: ");
    refused(&["extend", "d1", "--by", "soon"], "--by: ");
    refused(&["extend", "d1"], "required");
    refused(&["history", "--project", "p"], "BUSINESS/PROJECT");
    let_go(&world, 1..=1);
    assert_eq!(running.end(), Some(0));
    refused(&["pause", "d1"], "cannot pause d1 while it is finished");
    refused(&["retry", "d1"], "none of its hosts has failed");
}
