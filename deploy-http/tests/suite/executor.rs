//! Carrying out tasks through agents: real ones behind a faulty network, and scripted ones that lie.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use deploy_core::model::{HostResult, HostStatus, ReleaseId, ReleaseReport};
use deploy_core::{
    CancelToken, Context, Event, ExecuteError, Executor, Fact, FailureCode, FnObserver, Retry,
    Secret, Sequence, Step,
};
use deploy_http::{HttpExecutor, UrlPolicy};
use deploy_testkit::{HostScript, ScriptedExecutor, samples};

use crate::support::agent::{Agent, DEPLOY, READ, endpoint, executor, task};
use crate::support::context;
use crate::support::proxy::{Fault, Proxy};
use crate::support::server::{Reply, Server, header};

/// A context, and the facts that are reported through it.
fn watched() -> (Context, Arc<Mutex<Vec<Fact>>>) {
    let facts: Arc<Mutex<Vec<Fact>>> = Arc::default();
    let log = Arc::clone(&facts);
    let observer =
        FnObserver::new(move |event: &Event| log.lock().unwrap().push(event.fact.clone()));
    (context().with_observer(Arc::new(observer)), facts)
}

fn statuses(report: &ReleaseReport) -> Vec<HostStatus> {
    report.hosts.iter().map(|host| host.status).collect()
}

fn succeeded(host: usize) -> HostResult {
    HostResult::succeeded(samples::host(host), ReleaseId::new("deployment-1").unwrap())
}

#[tokio::test]
async fn a_task_is_carried_out_and_its_facts_are_passed_on() {
    let hosts = ScriptedExecutor::new()
        .with_host(samples::host(1), HostScript::succeed().with_steps(Step::ALL))
        .with_host(samples::host(2), HostScript::fail(FailureCode::HookFailed));
    let agent = Agent::with_hosts(hosts).await;
    let executor = executor(agent.address).build().unwrap();
    let (cx, facts) = watched();
    let task = task("t-1", &endpoint(agent.address), 3);
    let report = executor.execute(cx, task.clone()).await.unwrap();
    let expected = [HostStatus::Succeeded, HostStatus::Failed, HostStatus::Succeeded];
    assert_eq!(statuses(&report), expected);
    assert_eq!(report.hosts[0], succeeded(1));
    let facts = std::mem::take(&mut *facts.lock().unwrap());
    let of_first = facts.iter().filter(|fact| match fact {
        Fact::HostStarted { host }
        | Fact::StepStarted { host, .. }
        | Fact::StepFinished { host, .. } => *host == samples::host(1),
        Fact::HostFinished { result } => result.host == samples::host(1),
        _ => panic!("{fact:?}"),
    });
    let names: Vec<&str> = of_first.map(Fact::name).collect();
    assert_eq!(names.len(), 2 + 2 * Step::ALL.len());
    assert_eq!((names[0], names[names.len() - 1]), ("host_started", "host_finished"));
    for host in &report.hosts {
        let finished = Fact::HostFinished { result: host.clone() };
        assert_eq!(facts.iter().filter(|fact| **fact == finished).count(), 1);
    }
    // The same task again gives the report that there is.
    let again = executor.execute(context().with_attempt(2), task).await.unwrap();
    assert_eq!(again, report);
    assert_eq!(agent.hosts.executions(&samples::host(1)), 1);
}

#[tokio::test]
async fn f06_a_network_that_breaks_anywhere_changes_nothing_but_the_time() {
    // The answer to the task, then the streams of events, broken at ever later places.
    for fault in [Fault::Cut, Fault::Reset] {
        for bytes in [0, 1, 20, 100, 180] {
            let agent = Agent::start().await;
            let faults = (0..40).map(|number| fault(bytes + number * 97));
            let proxy = Proxy::start(agent.address, faults).await;
            let executor = executor(proxy.address).build().unwrap();
            let (cx, facts) = watched();
            let task = task("t-1", &endpoint(proxy.address), 3);
            let report = executor.execute(cx, task).await.unwrap();
            assert_eq!(report, ReleaseReport::new((1..=3).map(succeeded).collect()));
            for host in 1..=3 {
                assert_eq!(agent.hosts.executions(&samples::host(host)), 1);
            }
            let facts = facts.lock().unwrap();
            let finished = facts.iter().filter(|fact| fact.name() == "host_finished");
            assert_eq!(finished.count(), 3);
        }
    }
}

