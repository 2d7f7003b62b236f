//! The agent's API: who may do what, and what each route answers.

use deploy_core::FailureCode;
use deploy_http::ServeConfig;
use deploy_queue::QueueConfig;
use deploy_testkit::{HostScript, ScriptedExecutor, samples};

use crate::support::agent::{Agent, DEPLOY, READ, endpoint, task};
use crate::support::client::{Request, answer, raw};
use crate::support::scopes::every_route_asks_for_its_scope;

/// The document of a task for one host.
fn document(id: &str) -> String {
    let agent = endpoint("10.0.0.1:7070".parse().unwrap());
    serde_json::to_string(&task(id, &agent, 1)).unwrap()
}

fn submit(id: &str) -> Request<'static> {
    Request::new("POST", "/v1/tasks").token(DEPLOY).json(document(id))
}

#[tokio::test]
async fn sec_a01_every_route_asks_for_a_token_of_its_scope() {
    let agent = Agent::start().await;
    assert_eq!(every_route_asks_for_its_scope(agent.address, "t-1").await, 6);
    assert_eq!(agent.hosts.tasks().len(), 0);
}

#[tokio::test]
async fn sec_a01_without_a_token_nothing_can_be_found_out() {
    let agent = Agent::start().await;
    for (method, path, found) in [
        ("GET", "/", 404),
        ("GET", "/v1/secret", 404),
        ("GET", "/v1/tasks/t-1/", 404),
        ("POST", "/v1/health", 405),
        ("GET", "/v1/tasks", 405),
        ("DELETE", "/v1/tasks/t-1", 405),
        ("PUT", "/v1/tasks/../health", 404),
        ("OPTIONS", "/v1/tasks", 405),
        ("TRACE", "/v1/health", 405),
    ] {
        let without = Request::new(method, path).send(agent.address).await;
        assert_eq!(without.status, 401, "{method} {path}");
        assert_eq!(without.header("www-authenticate"), Some("Bearer"));
        assert_eq!(without.problem(), "unauthenticated");
        let with = Request::new(method, path).token(READ).send(agent.address).await;
        assert_eq!(with.status, found, "{method} {path}");
        assert!(with.problem().starts_with("no-such-"));
    }
}

#[tokio::test]
async fn sec_b04_the_token_is_looked_at_before_the_body() {
    let agent = Agent::start().await;
    for (authorization, status) in [("", 401), (READ, 403)] {
        // The body that is announced never comes.
        let request = format!(
            "POST /v1/tasks HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\nauthorization: Bearer {authorization}\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(answer(&raw(agent.address, request.as_bytes()).await).status, status);
    }
}

#[tokio::test]
async fn a_task_is_taken_once() {
    let agent = Agent::start().await;
    let first = submit("t-1").send(agent.address).await;
    assert_eq!((first.status, first.header("location")), (202, Some("tasks/t-1")));
    assert_eq!(first.json()["task"], "t-1");
    let again = submit("t-1").send(agent.address).await;
    assert_eq!((again.status, again.header("location")), (200, Some("tasks/t-1")));
    let other = document("t-1").replace("\"fence\":7", "\"fence\":8");
    let conflict = Request::new("POST", "/v1/tasks").token(DEPLOY).json(other);
    let conflict = conflict.send(agent.address).await;
    assert_eq!((conflict.status, conflict.problem().as_str()), (409, "conflict"));
    // The end of the stream is the end of the task.
    let events = Request::new("GET", "/v1/tasks/t-1/events").token(READ);
    events.send(agent.address).await;
    assert_eq!(agent.hosts.executions(&samples::host(1)), 1);
}

#[tokio::test]
async fn an_invalid_task_is_refused_with_all_of_its_faults() {
    let agent = Agent::start().await;
    let document = document("t-1")
        .replace("\"max_parallel\":", "\"max_paralel\":")
        .replace("\"business\":\"shop\"", "\"business\":\"SHOP; rm -rf /\"")
        .replace("\"fence\":7", "\"fence\":-7");
    let refused = Request::new("POST", "/v1/tasks").token(DEPLOY).json(document);
    let refused = refused.send(agent.address).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid"));
    let problem = refused.json();
    let paths: Vec<&str> = problem["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["business", "max_parallel", "fence", "max_paralel"]);
    assert_eq!(problem["faults"][3]["nearest"], "max_parallel");
    assert_eq!(problem["instance"], "/v1/tasks");
}

#[tokio::test]
async fn sec_a10_bodies_that_are_no_tasks_are_refused() {
    let agent = Agent::start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("null", 422),
        ("[]", 422),
        ("{}", 422),
        ("{\"id\": NaN}", 400),
        ("{\"id\": 1e999}", 400),
        ("{\"id\": \"\\ud800\"}", 400),
        ("{\"id\": \"a\", \"id\": \"b\"}", 400),
        (&deep, 400),
    ] {
        let refused = Request::new("POST", "/v1/tasks").token(DEPLOY).json(body);
        let refused = refused.send(agent.address).await;
        assert_eq!(refused.status, status, "{body:.40}");
        refused.problem();
    }
    let binary = Request::new("POST", "/v1/tasks").token(DEPLOY).json([0xff, 0xfe]);
    assert_eq!(binary.send(agent.address).await.status, 400);
    let large = vec![b' '; 1024 * 1024 + 1];
    let large = Request::new("POST", "/v1/tasks").token(DEPLOY).json(large);
    assert_eq!(large.send(agent.address).await.status, 413);
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let other = Request::new("POST", "/v1/tasks").token(DEPLOY).header("content-type", kind);
        assert_eq!(other.send(agent.address).await.problem(), "not-json");
    }
    assert_eq!(agent.hosts.tasks().len(), 0);
}

