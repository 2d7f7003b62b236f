//! Calls of the bot on the state directory of a world.

use std::process::{Command, Output};

use serde_json::Value;

use crate::running::Bot;
use crate::world::{World, bot, said};

/// Calls the bot on the state directory.
pub(crate) fn call(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(bot());
    command.args(arguments).arg("--state").arg(world.path("state")).output().unwrap()
}

/// The same, which has to succeed.
pub(crate) fn done(world: &World, arguments: &[&str]) -> String {
    let output = call(world, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
    said(&output)
}

/// The same, and gives the JSON of its answer.
pub(crate) fn json(world: &World, arguments: &[&str]) -> Value {
    let output = call(world, &[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The same, which has to be refused with these words.
pub(crate) fn refused(world: &World, arguments: &[&str], why: &str) {
    let output = call(world, arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
    assert!(said(&output).contains(why), "{why} is missing in: {}", said(&output));
}

/// A bot that works in the state directory until it is told to stop.
pub(crate) fn run(world: &World) -> Bot {
    let mut run = Command::new(bot());
    run.arg("run").arg("--state").arg(world.path("state"));
    run.arg("--inventory").arg(world.path("direct.toml"));
    Bot::start(run)
}

/// The user who runs the tests.
pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