#[tokio::test]
async fn f06_a_stream_that_falls_silent_is_taken_up_anew() {
    let agent = Agent::start().await;
    let faults = [Fault::Pass, Fault::Stall(0), Fault::Stall(300), Fault::Stall(900)];
    let proxy = Proxy::start(agent.address, faults).await;
    let executor = executor(proxy.address).quiet_after(Duration::from_millis(50)).build().unwrap();
    let task = task("t-1", &endpoint(proxy.address), 3);
    let report = executor.execute(context(), task).await.unwrap();
    assert!(report.succeeded());
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_unreachable_and_nothing_was_started() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let executor = executor(address).retry_window(Duration::from_millis(50)).build().unwrap();
    let (cx, facts) = watched();
    let error = executor.execute(cx, task("t-1", &endpoint(address), 1)).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Unreachable { .. }), "{error:?}");
    assert!(error.retry().is_worth_it());
    // Whoever watches hears at once that it does not go on, and hears it once.
    let facts = facts.lock().unwrap();
    let [Fact::AttemptFailed { failure }] = &facts[..] else {
        panic!("{facts:?}");
    };
    assert_eq!(failure.code, FailureCode::AgentUnreachable);
    assert!(failure.message.contains("could not be reached: "), "{failure}");
}

#[tokio::test]
async fn an_agent_that_dies_in_the_middle_is_told_once_until_it_is_there_again() {
    let server = Server::start(|number, request| match (number, is_submit(request)) {
        (_, true) => Reply::status("202 Accepted", ""),
        (1 | 2 | 4 | 5, false) => problem("502 Bad Gateway", "storage", "no agent"),
        (3, false) => stream("t-1", [Fact::HostStarted { host: samples::host(1) }]),
        (_, false) => stream("t-1", [host_finished(1), host_finished(1), finished()]),
    })
    .await;
    let executor = executor(server.address).build().unwrap();
    let (cx, facts) = watched();
    let report = executor.execute(cx, task("t-1", &endpoint(server.address), 1)).await.unwrap();
    assert!(report.succeeded());
    let facts = facts.lock().unwrap();
    let names: Vec<_> = facts.iter().map(Fact::name).collect();
    assert_eq!(names, ["attempt_failed", "host_started", "attempt_failed", "host_finished"]);
}

#[tokio::test]
async fn an_agent_that_may_have_the_task_is_not_called_unreachable() {
    // Connections come about, and break before an answer.
    let server = Server::start(|_, _| Reply::raw("")).await;
    let executor =
        executor(server.address).retry_window(Duration::from_millis(50)).build().unwrap();
    let task = task("t-1", &endpoint(server.address), 1);
    let error = executor.execute(context(), task).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Lost { .. }), "{error:?}");
    assert!(server.requests().len() > 1);
}

/// A problem of a type.
fn problem(status: &str, kind: &str, detail: &str) -> Reply {
    let code: u16 = status.split(' ').next().unwrap().parse().unwrap();
    let body = format!(
        "{{\"type\":\"urn:deploy:problem:{kind}\",\"title\":\"title\",\"status\":{code},\"detail\":\"{detail}\"}}"
    );
    Reply::with(
        status,
        "content-type: application/problem+json\r\nretry-after: 0\r\n",
        body.as_bytes(),
    )
}

/// A stream of a task's events with these facts, the first of which has the number 1.
fn stream(task: &str, facts: impl IntoIterator<Item = Fact>) -> Reply {
    let mut body = String::from(": hello\n\n");
    for (number, fact) in (1..).zip(facts) {
        let at = "2026-11-23T00:00:00Z".parse().unwrap();
        let name = fact.name();
        let event = Event::new(samples::task_id(task), Sequence::new(number), at, fact);
        let data = serde_json::to_string(&event).unwrap();
        body.push_str(&format!("id: {number}\nevent: {name}\ndata: {data}\n\n"));
    }
    Reply::with("200 OK", "content-type: text/event-stream\r\n", body.as_bytes())
}

