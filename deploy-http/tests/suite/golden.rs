//! The wire format, held by files: what these tests write, other versions have to read.
//!
//! A file is changed by hand, together with what reads it, and never by a test.

use std::path::Path;

use deploy_core::model::{
    Hook, HookPoint, Hooks, HostResult, HostStatus, Monitor, Outcome, ReleaseAction, ReleaseId,
    ReleaseSpec, ReleaseTask,
};
use deploy_core::{Event, Fact, Failure, FailureCode, Retry, Sequence, Step};
use deploy_testkit::samples;
use serde_json::Value;
use std::time::Duration;

use crate::support::agent::{Agent, DEPLOY, endpoint, task};
use crate::support::client::Request;

fn golden(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// Compares, and shows the whole document when it differs, so that it can be looked at.
fn assert_golden(name: &str, found: &Value) {
    let shown = serde_json::to_string_pretty(found).unwrap();
    assert!(golden(name) == *found, "{name} differs; found is\n{shown}");
}

fn release_task() -> ReleaseTask {
    let mut task = task("t-1", &endpoint("10.0.0.1:7070".parse().unwrap()), 2);
    task.work_order = Some("WO-1".parse().unwrap());
    task.requirement = serde_json::from_str("{\"id\":\"R-1\",\"name\":\"faster checkout\"}").ok();
    task.monitor = deploy_core::model::Monitor::new("http://{host.address}:8080/health").ok();
    task.hosts[1].zone = "zone-a".parse().ok();
    task.hosts[1].tags = vec!["canary".parse().unwrap()];
    assert!(task.requirement.is_some() && task.monitor.is_some());
    task
}

#[test]
fn a_release_task_is_written_and_read_as_the_file_has_it() {
    let task = release_task();
    assert_golden("release_task.json", &serde_json::to_value(&task).unwrap());
    let read: ReleaseTask = serde_json::from_value(golden("release_task.json")).unwrap();
    assert_eq!(read, task);
}

/// What is read is written as it was.
fn again<T: serde::de::DeserializeOwned + serde::Serialize>(document: &Value) -> Value {
    let read: T = serde_json::from_value(document.clone()).unwrap();
    serde_json::to_value(&read).unwrap()
}

#[test]
fn what_a_task_does_and_what_it_finds_are_read_and_written_as_the_file_has_them() {
    let file = golden("actions.json");
    for action in file["actions"].as_array().unwrap() {
        let read: ReleaseAction = serde_json::from_value(action.clone()).unwrap();
        let task = release_task().with_action(read.clone());
        let mut written = serde_json::to_value(&task).unwrap();
        assert_eq!(serde_json::from_value::<ReleaseTask>(written.clone()).unwrap(), task);
        // An installation is written as it was before there was anything else.
        let installs = read == ReleaseAction::Install;
        let expected = if installs { Value::Null } else { action.clone() };
        assert_eq!(written["action"].take(), expected);
    }
    assert_eq!(again::<Monitor>(&file["monitor"]), file["monitor"]);
    assert_eq!(again::<ReleaseSpec>(&file["release"]), file["release"]);
    assert_eq!(again::<HostResult>(&file["found"]), file["found"]);
}

#[test]
fn hooks_are_written_and_read_as_the_file_has_them() {
    let own = Hook::new("./migrate").unwrap();
    let others = Hook::new("./restart").unwrap().with_user("app".parse().unwrap());
    let spec = ReleaseSpec::default()
        .with_hook(HookPoint::BeforeSwitch, own)
        .with_hook(HookPoint::AfterSwitch, others);
    assert_golden("hooks.json", &serde_json::to_value(&spec.hooks).unwrap());
    let read: Hooks = serde_json::from_value(golden("hooks.json")).unwrap();
    assert_eq!(read, spec.hooks);
}

#[test]
fn the_events_of_a_task_are_written_and_read_as_the_file_has_them() {
    let failure = Failure::new(FailureCode::HookFailed, "migrate ended with status 3")
        .with_retry(Retry::After(Duration::from_secs(10)))
        .with_host(samples::host(2))
        .with_step(Step::BeforeSwitch)
        .with_output("no such table\n");
    let facts = [
        Fact::TaskAccepted { task: Box::new(release_task()) },
        Fact::HostStarted { host: samples::host(1) },
        Fact::StepStarted { host: samples::host(1), step: Step::Unpack },
        Fact::StepFinished {
            host: samples::host(1),
            step: Step::Unpack,
            note: Some("1,000 files".to_owned()),
        },
        Fact::Output {
            host: samples::host(2),
            step: Step::BeforeSwitch,
            text: "migrating…\nno such table\n".to_owned(),
        },
        Fact::HostFinished {
            result: HostResult::succeeded(
                samples::host(1),
                ReleaseId::new("deployment-1").unwrap(),
            ),
        },
        Fact::HostFinished {
            result: HostResult::failed(samples::host(2), HostStatus::Failed, failure.clone()),
        },
        Fact::CancelRequested { reason: "wrong version".to_owned(), who: None },
        Fact::Finished { outcome: Outcome::Failed, failure: Some(failure) },
    ];
    let event = |(number, fact)| {
        let at = "2026-11-23T02:00:00.000001Z".parse().unwrap();
        Event::new(samples::task_id("t-1"), Sequence::new(number), at, fact)
    };
    let events: Vec<Event> = (1..).zip(facts).map(event).collect();
    assert_golden("events.json", &serde_json::to_value(&events).unwrap());
    let read: Vec<Event> = serde_json::from_value(golden("events.json")).unwrap();
    assert_eq!(read, events);
}

#[tokio::test]
async fn problems_are_written_as_the_file_has_them() {
    let agent = Agent::start().await;
    let invalid = "{\"id\": \"t-1\", \"hosts\": [], \"max_paralel\": 2, \"fence\": \"x\"}";
    let mut problems = Vec::new();
    for request in [
        Request::new("GET", "/v1/health"),
        Request::new("GET", "/v1/tasks/t-9").token(DEPLOY),
        Request::new("POST", "/v1/tasks").token(DEPLOY).json("{"),
        Request::new("POST", "/v1/tasks").token(DEPLOY).json(invalid),
    ] {
        let answer = request.send(agent.address).await;
        answer.problem();
        problems.push(answer.json());
    }
    assert_golden("problems.json", &Value::Array(problems));
}
