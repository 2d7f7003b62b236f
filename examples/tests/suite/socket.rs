//! A state directory that several processes want, and the socket by which they meet.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::process::Command;

use deploy_core::{Event, Fact};

use crate::running::{Bot, GATED, in_hook, let_go};
use crate::world::{World, bot, package, said};

/// The command of a bot that works until it is told to stop.
fn run(world: &World) -> Command {
    let mut command = Command::new(bot());
    command.arg("run").arg("--state").arg(world.path("state"));
    command.arg("--inventory").arg(world.path("direct.toml"));
    command
}

fn status(world: &World) -> String {
    let mut command = Command::new(bot());
    let output = command.arg("status").arg("--state").arg(world.path("state")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    said(&output)
}

#[test]
fn a_second_deploy_hands_its_request_to_the_bot_at_work_and_follows_it() {
    let world = World::new(1);
    let first = world.request("d1", &package("1"), GATED);
    let second = world.request("d2", &package("2"), GATED);
    let running = Bot::start(world.deploy_with_state(&first, "direct.toml"));
    running.until(|fact| in_hook(fact, "h1"));
    // The same deployment, followed twice.
    let follower = Bot::start(world.deploy_with_state(&first, "direct.toml"));
    follower.until(|fact| in_hook(fact, "h1"));
    let behind = Bot::start(world.deploy_with_state(&second, "direct.toml"));
    behind.until(|fact| matches!(fact, Fact::InLine { .. }));
    assert!(status(&world).contains("in line (in line behind d1, place 1)"));
    let_go(&world, 1..=1);
    assert_eq!(running.end(), Some(0));
    assert_eq!(follower.end(), Some(0));
    // Its bot has ended, or is about to: it goes on by itself.
    assert_eq!(behind.end(), Some(0));
    assert_eq!(world.version(1).as_deref(), Some("2"));
    assert!(!world.path("state/bot.sock").exists());
}

#[test]
fn a_deploy_goes_on_by_itself_when_the_bot_that_it_handed_its_request_to_is_killed() {
    let world = World::new(2);
    let other = world.request("d0", &package("0"), "");
    let running = Bot::start(run(&world));
    // Ready when it can be called.
    let socket = world.path("state/bot.sock");
    while UnixStream::connect(&socket).is_err() {
        std::thread::yield_now();
    }
    let output = world.deploy_with_state(&other, "direct.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("handed to the bot"), "{}", said(&output));

    // Two follow it: one of them takes over, and the other follows that one.
    let request = world.request("d1", &package("1"), GATED);
    let follow = |log: &str| {
        let log = std::fs::File::create(world.path(log)).unwrap();
        let mut deploy = world.deploy_with_state(&request, "direct.toml");
        deploy.arg("--json").stdout(log).spawn().unwrap()
    };
    let logs = ["first.log", "second.log"];
    let following = logs.map(follow);
    running.until(|fact| in_hook(fact, "h1"));
    for log in logs {
        while !std::fs::read_to_string(world.path(log)).unwrap().contains("after_switch") {
            std::thread::yield_now();
        }
    }
    running.kill();
    while UnixStream::connect(&socket).is_err() {
        std::thread::yield_now();
    }
    let_go(&world, 1..=2);
    for mut following in following {
        assert_eq!(following.wait().unwrap().code(), Some(0));
    }
    // Each has told every event, once.
    for log in logs {
        let log = std::fs::read_to_string(world.path(log)).unwrap();
        let events: Vec<Event> =
            log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let numbers: Vec<_> = events.iter().map(|event| event.sequence.number()).collect();
        assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    }
    assert_eq!(world.version(2).as_deref(), Some("1"));
}

#[test]
fn the_socket_is_there_for_its_user_alone_and_that_of_a_killed_bot_is_taken_over() {
    let world = World::new(1);
    let request = world.request("d1", &package("1"), GATED);
    let deploy = || world.deploy_with_state(&request, "direct.toml");
    let socket = world.path("state/bot.sock");
    let running = Bot::start(deploy());
    running.until(|fact| in_hook(fact, "h1"));
    let first = std::fs::metadata(&socket).unwrap();
    assert!(first.file_type().is_socket());
    assert_eq!(first.mode() & 0o777, 0o600);
    running.kill();
    assert!(socket.exists(), "nobody was there to remove it");
    assert!(status(&world).contains("no bot is at work"));
    let running = Bot::start(deploy());
    running.until(|fact| in_hook(fact, "h1"));
    let second = std::fs::metadata(&socket).unwrap();
    assert_eq!(second.mode() & 0o777, 0o600);
    assert!(!status(&world).contains("no bot is at work"));
    let_go(&world, 1..=1);
    assert_eq!(running.end(), Some(0));
    assert!(!socket.exists());
    let left = std::fs::read_dir(world.path("state")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".bot-")), "{left:?}");
}
