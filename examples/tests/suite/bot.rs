//! The release bot as a person uses it.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use deploy_core::{Event, Fact};

use crate::running::Bot;
use crate::world::{World, bot, package, said};

const HOOKS: &str = r#", "release": {"hooks": {"after_switch": ["./run"]}},
    "rollout": {"batches": ["1", "100%"]}"#;

#[test]
fn a_request_is_deployed_to_hosts_without_an_agent() {
    let world = World::new(3);
    let request = world.request("d1", &package("1"), HOOKS);
    let output = world.deploy(&request, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for host in 1..=3 {
        assert_eq!(world.version(host).as_deref(), Some("1"));
        assert_eq!(world.runs(host), 1);
    }
    assert!(said(&output).contains("d1 succeeded"), "{}", said(&output));
}

#[test]
fn a_request_is_deployed_through_an_agent_and_every_event_is_a_line_of_json() {
    let world = World::new(2);
    let agent = world.agent("127.0.0.1:0");
    let request = world.request("d1", &package("1"), HOOKS);
    let output =
        world.deploy_with_state(&request, "inventory.toml").arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = events.iter().map(|event| event.sequence.number()).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    assert!(matches!(events.last().unwrap().fact, Fact::Finished { .. }));
    assert_eq!(world.version(1).as_deref(), Some("1"));
    assert_eq!(world.version(2).as_deref(), Some("1"));
    assert!(!text.contains("a-token-of-the-tests"));
    drop(agent);
}

#[test]
fn bad_input_is_told_whole_and_ends_with_two() {
    let world = World::new(1);
    let text = r#"{"busines": "b", "project": "P", "package": {"url": "ftp://x/y", "md5": "12"},
        "rollout": {"batches": ["0"]}}"#;
    let request = world.write("bad.json", text);
    let output = world.deploy(&request, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    for path in
        ["business: ", "project: ", "package.url: ", "package.md5: ", "rollout.batches[0]: "]
    {
        assert!(error.contains(path), "{path} is missing in:\n{error}");
    }
    assert!(error.contains("did you mean \"business\"?"), "{error}");

    world.write("bad.toml", "[[host]]\nname = \"h1\"");
    let output = world.deploy(&request, "bad.toml").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    for path in ["bad.json is refused:\n  business: ", "bad.toml is refused:\n  host[0].address: "]
    {
        assert!(error.contains(path), "{path} is missing in:\n{error}");
    }

    let output = world.deploy(&world.path("no.json"), "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let request = world.request("d1", &package("1"), "");
    let output = world.deploy(&request, "no.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let output = Command::new(bot()).arg("deploy").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_wrong_md5_touches_no_host_and_ends_with_one() {
    let world = World::new(1);
    let request = world.request("d1", &package("1"), "");
    let text = std::fs::read_to_string(&request).unwrap();
    let md5 = deploy_core::model::Md5Digest::of(&package("1")).to_string();
    std::fs::write(&request, text.replace(&md5, &"0".repeat(32))).unwrap();
    let output = world.deploy_with_state(&request, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("MD5"), "{}", said(&output));
    assert!(said(&output).contains(", with the same URL and digests"), "{}", said(&output));
    assert!(!world.path("h1").exists());
}

#[test]
fn a_package_that_is_not_there_is_named_with_its_status() {
    let world = World::new(1);
    let text = format!(
        r#"{{"business": "b", "project": "p",
            "package": {{"url": "http://{}/none.tar.gz", "md5": "{}"}}}}"#,
        world.packages.address,
        "0".repeat(32)
    );
    let request = world.write("r.json", &text);
    let output = world.deploy(&request, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("404"), "{}", said(&output));
}

#[test]
fn a_failing_hook_leaves_the_host_as_it_was_and_shows_what_it_said() {
    let world = World::new(2);
    let first = world.request("d1", &package("1"), HOOKS);
    assert!(world.deploy(&first, "direct.toml").output().unwrap().status.success());
    let hooks =
        r#", "release": {"hooks": {"before_switch": ["echo the database is away; exit 3"]}}"#;
    let second = world.request("d2", &package("2"), hooks);
    let output = world.deploy(&second, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("the database is away"), "{}", said(&output));
    assert!(said(&output).contains("status 3"), "{}", said(&output));
    assert_eq!(world.version(1).as_deref(), Some("1"));
    assert_eq!(world.version(2).as_deref(), Some("1"));
    let releases = std::fs::read_dir(world.path("h1/srv/app/releases")).unwrap().count();
    assert_eq!(releases, 1);
}

#[test]
fn check_says_what_would_be_done_and_touches_nothing() {
    let world = World::new(2);
    let request = world.request("d1", &package("1"), "");
    let output = Command::new(bot())
        .arg("check")
        .arg(&request)
        .arg("--inventory")
        .arg(world.path("direct.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("h2 at 127.0.0.1"), "{}", said(&output));
    assert!(!world.path("h1").exists());
    let text = std::fs::read_to_string(&request).unwrap();
    std::fs::write(&request, text.replace(r#""project": "p""#, r#""project": "q""#)).unwrap();
    let output = Command::new(bot())
        .arg("check")
        .arg(&request)
        .arg("--inventory")
        .arg(world.path("direct.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("direct.toml has b/p"), "{}", said(&output));
}

#[test]
fn what_a_deploy_leaves_unfinished_is_named() {
    let world = World::new(1);
    let later = world.request("d1", &package("1"), r#", "not_before": "2099-01-01T00:00:00Z""#);
    let running = Bot::start(world.deploy_with_state(&later, "direct.toml"));
    running.until(|fact| matches!(fact, Fact::Waiting { .. }));
    running.terminate();
    assert_eq!(running.end(), Some(3));
    let now = world.request("d2", &package("2"), "");
    let output = world.deploy_with_state(&now, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for told in ["going on with deployment d1 too", "d1 is unfinished; the next `run`"] {
        assert!(said(&output).contains(told), "{}", said(&output));
    }
}

#[test]
fn the_same_request_filed_again_is_the_same_deployment() {
    let world = World::new(1);
    let request = world.request("d1", &package("1"), HOOKS);
    for again in [false, true] {
        let output = world.deploy_with_state(&request, "direct.toml").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let told = said(&output).contains("already: nothing new is filed");
        assert_eq!(told, again, "{}", said(&output));
    }
    assert_eq!(world.runs(1), 1);
    let changed = world.request("d1", &package("2"), HOOKS);
    let output = world.deploy_with_state(&changed, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("another request was filed as d1"), "{}", said(&output));
}

#[test]
fn an_agent_lets_nobody_in_without_its_token() {
    let world = World::new(1);
    let agent = world.agent("127.0.0.1:0");
    world.write("agent.token", "another-token-altogether");
    let request = world.request("d1", &package("1"), "");
    let output = world.deploy(&request, "inventory.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(!said(&output).contains("another-token-altogether"));
    assert!(!world.path("h1").exists());
    drop(agent);
}

#[test]
fn old_releases_go_and_files_belong_to_the_deployer() {
    let world = World::new(1);
    for n in 1..=5 {
        let more = r#", "release": {"keep": 2}"#;
        let request = world.request(&format!("d{n}"), &package(&n.to_string()), more);
        assert!(world.deploy(&request, "direct.toml").output().unwrap().status.success());
    }
    let mut releases: Vec<_> = std::fs::read_dir(world.path("h1/srv/app/releases"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    releases.sort();
    assert_eq!(releases, ["d4", "d5"]);
    let mode = std::fs::metadata(world.path("h1/srv/app/current/run")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o755);
}
