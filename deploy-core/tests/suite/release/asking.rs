//! Monitoring addresses that the host itself asks, with what it has, and hosts that are looked after.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deploy_core::model::{
    HostResult, HostStatus, Monitor, ProbedFrom, ReleaseAction, ReleaseTask, RollbackTarget,
};
use deploy_core::{ExecuteError, Executor, FailureCode, LocalConnector};

use super::fixture::{Host, Package, Watched, one};
use super::tools::{NEEDED, tools};
use super::undoing::{undo, with_releases};

/// A service on loopback: it answers each request with the next of these, and the last for ever.
struct Service {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

fn service(answers: &'static [&'static str]) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let answer = answers[count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    Service { address, asked }
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"state\": \"UP\"}";
const BAD: &str = "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\ndown";
const MOVED: &str = "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";

fn monitor(url: &str) -> Monitor {
    let mut monitor = Monitor::new(url).unwrap().with_from(ProbedFrom::Host);
    monitor.interval = Duration::from_millis(10);
    monitor.deadline = Duration::from_secs(20);
    monitor
}

fn over_http(service: &Service) -> Monitor {
    let mut monitor =
        monitor(&format!("http://{}/it's?a=$(touch%20x)&b='{{host.name}}'", service.address));
    monitor.contains = Some("UP".to_owned());
    monitor
}

/// Carries out a task by an executor that has no prober.
async fn done(host: &Host, task: ReleaseTask) -> HostResult {
    let executor = host.executor_without_packages().build();
    one(executor.execute(Watched::new(&task).cx, task).await.unwrap())
}

fn look(host: &Host, monitor: Monitor) -> ReleaseTask {
    let mut task = host.task("look", 1, &Package::version("gone"));
    task.monitor = Some(monitor);
    task.with_action(ReleaseAction::Probe)
}

on_every_host! {
    a_release_is_judged_by_what_the_host_itself_is_answered(host) {
        let package = Package::version("one");
        let service = service(&[BAD, MOVED, GOOD]);
        let mut task = host.task("d1", 1, &package);
        task.monitor = Some(over_http(&service));
        let result = host.deploy(&package, &task).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert!(service.asked.load(Ordering::SeqCst) >= 3);
        host.assert_tidy();
    }

    a_rollback_is_judged_by_what_the_host_itself_is_answered(host) {
        with_releases(&host, &["a", "b"]).await;
        let mut task = undo(&host, "b", RollbackTarget::LastGood, 9);
        task.monitor = Some(over_http(&service(&[BAD])));
        let patience = (Duration::from_millis(1500), Duration::from_secs(2));
        task.monitor = task.monitor.map(|monitor| monitor.with_timing(patience.0, patience.1));
        let result = done(&host, task.clone()).await;
        assert_eq!((result.status, result.serves.unwrap().as_str()), (HostStatus::Failed, "a"));
        let failure = result.failure.unwrap();
        assert_eq!(failure.code, FailureCode::Unhealthy);
        assert!(failure.message.contains("status 503, not 200-299"), "{failure}");
        host.assert_tidy();
        // It is no rollback before it is healthy.
        task.monitor = Some(over_http(&service(&[GOOD])));
        let result = done(&host, task).await;
        assert_eq!(result.status, HostStatus::RolledBack, "{result:?}");
    }

    a_tcp_address_takes_a_connection_of_the_host(host) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let result = done(&host, look(&host, monitor(&format!("tcp://{address}")))).await;
        assert_eq!(result.status, HostStatus::Checked, "{result:?}");
        drop(listener);
        let result = done(&host, look(&host, monitor(&format!("tcp://{address}")))).await;
        let failure = result.failure.unwrap();
        assert_eq!(failure.code, FailureCode::Unhealthy);
        assert!(failure.message.contains("refused"), "{failure}");
        assert!(!host.root.exists());
    }
}

