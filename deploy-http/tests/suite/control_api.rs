//! The control node's API: filing, looking, following, and what a person says to a deployment.

use deploy_core::FailureCode;
use deploy_testkit::{HostScript, ScriptedExecutor, samples};
use serde_json::{Value, json};

use crate::support::agent::{DEPLOY, READ};
use crate::support::client::Request;
use crate::support::control::{Control, request};
use crate::support::scopes::every_route_asks_for_its_scope;

async fn control() -> Control {
    Control::start(ScriptedExecutor::new()).await
}

/// A request whose time comes long after the test.
fn later(id: &str) -> String {
    let mut document: Value = serde_json::from_str(&request(id)).unwrap();
    document["not_before"] = json!("2099-01-01T00:00:00Z");
    document.to_string()
}

#[tokio::test]
async fn sec_a01_every_route_of_a_control_node_asks_for_a_token_of_its_scope() {
    let control = control().await;
    assert_eq!(every_route_asks_for_its_scope(control.address, "d1").await, 18);
    assert!(control.hosts.tasks().is_empty());
    for path in ["/", "/v1/tasks", "/v1/deployments/d1/", "/v1/hosts"] {
        let without = Request::new("GET", path).send(control.address).await;
        assert_eq!((without.status, without.problem().as_str()), (401, "unauthenticated"));
        assert_eq!(control.get(path).await.problem(), "no-such-route");
    }
}

