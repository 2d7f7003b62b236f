//! A running bot that is asked over HTTP, by a client that knows nothing of it but its description.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::calls;
use crate::running::{GATED, let_go};
use crate::world::{World, bot, package, terminate};

/// Asks, and gives the status and the body.
fn ask(address: &str, head: &str, token: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: bot\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn parsed(answer: &(u16, String)) -> Value {
    serde_json::from_str(&answer.1).unwrap()
}

#[test]
fn a_bot_is_asked_and_told_over_http() {
    const ANNA: &str = "a-token-of-anna-0123";
    const BOARD: &str = "a-token-of-the-board";
    let world = World::new(2);
    world.write("anna.token", ANNA);
    world.write("board.token", BOARD);
    let mut run = Command::new(bot())
        .args(["run", "--listen", "127.0.0.1:0", "--inventory", "direct.toml", "--state", "state"])
        .args(["--token-file", "anna.token", "--read-token-file", "board.token"])
        .current_dir(world.directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map_while(Result::ok);
    let url =
        lines.find_map(|line| line.split_once("listening on http://").map(|(_, a)| a.to_owned()));
    let address = url.expect("the bot says where it listens");

    let request = world.request("d1", &package("1"), GATED);
    let request = std::fs::read_to_string(request).unwrap();
    assert_eq!(ask(&address, "POST /v1/deployments", BOARD, &request).0, 403);
    let filed = ask(&address, "POST /v1/deployments", ANNA, &request);
    assert_eq!((filed.0, parsed(&filed)), (202, json!({"deployment": "d1"})));
    let paused = ask(&address, "POST /v1/deployments/d1/pause", ANNA, r#"{"reason": "lunch"}"#);
    assert_eq!(paused.0, 202, "{}", paused.1);
    // The socket of the directory tells the same, and who did it.
    assert!(calls::done(&world, &["status", "d1"]).contains("paused by anna: lunch"));
    let_go(&world, 1..=2);
    assert_eq!(ask(&address, "POST /v1/deployments/d1/resume", ANNA, "{}").0, 202);
    let events = ask(&address, "GET /v1/deployments/d1/events", BOARD, "");
    assert!(events.1.contains("event: finished"), "{}", events.1);
    let list = ask(&address, "GET /v1/deployments?project=p&outcome=succeeded", BOARD, "");
    assert_eq!(parsed(&list)["deployments"][0]["task"], "d1");
    assert_eq!(world.version(2).as_deref(), Some("1"));

    terminate(&run);
    assert_eq!(run.wait().unwrap().code(), Some(0));
}