#[tokio::test]
async fn sec_b04_a_body_without_a_length_is_cut_off_at_its_limit() {
    let agent = Agent::start().await;
    let head = format!(
        "POST /v1/tasks HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {DEPLOY}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let request = [head, chunk.repeat(17)].concat();
    let text = raw(agent.address, request.as_bytes()).await;
    assert_eq!(answer(&text).status, 413, "{text}");
}

#[tokio::test]
async fn sec_b04_a_full_node_says_when_to_come_back() {
    let hosts = ScriptedExecutor::new().with_host(samples::host(1), HostScript::hang());
    let agent = Agent::with(hosts, QueueConfig::new().with_capacity(1), ServeConfig::new()).await;
    assert_eq!(submit("t-1").send(agent.address).await.status, 202);
    let refused = submit("t-2").send(agent.address).await;
    assert_eq!((refused.status, refused.problem().as_str()), (429, "busy"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    // What was refused is not known.
    let state = Request::new("GET", "/v1/tasks/t-2").token(READ).send(agent.address).await;
    assert_eq!(state.status, 404);
}

#[tokio::test]
async fn a_node_that_shuts_down_takes_nothing_new_but_answers() {
    let agent = Agent::start().await;
    submit("t-1").send(agent.address).await;
    Request::new("GET", "/v1/tasks/t-1/events").token(READ).send(agent.address).await;
    agent.node.shutdown().await;
    let refused = submit("t-2").send(agent.address).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "shutting-down"));
    assert_eq!(refused.header("retry-after"), Some("5"));
    let state = Request::new("GET", "/v1/tasks/t-1").token(READ).send(agent.address).await;
    assert_eq!(state.json()["outcome"], "succeeded");
}

#[tokio::test]
async fn the_state_of_a_task_is_a_fold_over_its_events() {
    let hosts = ScriptedExecutor::new()
        .with_host(samples::host(1), HostScript::fail(FailureCode::HookFailed));
    let agent = Agent::with_hosts(hosts).await;
    submit("t-1").send(agent.address).await;
    Request::new("GET", "/v1/tasks/t-1/events").token(READ).send(agent.address).await;
    let state = Request::new("GET", "/v1/tasks/t-1").token(READ).send(agent.address).await;
    let state = state.json();
    assert_eq!((&state["phase"], &state["outcome"]), (&"finished".into(), &"failed".into()));
    assert_eq!(state["hosts"][0]["result"]["failure"]["code"], "hook_failed");
    for unknown in ["t-2", "..", "%2e%2e", "a%20b", "%00"] {
        let path = format!("/v1/tasks/{unknown}");
        let answer = Request::new("GET", &path).token(READ).send(agent.address).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-task"), "{path}");
    }
}

/// The ids and names of a stream's messages.
fn messages(stream: &str) -> Vec<(u64, String)> {
    let message = |text: &str| {
        let mut lines = text.lines();
        let id = lines.next()?.strip_prefix("id: ")?.parse().unwrap();
        let name = lines.next().unwrap().strip_prefix("event: ").unwrap();
        let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
        let event: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!((&event["sequence"], &event["fact"]["type"]), (&id, &name.into()));
        Some((id.as_u64().unwrap(), name.to_owned()))
    };
    stream.split_terminator("\n\n").filter_map(message).collect()
}

#[tokio::test]
async fn the_events_of_a_task_come_in_order_up_to_its_end_and_again_from_any_of_them() {
    let hosts = ScriptedExecutor::new().with_host(samples::host(1), HostScript::hang());
    let agent = Agent::with_hosts(hosts).await;
    submit("t-1").send(agent.address).await;
    let address = agent.address;
    let live = tokio::spawn(async move {
        Request::new("GET", "/v1/tasks/t-1/events").token(READ).send(address).await
    });
    agent.hosts.hanging(&samples::host(1)).await;
    agent.hosts.release(&samples::host(1));
    let live = live.await.unwrap();
    assert_eq!(live.header("content-type"), Some("text/event-stream"));
    let all = messages(&live.body);
    assert_eq!(all.first().unwrap(), &(1, "task_accepted".to_owned()));
    assert_eq!(all.last().unwrap().1, "finished");
    let numbers: Vec<u64> = all.iter().map(|(id, _)| *id).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
    for last in 0..=all.len() {
        let again = Request::new("GET", "/v1/tasks/t-1/events").token(READ);
        let again = again.header("last-event-id", &last.to_string()).send(address).await;
        assert_eq!(messages(&again.body), all[last..]);
    }
    for (path, last, status) in [
        ("/v1/tasks/t-2/events", "0", 404),
        ("/v1/tasks/t-1/events", "1000", 404),
        ("/v1/tasks/t-1/events", "x", 400),
        ("/v1/tasks/t-1/events", "-1", 400),
    ] {
        let refused = Request::new("GET", path).token(READ).header("last-event-id", last);
        assert_eq!(refused.send(address).await.status, status, "{path} {last}");
    }
}

#[tokio::test]
async fn cancelling_twice_or_after_the_end_changes_nothing() {
    let hosts = ScriptedExecutor::new().with_host(samples::host(1), HostScript::hang());
    let agent = Agent::with_hosts(hosts).await;
    submit("t-1").send(agent.address).await;
    agent.hosts.hanging(&samples::host(1)).await;
    let cancel = || {
        let body = "{\"reason\": \"wrong version\"}";
        Request::new("POST", "/v1/tasks/t-1/cancel").token(DEPLOY).json(body)
    };
    assert_eq!(cancel().send(agent.address).await.status, 202);
    assert_eq!(cancel().send(agent.address).await.status, 202);
    Request::new("GET", "/v1/tasks/t-1/events").token(READ).send(agent.address).await;
    assert_eq!(cancel().send(agent.address).await.status, 202);
    let state = Request::new("GET", "/v1/tasks/t-1").token(READ).send(agent.address).await;
    let state = state.json();
    assert_eq!(
        (&state["outcome"], &state["cancel"]),
        (&"cancelled".into(), &"wrong version".into())
    );
    let unknown = Request::new("POST", "/v1/tasks/t-2/cancel").token(DEPLOY);
    let unknown = unknown.json("{\"reason\": \"x\"}").send(agent.address).await;
    assert_eq!(unknown.problem(), "unknown-task");
    for bad in ["", "{}", "{\"reason\": 1}", "{\"reason\": \"x\", \"force\": true}"] {
        let bad = Request::new("POST", "/v1/tasks/t-1/cancel").token(DEPLOY).json(bad);
        assert_eq!(bad.send(agent.address).await.problem(), "malformed");
    }
}

#[tokio::test]
async fn health_says_that_the_node_is_there() {
    let agent = Agent::start().await;
    let health = Request::new("GET", "/v1/health").token(READ).send(agent.address).await;
    assert_eq!((health.status, &health.json()["status"]), (200, &"ok".into()));
    let head = Request::new("HEAD", "/v1/health").token(READ).send(agent.address).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}