#[tokio::test]
async fn a_request_is_filed_once_followed_and_found_again() {
    let control = control().await;
    let filed = control.post("/v1/deployments", request("d1")).await;
    assert_eq!((filed.status, filed.header("location")), (202, Some("deployments/d1")));
    assert_eq!(filed.json(), json!({"deployment": "d1"}));
    let names = control.events("d1").await;
    assert_eq!((names[0].as_str(), names.last().unwrap().as_str()), ("accepted", "finished"));
    assert_eq!(control.post("/v1/deployments", request("d1")).await.status, 202);
    let state = control.state("d1").await;
    assert_eq!((&state["phase"], &state["outcome"]), (&json!("finished"), &json!("succeeded")));
    // Those that come after an event, after a break.
    let events = Request::new("GET", "/v1/deployments/d1/events").token(READ);
    let rest = events.header("last-event-id", &(names.len() - 1).to_string());
    let rest = rest.send(control.address).await;
    assert_eq!(rest.body.matches("event: ").count(), 1, "{}", rest.body);
    assert!(rest.body.contains("event: finished"), "{}", rest.body);

    control.deployed("d2").await;
    let listed = control.get("/v1/deployments?limit=1").await.json();
    assert_eq!(listed["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(listed["deployments"][0]["task"], "d2");
    let listed = control.get("/v1/deployments?after=d2&outcome=succeeded").await.json();
    assert_eq!(listed["deployments"][0]["task"], "d1");
    let listed = control.get("/v1/deployments?finished=false").await.json();
    assert_eq!(listed, json!({"deployments": []}));
    let host = samples::host(1);
    let records = control.get(&format!("/v1/hosts/{host}/deployments?limit=10")).await.json();
    let records = records["deployments"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(
        (&records[0]["deployment"]["task"], &records[0]["turns"]),
        (&json!("d2"), &json!(1))
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_whole_and_files_nothing() {
    let control = control().await;
    let bad = r#"{"busines": "shop", "project": "No", "package": {"url": "ftp://h/a"}}"#;
    let refused = control.post("/v1/deployments", bad).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid"));
    let faults = refused.json()["faults"].clone();
    let paths: Vec<_> = faults.as_array().unwrap().iter().map(|f| f["path"].clone()).collect();
    for path in ["business", "project", "package.url", "package.md5", "busines"] {
        assert!(paths.contains(&json!(path)), "{path} is missing in {paths:?}");
    }
    assert_eq!(control.post("/v1/deployments", "{").await.problem(), "malformed");
    let other: String = request("d1").replace("100%", "1");
    control.deployed("d1").await;
    assert_eq!(control.post("/v1/deployments", other).await.problem(), "conflict");
    let query = control.get("/v1/deployments?limit=0&colour=red").await;
    assert_eq!((query.status, query.json()["faults"].as_array().unwrap().len()), (422, 2));

    for path in ["/v1/deployments/d9", "/v1/deployments/d9/events", "/v1/deployments/%2e%2e"] {
        let unknown = control.get(path).await;
        assert_eq!((unknown.status, unknown.problem().as_str()), (404, "unknown-deployment"));
        assert_eq!(unknown.json()["instance"], path);
    }
    assert_eq!(
        control.post("/v1/deployments/d9/pause", "{}").await.problem(),
        "unknown-deployment"
    );
    assert_eq!(control.post("/v1/deployments/d1/pause", "{}").await.problem(), "not-now");
    for (verb, body) in [
        ("pause", r#"{"raeson": "x"}"#),
        ("cancel", r#"{"host": "h1"}"#),
        ("skip", r#"{"reason": "x"}"#),
        ("extend", r#"{"until": "soon"}"#),
        ("rollback", r#"{"to": "yesterday"}"#),
        ("retry", "[]"),
    ] {
        let refused = control.post(&format!("/v1/deployments/d1/{verb}"), body).await;
        assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid"), "{verb}");
    }
    let listed = control.get("/v1/deployments").await.json();
    assert_eq!(listed["deployments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_said_to_a_deployment_is_done_and_recorded_with_the_name_of_the_token() {
    let control = control().await;
    control.post("/v1/deployments", later("d1")).await;
    let say = async |verb: &str, body: Value| {
        let answer = control.post(&format!("/v1/deployments/d1/{verb}"), body.to_string()).await;
        assert_eq!(answer.status, 202, "{verb}: {}", answer.body);
        assert_eq!(answer.json(), json!({"deployment": "d1"}));
    };
    say("pause", json!({"reason": "the phones ring"})).await;
    assert_eq!(control.state("d1").await["phase"], "paused");
    say("resume", json!({})).await;
    say("recheck", json!({})).await;
    assert_eq!(control.post("/v1/deployments/d1/promote", "{}").await.problem(), "not-now");
    let late = json!({"until": "2099-06-01T00:00:00Z", "reason": "slow"}).to_string();
    assert_eq!(control.post("/v1/deployments/d1/extend", late).await.problem(), "not-now");
    say("cancel", json!({"reason": "never mind"})).await;
    let names = control.events("d1").await;
    for name in ["paused", "resumed", "cancel_requested"] {
        assert!(names.iter().any(|found| found == name), "{name} is missing in {names:?}");
    }
    let events = control.get("/v1/deployments/d1/events").await.body;
    assert!(events.contains(r#""who":"robot","why":"the phones ring""#), "{events}");
    assert_eq!(control.state("d1").await["outcome"], "cancelled");
}

#[tokio::test]
async fn failed_hosts_are_done_again_and_all_are_put_back() {
    let failing = HostScript::fail(FailureCode::HookFailed);
    let hosts = ScriptedExecutor::new()
        .with_host(samples::host(2), failing)
        .with_host(samples::host(2), HostScript::succeed());
    let control = Control::start(hosts).await;
    control.deployed("d0").await;
    let retried = control.post("/v1/deployments/d0/retry", r#"{"reason": "mended"}"#).await;
    assert_eq!((retried.status, retried.header("location")), (202, Some("../d0-retry1")));
    control.events("d0-retry1").await;
    assert_eq!(control.state("d0-retry1").await["outcome"], "succeeded");
    control.deployed("d1").await;
    let back = control.post("/v1/deployments/d1/rollback", r#"{"to": {"release": "d0"}}"#).await;
    assert_eq!((back.status, back.json()["deployment"].clone()), (202, json!("d1-rollback1")));
    control.events("d1-rollback1").await;
    assert_eq!(control.state("d1-rollback1").await["outcome"], "rolled_back");
}

#[tokio::test]
async fn a_plan_is_made_looked_at_and_applied_unless_the_world_has_moved() {
    let control = control().await;
    let planned = control.post("/v1/plans", request("d1")).await;
    assert_eq!(planned.status, 200, "{}", planned.body);
    assert_eq!(planned.json()["batches"][0].as_array().unwrap().len(), 3);
    let other = control.post("/v1/plans", request("d2")).await;
    let applied = control.post("/v1/plans/apply", planned.body).await;
    assert_eq!((applied.status, applied.header("location")), (202, Some("../deployments/d1")));
    control.events("d1").await;
    let refused = control.post("/v1/plans/apply", other.body).await;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "drifted"));
    assert!(!refused.json()["drifts"].as_array().unwrap().is_empty(), "{}", refused.body);
    let reading = Request::new("POST", "/v1/plans").token(READ).json(request("d3"));
    assert_eq!(reading.send(control.address).await.status, 403);
    let deploying = Request::new("POST", "/v1/plans").token(DEPLOY).json("{}");
    assert_eq!(deploying.send(control.address).await.status, 422);
}
