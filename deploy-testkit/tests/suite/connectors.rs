//! The contract of connectors, held against the local one, a scripted one, and wrappers.

use std::sync::Arc;

use deploy_core::model::{HostPath, Target};
use deploy_core::{ConnectError, Connector, Exit, LocalConnector, SchemeConnector};
use deploy_testkit::conformance::ConnectorBench;
use deploy_testkit::{ScriptedConnector, samples};
use tempfile::TempDir;

/// A directory of this machine as a host.
pub(crate) fn local_host() -> (Target, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut target = samples::target(1);
    target.endpoint = format!("local:{}", dir.path().display()).parse().unwrap();
    target.root = HostPath::new("/srv/app").unwrap();
    (target, dir)
}

fn bench(connector: impl Connector) -> (ConnectorBench, TempDir) {
    let (target, dir) = local_host();
    (ConnectorBench::new(connector, target), dir)
}

/// A scripted connector whose closure runs a shell: what is tested is what stands around the closure.
fn scripted() -> ScriptedConnector {
    ScriptedConnector::new(|call| async move {
        let session = LocalConnector::new().open(&call.target.endpoint).unwrap();
        let cx = deploy_core::Context::new(samples::task_id("inner"));
        deploy_core::Session::run(&session, cx, call.script, call.io).await.unwrap()
    })
}

deploy_testkit::connector_conformance!(local, async |_clock| bench(LocalConnector::new()));
deploy_testkit::connector_patience_conformance!(local_patience, async |_clock| {
    bench(LocalConnector::new())
});
deploy_testkit::connector_conformance!(behind_an_arc, async |_clock| {
    bench(Arc::new(LocalConnector::new()) as Arc<dyn Connector>)
});
deploy_testkit::connector_conformance!(chosen_by_scheme, async |_clock| {
    bench(SchemeConnector::new().with("local", LocalConnector::new()))
});

// A scripted host is not asked how it is reached, so the cases about endpoints are not its.
deploy_testkit::conformance_cases!(scripted_hosts, ConnectorBench, async |_clock| bench(scripted()), {
    connecting::a_session_that_is_given_runs_a_command,
    connecting::several_sessions_are_open_at_once,
    connecting::a_connect_after_the_deadline_ends,
    connecting::a_connect_after_the_cancel_ends,
    scripts::a_script_reaches_the_shell_word_for_word,
    scripts::the_exit_status_is_the_scripts_own,
    scripts::a_session_runs_several_commands_at_once,
    streams::input_comes_in_order_and_ends,
    streams::input_is_read_only_as_fast_as_the_command_takes_it,
    streams::a_command_need_not_read_its_input,
    streams::output_comes_while_the_command_runs,
    streams::a_full_writer_holds_the_command_up,
    streams::a_closed_writer_does_not_hold_the_command_up,
    stopping::a_cancel_ends_the_input_and_lets_the_command_stop,
    stopping::a_deadline_ends_the_input_too,
    stopping::a_cancel_stops_its_own_command_alone,
    stopping::dropping_the_run_kills_the_process_group,
});

#[tokio::test(start_paused = true)]
async fn a_scripted_command_that_does_not_stop_is_dropped_after_its_grace() {
    let connector = ScriptedConnector::new(|_call| std::future::pending());
    let cx = deploy_core::Context::new(samples::task_id("t"));
    let session = connector.connect(cx.clone(), samples::target(1)).await.unwrap();
    let pipe = || deploy_core::pipe(1).0;
    let io = deploy_core::CommandIo::new(deploy_core::PipeReader::empty(), pipe(), pipe());
    let run = session.run(cx.clone(), "wait".to_owned(), io);
    let (exit, ()) = tokio::join!(run, async { cx.cancel.cancel("enough") });
    assert!(matches!(exit.unwrap(), Exit::Signalled(_)));
}

#[tokio::test]
async fn a_scripted_host_refuses_as_it_is_told_and_counts() {
    let connector = ScriptedConnector::new(|_call| async { Exit::Exited(0) }).with_error(
        samples::host(1),
        ConnectError::TimedOut { endpoint: "test://host-1".to_owned() },
    );
    let connect = || {
        let cx = deploy_core::Context::new(samples::task_id("t"));
        connector.connect(cx, samples::target(1))
    };
    assert!(matches!(connect().await, Err(ConnectError::TimedOut { .. })));
    assert!(connect().await.is_ok());
    assert_eq!(connector.connects(&samples::host(1)), 2);
    assert!(connector.scripts(&samples::host(1)).is_empty());
}
