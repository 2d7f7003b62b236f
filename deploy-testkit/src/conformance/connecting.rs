//! Cases of [`Connector`](deploy_core::Connector).

#![allow(clippy::missing_panics_doc)]

use std::time::{Duration, Instant};

use deploy_core::model::Endpoint;
use deploy_core::{ConnectError, Exit};

use super::session_bench::{ConnectorBench, context};

/// Clause 1.
pub async fn a_session_that_is_given_runs_a_command(bench: ConnectorBench) {
    let ended = bench.run("echo hello").await;
    assert_eq!((ended.exit, ended.stdout.as_str()), (Exit::Exited(0), "hello\n"));
}

/// Clause 1.
pub async fn several_sessions_are_open_at_once(bench: ConnectorBench) {
    let mut running = Vec::new();
    for _ in 0..3 {
        let session = bench.session().await;
        let mut one = super::session_bench::begin(&session, context(), "echo $$; cat");
        let process = one.line().await;
        running.push((process, one));
    }
    let mut processes: Vec<_> = running.iter().map(|(process, _)| process.clone()).collect();
    processes.dedup();
    assert_eq!(processes.len(), 3, "each runs a command of its own");
    for (_, one) in running {
        assert_eq!(one.end().await.exit, Exit::Exited(0));
    }
}

/// `ConnectError::Unsupported`.
pub async fn an_endpoint_of_another_kind_is_unsupported(bench: ConnectorBench) {
    let mut target = bench.target.clone();
    target.endpoint = Endpoint::new("of-another-kind:somewhere").expect("it is a valid endpoint");
    match bench.connector.connect(context(), target).await {
        Err(ConnectError::Unsupported { .. }) => {}
        other => panic!("not unsupported: {other:?}"),
    }
}

/// Clause 3: late already, it is given a session at once or none.
pub async fn a_connect_after_the_deadline_ends(bench: ConnectorBench) {
    let cx = context().with_deadline(Instant::now());
    match bench.connector.connect(cx, bench.target.clone()).await {
        Ok(_) | Err(ConnectError::TimedOut { .. }) => {}
        Err(other) => panic!("not timed out: {other:?}"),
    }
}

/// Clause 3: cancelled already, it is given a session at once or none.
pub async fn a_connect_after_the_cancel_ends(bench: ConnectorBench) {
    let cx = context();
    cx.cancel.cancel("enough");
    match bench.connector.connect(cx, bench.target.clone()).await {
        Ok(_) | Err(ConnectError::Cancelled) => {}
        Err(other) => panic!("not cancelled: {other:?}"),
    }
}

fn silent(bench: &ConnectorBench) -> deploy_core::model::Target {
    bench.silent.clone().expect("the bench has a host that says nothing")
}

/// Clause 3.
pub async fn a_host_that_says_nothing_is_given_up_at_the_deadline(bench: ConnectorBench) {
    let cx = context().with_deadline(Instant::now() + Duration::from_millis(100));
    match bench.connector.connect(cx, silent(&bench)).await {
        Err(ConnectError::TimedOut { .. }) => {}
        other => panic!("not timed out: {other:?}"),
    }
}

/// `ConnectError::Cancelled`.
pub async fn a_host_that_says_nothing_is_given_up_at_a_cancel(bench: ConnectorBench) {
    let cx = context();
    let cancel = cx.cancel.clone();
    let connect = bench.connector.connect(cx, silent(&bench));
    let (connected, ()) = tokio::join!(connect, async { cancel.cancel("enough") });
    match connected {
        Err(ConnectError::Cancelled) => {}
        other => panic!("not cancelled: {other:?}"),
    }
}

/// While one host says nothing, another is reached.
pub async fn a_host_that_says_nothing_holds_no_other_up(bench: ConnectorBench) {
    let waiting = bench.connector.connect(context(), silent(&bench));
    tokio::select! {
        // It waits before the other begins.
        biased;
        connected = waiting => panic!("a silent host was reached: {connected:?}"),
        ended = bench.run("exit 3") => assert_eq!(ended.exit, Exit::Exited(3)),
    }
}