fn finished() -> Fact {
    let outcome = deploy_core::model::Outcome::Succeeded;
    Fact::Finished { outcome, failure: None }
}

fn host_finished(host: usize) -> Fact {
    Fact::HostFinished { result: succeeded(host) }
}

fn is_submit(request: &str) -> bool {
    request.starts_with("POST /v1/tasks HTTP")
}

#[tokio::test]
async fn a_busy_agent_is_asked_again_and_a_refusal_is_final() {
    let server = Server::start(|number, request| match (number, is_submit(request)) {
        (0, _) => problem("429 Too Many Requests", "busy", "full"),
        (1, _) => problem("503 Service Unavailable", "shutting-down", "later"),
        (2, _) => problem("500 Internal Server Error", "storage", "broken"),
        (_, true) => Reply::status("202 Accepted", ""),
        (_, false) => stream("t-1", [host_finished(1), finished()]),
    })
    .await;
    let executor = executor(server.address).build().unwrap();
    let at = endpoint(server.address);
    let report = executor.execute(context(), task("t-1", &at, 1)).await.unwrap();
    assert!(report.succeeded());
    assert_eq!(server.requests().len(), 5);

    for (status, kind) in [
        ("400 Bad Request", "malformed"),
        ("401 Unauthorized", "unauthenticated"),
        ("403 Forbidden", "not-allowed"),
        ("404 Not Found", "no-such-route"),
        ("409 Conflict", "conflict"),
        ("422 Unprocessable Content", "invalid"),
    ] {
        let server = Server::start(move |_, _| problem(status, kind, "the detail")).await;
        let executor = crate::support::agent::executor(server.address).build().unwrap();
        let at = endpoint(server.address);
        let error = executor.execute(context(), task("t-1", &at, 1)).await.unwrap_err();
        let ExecuteError::Rejected { reason } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*reason, format!("{at}: {}: the detail", &status[..3]));
        assert_eq!((error.retry(), server.requests().len()), (Retry::Never, 1));
    }
}

#[tokio::test]
async fn the_faults_of_a_refused_task_are_in_the_reason() {
    let agent = Agent::start().await;
    let at = endpoint(agent.address);
    agent.node.accept(task("t-1", &at, 1)).await.unwrap();
    let executor = executor(agent.address).build().unwrap();
    let error = executor.execute(context(), task("t-1", &at, 2)).await;
    let Err(ExecuteError::Rejected { reason }) = error else {
        panic!("{error:?}");
    };
    assert!(reason.starts_with(&format!("{at}: 409: the id t-1 is taken")), "{reason}");
}

#[tokio::test]
async fn a_token_that_the_agent_does_not_believe_or_that_may_only_read_is_refused() {
    let agent = Agent::start().await;
    let at = endpoint(agent.address);
    for (token, status) in [(READ, "403"), ("some-other-token-0123", "401")] {
        let executor = HttpExecutor::builder().token(&at, Secret::new(token)).build().unwrap();
        let error = executor.execute(context(), task("t-1", &at, 1)).await;
        let Err(ExecuteError::Rejected { reason }) = error else {
            panic!("{error:?}");
        };
        assert!(reason.starts_with(&format!("{at}: {status}")), "{reason}");
    }
    assert_eq!(agent.hosts.tasks().len(), 0);
}