#[tokio::test]
async fn every_tool_will_do_and_one_that_is_missing_is_named_before_anything_is_done() {
    let package = Package::version("one");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (tool, url) in [
        ("curl", None),
        ("wget", None),
        ("busybox", None),
        ("bash", Some(format!("tcp://{}", listener.local_addr().unwrap()))),
        ("busybox", Some(format!("tcp://{}", listener.local_addr().unwrap()))),
    ] {
        let tools = tools(&[NEEDED, &["sha256sum", tool]].concat());
        let mut host = Host::new("dash", false);
        host.connector = LocalConnector::new().variable("PATH", tools.path());
        let mut task = host.task("d1", 1, &package);
        task.monitor = Some(match &url {
            None => over_http(&service(&[GOOD])),
            Some(url) => monitor(url),
        });
        let result = host.deploy(&package, &task).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{tool}: {result:?}");
    }
    for (url, words) in
        [("http://h/", "curl, wget and busybox"), ("tcp://h:1", "bash, nc and busybox")]
    {
        let tools = tools(&[NEEDED, &["sha256sum"]].concat());
        let mut host = Host::new("dash", false);
        host.connector = LocalConnector::new().variable("PATH", tools.path());
        let mut task = host.task("d1", 1, &package);
        task.monitor = Some(monitor(url));
        for task in [task.clone(), look(&host, monitor(url))] {
            let result = host.deploy(&package, &task).await;
            let failure = result.failure.unwrap();
            assert_eq!(
                (result.status, failure.code),
                (HostStatus::Failed, FailureCode::ToolMissing)
            );
            assert!(failure.message.contains(words), "{failure}");
        }
        assert!(!host.root.exists());
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_off_and_an_answer_that_never_comes_is_given_up() {
    static LONG: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let long = LONG.get_or_init(|| {
        format!("{GOOD}{}", "x".repeat(3 << 20)).replace("Content-Length: 15\r\n", "")
    });
    let answers: &'static [&'static str] = Box::leak(Box::new([long.as_str()]));
    for tool in ["curl", "wget"] {
        let tools = tools(&[NEEDED, &[tool]].concat());
        let mut host = Host::new("dash", false);
        host.connector = LocalConnector::new().variable("PATH", tools.path());
        let result = done(&host, look(&host, over_http(&service(answers)))).await;
        assert_eq!(result.status, HostStatus::Checked, "{tool}: {result:?}");
        // It takes connections and says nothing.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut silent = monitor(&format!("http://{}/", listener.local_addr().unwrap()));
        silent.timeout = Duration::from_millis(300);
        let failure = done(&host, look(&host, silent)).await.failure.unwrap();
        assert!(failure.message.contains("no answer within 300ms"), "{failure}");
    }
}

#[tokio::test]
async fn a_host_is_healthy_as_soon_as_one_of_three_answers_is_as_expected() {
    let host = Host::new("dash", true);
    for (answers, status, asked) in [
        (&[GOOD][..], HostStatus::Checked, 1),
        (&[BAD, BAD, GOOD], HostStatus::Checked, 3),
        (&[BAD], HostStatus::Failed, 3),
    ] {
        let service = service(answers);
        let result = done(&host, look(&host, over_http(&service))).await;
        assert_eq!(result.status, status, "{result:?}");
        assert_eq!(service.asked.load(Ordering::SeqCst), asked);
        if let Some(failure) = result.failure {
            assert_eq!(failure.code, FailureCode::Unhealthy);
            assert!(failure.message.contains("3 times; the last time: status 503"), "{failure}");
        }
    }
    assert!(!host.root.exists());
}

#[tokio::test]
async fn a_look_at_a_host_without_a_monitoring_address_is_refused() {
    let host = Host::new("dash", true);
    let mut task = look(&host, monitor("http://h/"));
    task.monitor = None;
    let executor = host.executor_without_packages().build();
    let error = executor.execute(Watched::new(&task).cx, task).await.unwrap_err();
    assert!(
        matches!(error, ExecuteError::Rejected { reason } if reason.contains("no monitoring address"))
    );
}

#[tokio::test]
async fn a_look_that_is_cancelled_ends_at_once() {
    let host = Host::new("dash", true);
    let mut slow = over_http(&service(&[BAD]));
    slow.interval = Duration::from_secs(3600);
    let task = look(&host, slow);
    let watched = Watched::new(&task);
    let cancel = async {
        watched
            .until(|fact| fact.name() == "step_started" && format!("{fact:?}").contains("Probe"))
            .await;
        watched.cx.cancel.cancel("enough");
    };
    let executor = host.executor_without_packages().build();
    let (report, ()) = tokio::join!(executor.execute(watched.cx.clone(), task), cancel);
    assert_eq!(one(report.unwrap()).status, HostStatus::Cancelled);
}

#[tokio::test]
async fn what_the_login_is_set_up_with_is_not_heeded() {
    let mut host = Host::new("dash", false);
    host.connector = host
        .connector
        .clone()
        .variable("http_proxy", "http://127.0.0.1:1/")
        .variable("HOME", host.dir.path());
    std::fs::write(host.dir.path().join(".curlrc"), "fail-early\nurl = http://127.0.0.1:1/\n")
        .unwrap();
    let result = done(&host, look(&host, over_http(&service(&[GOOD])))).await;
    assert_eq!(result.status, HostStatus::Checked, "{result:?}");
}
