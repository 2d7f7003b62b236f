//! Cases of [`Session`](deploy_core::Session): commands that are to stop.

#![allow(clippy::missing_panics_doc)]

use std::time::{Duration, Instant};

use deploy_core::Exit;

use super::session_bench::{ConnectorBench, begin, context};

/// Clause 6.
pub async fn a_cancel_ends_the_input_and_lets_the_command_stop(bench: ConnectorBench) {
    let cx = context();
    let cancel = cx.cancel.clone();
    let script = "echo ready; cat; echo stopped by itself; exit 3";
    let mut running = begin(&bench.session().await, cx, script);
    assert_eq!(running.line().await, "ready");
    cancel.cancel("enough");
    // The writer of the input is there all the while: it is the session that ends it.
    let _stdin = running.stdin.take();
    let ended = running.end().await;
    assert_eq!((ended.exit, ended.stdout.as_str()), (Exit::Exited(3), "stopped by itself\n"));
}

/// Clause 6.
pub async fn a_deadline_ends_the_input_too(bench: ConnectorBench) {
    let session = bench.session().await;
    let cx = context().with_deadline(Instant::now() + Duration::from_millis(300));
    let mut running = begin(&session, cx, "cat; echo over");
    let _stdin = running.stdin.take();
    let ended = running.end().await;
    assert_eq!((ended.exit, ended.stdout.as_str()), (Exit::Exited(0), "over\n"));
}

/// Clause 6: other commands of the session are left alone.
pub async fn a_cancel_stops_its_own_command_alone(bench: ConnectorBench) {
    let session = bench.session().await;
    let cx = context();
    let cancel = cx.cancel.clone();
    let mut stopped = begin(&session, cx, "echo ready; cat");
    let mut other = begin(&session, context(), "echo ready; cat");
    assert_eq!((stopped.line().await, other.line().await), ("ready".into(), "ready".into()));
    cancel.cancel("enough");
    let _stdin = stopped.stdin.take();
    assert_eq!(stopped.end().await.exit, Exit::Exited(0));
    other.write("still here").await;
    let ended = other.end().await;
    assert_eq!((ended.exit, ended.stdout.as_str()), (Exit::Exited(0), "still here"));
}

/// Cancellation.
pub async fn dropping_the_run_kills_the_process_group(bench: ConnectorBench) {
    let script = "trap '' TERM HUP; sleep 600 & echo $!; wait";
    let mut running = begin(&bench.session().await, context(), script);
    let process = running.line().await;
    assert!(bench.lives(&process).await);
    running.run.abort();
    assert!(running.run.await.is_err_and(|error| error.is_cancelled()));
    bench.until_gone(&process).await;
}

/// Cancellation: other commands of the session are left alone.
pub async fn dropping_a_run_leaves_the_session_of_use(bench: ConnectorBench) {
    let session = bench.session().await;
    let mut dropped = begin(&session, context(), "echo ready; sleep 600");
    let mut other = begin(&session, context(), "echo ready; cat");
    assert_eq!((dropped.line().await, other.line().await), ("ready".into(), "ready".into()));
    dropped.run.abort();
    assert!(dropped.run.await.is_err_and(|error| error.is_cancelled()));
    other.write("still here").await;
    assert_eq!(other.end().await.stdout, "still here");
    assert_eq!(begin(&session, context(), "exit 2").end().await.exit, Exit::Exited(2));
}

/// Clause 6. It waits for [`SESSION_GRACE`](deploy_core::SESSION_GRACE).
pub async fn a_command_that_does_not_stop_gets_term_with_its_group(bench: ConnectorBench) {
    let cx = context();
    let cancel = cx.cancel.clone();
    // The grandchild has no trap, so TERM ends it; the command tells that it got one.
    let script = "trap 'echo got term; exit 3' TERM
        sh -c 'sleep 600; :' & echo $!
        while :; do sleep 600 & wait $!; done";
    let mut running = begin(&bench.session().await, cx, script);
    let grandchild = running.line().await;
    cancel.cancel("enough");
    let ended = running.end().await;
    assert_eq!((ended.exit, ended.stdout.as_str()), (Exit::Exited(3), "got term\n"));
    bench.until_gone(&grandchild).await;
}

/// Clause 6. It waits for [`SESSION_GRACE`](deploy_core::SESSION_GRACE) and 5 s more.
pub async fn a_command_that_ignores_term_is_killed_with_its_group(bench: ConnectorBench) {
    let cx = context();
    let cancel = cx.cancel.clone();
    let script = "trap '' TERM; sleep 600 & echo $!; while :; do wait; sleep 600; done";
    let mut running = begin(&bench.session().await, cx, script);
    let grandchild = running.line().await;
    cancel.cancel("enough");
    match running.end().await.exit {
        Exit::Signalled(_) => {}
        Exit::Exited(status) if status > 128 => {}
        other => panic!("{other:?}"),
    }
    bench.until_gone(&grandchild).await;
}