#[tokio::test]
async fn an_endpoint_without_a_token_or_against_the_policy_is_not_contacted() {
    let canary = Server::canary().await;
    let at = endpoint(canary.address);
    let without = HttpExecutor::builder().build().unwrap();
    let against = executor(canary.address).policy(UrlPolicy::new()).build().unwrap();
    for executor in [without, against] {
        let error = executor.execute(context(), task("t-1", &at, 1)).await;
        assert!(matches!(error, Err(ExecuteError::Rejected { .. })), "{error:?}");
    }
    let mut mixed = task("t-1", &at, 2);
    mixed.hosts[1].endpoint = endpoint("127.0.0.1:1".parse().unwrap());
    let mut nobody = task("t-1", &at, 1);
    nobody.hosts.clear();
    let executor = executor(canary.address).build().unwrap();
    for task in [mixed, nobody] {
        let error = executor.execute(context(), task).await;
        assert!(matches!(error, Err(ExecuteError::Rejected { .. })), "{error:?}");
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn an_agent_that_lost_the_task_gets_it_again() {
    let server = Server::start(|number, request| match (number, is_submit(request)) {
        (1, _) => stream("t-1", [Fact::HostStarted { host: samples::host(1) }, host_finished(1)]),
        (2, _) => problem("404 Not Found", "unknown-task", "no task t-1 is known"),
        (_, true) => Reply::status("202 Accepted", ""),
        (_, false) => stream("t-1", [host_finished(1), host_finished(2), finished()]),
    })
    .await;
    let executor = executor(server.address).build().unwrap();
    let (cx, facts) = watched();
    let report = executor.execute(cx, task("t-1", &endpoint(server.address), 2)).await.unwrap();
    assert!(report.succeeded());
    let requests = server.requests();
    assert!(is_submit(&requests[0]) && is_submit(&requests[3]));
    assert_eq!(header(&requests[2], "last-event-id"), Some("2"));
    assert_eq!(header(&requests[4], "last-event-id"), Some("0"));
    // What was known is not reported twice.
    let names: Vec<&str> = facts.lock().unwrap().iter().map(Fact::name).collect();
    assert_eq!(names, ["host_started", "host_finished", "host_finished"]);
}

#[tokio::test]
async fn an_agent_that_is_not_heard_of_any_more_is_lost() {
    let answers: [fn() -> Reply; 4] = [
        || Reply::raw(""),
        || problem("500 Internal Server Error", "storage", "broken"),
        || problem("401 Unauthorized", "unauthenticated", "changed"),
        || Reply::ok(b"no stream at all"),
    ];
    for answer in answers {
        let server = Server::start(move |_, request| match is_submit(request) {
            true => Reply::status("202 Accepted", ""),
            false => answer(),
        })
        .await;
        let executor =
            executor(server.address).lost_after(Duration::from_millis(50)).build().unwrap();
        let task = task("t-1", &endpoint(server.address), 1);
        let error = executor.execute(context(), task).await.unwrap_err();
        assert!(matches!(error, ExecuteError::Lost { .. }), "{error:?}");
        assert!(error.retry().is_worth_it());
    }
}

#[tokio::test]
async fn an_agent_that_speaks_of_unknown_things_is_lost_and_not_believed() {
    let server = Server::start(|_, request| match is_submit(request) {
        true => Reply::status("202 Accepted", ""),
        false => Reply::with(
            "200 OK",
            "content-type: text/event-stream\r\n",
            b"id: 1\nevent: all_is_well\ndata: {\"fact\":{\"type\":\"all_is_well\"}}\n\n",
        ),
    })
    .await;
    let executor = executor(server.address).build().unwrap();
    let error = executor.execute(context(), task("t-1", &endpoint(server.address), 1)).await;
    assert!(matches!(error, Err(ExecuteError::Lost { .. })), "{error:?}");
}

#[tokio::test]
async fn sec_a07_an_agent_is_believed_about_the_hosts_of_its_task_only() {
    let server = Server::start(|_, request| match is_submit(request) {
        true => Reply::status("202 Accepted", ""),
        false => {
            let foreign = Fact::HostStarted { host: samples::host(9) };
            let output = Fact::Output {
                host: samples::host(9),
                step: Step::BeforeSwitch,
                text: "../../etc/passwd".to_owned(),
            };
            let facts = [foreign, output, host_finished(9), host_finished(1), finished()];
            stream("t-1", facts)
        }
    })
    .await;
    let executor = executor(server.address).build().unwrap();
    let (cx, facts) = watched();
    let report = executor.execute(cx, task("t-1", &endpoint(server.address), 2)).await.unwrap();
    // A host without a word is unknown, never succeeded, and is reported as such.
    assert_eq!(statuses(&report), [HostStatus::Succeeded, HostStatus::Unknown]);
    let failure = report.hosts[1].failure.as_ref().unwrap();
    assert_eq!(failure.code, FailureCode::Unknown);
    let facts = facts.lock().unwrap();
    let expected = report.hosts.iter().cloned().map(|result| Fact::HostFinished { result });
    assert_eq!(*facts, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn sec_a07_events_of_another_task_are_ignored() {
    let server = Server::start(|number, request| match (number, is_submit(request)) {
        (_, true) => Reply::status("202 Accepted", ""),
        (1, _) => stream("t-2", [host_finished(1), finished()]),
        _ => stream("t-1", [Fact::HostStarted { host: samples::host(1) }, finished()]),
    })
    .await;
    let executor = executor(server.address).build().unwrap();
    let task = task("t-1", &endpoint(server.address), 1);
    let report = executor.execute(context(), task).await.unwrap();
    assert_eq!(statuses(&report), [HostStatus::Unknown]);
}

#[tokio::test]
async fn sec_c06_a_stream_without_an_end_of_line_is_cut_off() {
    let server = Server::start(|number, request| match (number, is_submit(request)) {
        (_, true) => Reply::status("202 Accepted", ""),
        (1, _) => {
            let body = vec![b'x'; 3 * 1024 * 1024];
            Reply::with("200 OK", "content-type: text/event-stream\r\n", &body)
        }
        _ => stream("t-1", [host_finished(1), finished()]),
    })
    .await;
    let executor = executor(server.address).build().unwrap();
    let task = task("t-1", &endpoint(server.address), 1);
    assert!(executor.execute(context(), task).await.unwrap().succeeded());
}

#[tokio::test]
async fn cancelling_reaches_the_agent_and_its_report_comes_back() {
    let hosts = ScriptedExecutor::new()
        .with_host(samples::host(1), HostScript::succeed())
        .with_host(samples::host(2), HostScript::hang());
    let agent = Agent::with_hosts(hosts).await;
    // The first answers to the cancelling are lost on the way.
    let faults = [Fault::Pass, Fault::Pass, Fault::Cut(0), Fault::Reset(0)];
    let proxy = Proxy::start(agent.address, faults).await;
    let executor = executor(proxy.address).build().unwrap();
    let cancel = CancelToken::new();
    let cx = context().with_cancel(cancel.clone());
    let task = task("t-1", &endpoint(proxy.address), 2);
    let id = task.id.clone();
    let running = tokio::spawn(async move { executor.execute(cx, task).await });
    agent.hosts.hanging(&samples::host(2)).await;
    cancel.cancel("wrong version");
    let report = running.await.unwrap().unwrap();
    assert_eq!(statuses(&report), [HostStatus::Succeeded, HostStatus::Cancelled]);
    let state = agent.node.state(&id).await.unwrap();
    assert_eq!(state.cancel.as_deref(), Some("wrong version"));
}

#[tokio::test]
async fn a_deadline_that_passes_cancels_the_task_at_the_agent() {
    let hosts = ScriptedExecutor::new().with_host(samples::host(1), HostScript::hang());
    let agent = Agent::with_hosts(hosts).await;
    let executor = executor(agent.address).build().unwrap();
    let cx = context().with_deadline(Instant::now() + Duration::from_millis(100));
    let report = executor.execute(cx, task("t-1", &endpoint(agent.address), 1)).await.unwrap();
    assert_eq!(statuses(&report), [HostStatus::Cancelled]);
}

#[tokio::test]
async fn what_is_cancelled_before_it_was_given_is_not_given() {
    let canary = Server::canary().await;
    let executor = executor(canary.address).build().unwrap();
    let cancel = CancelToken::new();
    cancel.cancel("never mind");
    let cx = context().with_cancel(cancel);
    let error = executor.execute(cx, task("t-1", &endpoint(canary.address), 1)).await;
    assert!(matches!(error, Err(ExecuteError::Cancelled)), "{error:?}");
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_later_attempt_that_is_cancelled_asks_what_the_earlier_one_did() {
    let agent = Agent::start().await;
    let executor = executor(agent.address).build().unwrap();
    let cancel = CancelToken::new();
    cancel.cancel("never mind");
    let cx = context().with_cancel(cancel).with_attempt(2);
    let task = task("t-1", &endpoint(agent.address), 1);
    let error = executor.execute(cx.clone(), task.clone()).await;
    assert!(matches!(error, Err(ExecuteError::Cancelled)), "{error:?}");
    // This time the earlier attempt did give it.
    agent.node.accept(task.clone()).await.unwrap();
    let mut events = agent.node.events(&task.id, Sequence::START);
    while events.next().await.is_some() {}
    let report = executor.execute(cx, task).await.unwrap();
    assert_eq!(statuses(&report), [HostStatus::Succeeded]);
}

#[tokio::test]
async fn a_cancelled_task_whose_report_does_not_come_is_lost() {
    let server = Server::start(|_, request| {
        if request.contains("/events") {
            Reply::with("200 OK", "content-type: text/event-stream\r\n", &[0; 100])
                .cut(0)
                .then_stall()
        } else {
            Reply::status("202 Accepted", "")
        }
    })
    .await;
    let executor =
        executor(server.address).cancel_grace(Duration::from_millis(50)).build().unwrap();
    let cancel = CancelToken::new();
    let cx = context().with_cancel(cancel.clone());
    let task = task("t-1", &endpoint(server.address), 1);
    let running = tokio::spawn(async move { executor.execute(cx, task).await });
    while server.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    cancel.cancel("enough");
    let error = running.await.unwrap();
    assert!(matches!(error, Err(ExecuteError::Lost { .. })), "{error:?}");
    let requests = server.requests();
    assert!(requests[2].starts_with("POST /v1/tasks/t-1/cancel "));
    assert!(requests[2].ends_with("{\"reason\":\"enough\"}"));
}

#[tokio::test]
async fn sec_b05_no_error_and_no_debug_shows_a_token() {
    let server = Server::start(|_, _| problem("401 Unauthorized", "unauthenticated", "who?")).await;
    let executor = executor(server.address).build().unwrap();
    let error = executor.execute(context(), task("t-1", &endpoint(server.address), 1)).await;
    let error = error.unwrap_err();
    let failure = deploy_core::Failure::from(&error);
    let shown = format!(
        "{error} {error:?} {failure:?} {executor:?} {:?}",
        HttpExecutor::builder().token(&endpoint(server.address), Secret::new(DEPLOY))
    );
    assert!(!shown.contains("canary"), "{shown}");
    let bearer = format!("Bearer {DEPLOY}");
    assert_eq!(header(&server.requests()[0], "authorization"), Some(bearer.as_str()));
}

/// Two agents behind one name, or one whose store forgets.
#[tokio::test]
async fn an_agent_that_forgets_the_task_again_and_again_is_lost() {
    let server = Server::start(|_, request| match is_submit(request) {
        true => Reply::status("202 Accepted", ""),
        false => problem("404 Not Found", "unknown-task", "never heard of it"),
    })
    .await;
    let executor = executor(server.address).first_pause(Duration::from_millis(1)).build().unwrap();
    let task = task("t-1", &endpoint(server.address), 1);
    let error = executor.execute(context(), task).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Lost { .. }), "{error:?}");
    let given = server.requests().iter().filter(|r| r.starts_with("POST ")).count();
    assert_eq!(given, 4);
}

#[tokio::test]
async fn no_more_tasks_are_followed_at_once_than_an_agent_serves() {
    let server = Server::start(|_, request| {
        if request.starts_with("GET ") {
            Reply::with("200 OK", "content-type: text/event-stream\r\n", b": waiting\n\n")
                .then_stall()
        } else {
            Reply::status("202 Accepted", "")
        }
    })
    .await;
    let executor = executor(server.address).build().unwrap();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..60 {
        let (executor, task) =
            (executor.clone(), task(&format!("t-{number}"), &endpoint(server.address), 1));
        running.spawn(async move { executor.execute(context(), task).await });
    }
    let count = |method: &str| server.requests().iter().filter(|r| r.starts_with(method)).count();
    while count("GET ") < 48 {
        tokio::task::yield_now().await;
    }
    // A task is given before it is followed, so one that was followed too many would show here.
    assert_eq!(count("POST "), 48);
    // Whoever waits for a turn does not wait beyond the deadline.
    let cx = context().with_deadline(Instant::now());
    let late = executor.execute(cx, task("late", &endpoint(server.address), 1)).await;
    assert!(matches!(late, Err(ExecuteError::Cancelled)), "{late:?}");
}
