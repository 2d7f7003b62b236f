//! The conformance kit for connectors against backends that each break one clause.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::Target;
use deploy_core::{
    CommandIo, ConnectError, Connector, Context, Exit, LocalConnector, PipeReader, PipeWriter,
    Session, SessionError, pipe,
};
use deploy_testkit::conformance::{ConnectorBench, connecting, scripts, stopping, streams};
use tokio::sync::Mutex;

use super::connectors::local_host;

/// How a connector is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    GivesDeadSessions,
    RunsOneCommandAtATime,
    TakesAnyEndpoint,
    ConnectsForEver,
    HoldsOthersUp,
    EatsBackslashes,
    EatsTabs,
    EatsWhatHasNoNewline,
    CutsLongScripts,
    UsesAnotherShell,
    ForgetsTheStatus,
    TakesSignalsForSuccess,
    WaitsForStragglers,
    RunsOneCommand,
    LosesInput,
    ReadsAhead,
    KeepsSevenBits,
    SwallowsInput,
    WaitsForTheInputToEnd,
    MixesTheStreams,
    HoldsOutputBack,
    ReadsOneStreamAfterTheOther,
    SwallowsOutput,
    StopsAtAClosedWriter,
    IgnoresCancel,
    CancelsAll,
    LetsDroppedRunsLive,
    ClosesWithADroppedRun,
    NeverSignals,
}

/// A connector that breaks one clause.
#[derive(Clone, Debug)]
struct Broken {
    fault: Fault,
    one_at_a_time: Arc<Mutex<()>>,
}

#[async_trait]
impl Connector for Broken {
    async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError> {
        if target.endpoint.scheme() == "silent" {
            return Err(self.wait_for_the_silent(&cx).await);
        }
        let late = cx.cancel.is_cancelled() || cx.remaining().is_some_and(|left| left.is_zero());
        if self.fault == Fault::ConnectsForEver && late {
            std::future::pending::<()>().await;
        }
        if self.fault == Fault::HoldsOthersUp {
            let _turn = self.one_at_a_time.lock().await;
        }
        let mut connector = LocalConnector::new();
        if self.fault == Fault::UsesAnotherShell {
            connector = connector.shell(["bash"]);
        }
        let mut endpoint = target.endpoint;
        if self.fault == Fault::TakesAnyEndpoint {
            endpoint = format!("local:{}", std::env::temp_dir().display()).parse().unwrap();
        }
        let session = Arc::new(connector.open(&endpoint)?);
        let cancel = deploy_core::CancelToken::new();
        Ok(Box::new(BrokenSession {
            fault: self.fault,
            session,
            one_at_a_time: Arc::clone(&self.one_at_a_time),
            runs: Arc::default(),
            cancel,
        }))
    }
}

impl Broken {
    /// How a silent host is given up; a whole connector does so at the deadline or the cancel.
    async fn wait_for_the_silent(&self, cx: &Context) -> ConnectError {
        let _turn = match self.fault {
            Fault::HoldsOthersUp => Some(self.one_at_a_time.lock().await),
            _ => None,
        };
        if self.fault == Fault::ConnectsForEver {
            std::future::pending::<()>().await;
        }
        let left = cx.remaining().unwrap_or(Duration::from_secs(600));
        match tokio::time::timeout(left, cx.cancel.cancelled()).await {
            Ok(()) => ConnectError::Cancelled,
            Err(_) => ConnectError::TimedOut { endpoint: "silent:".to_owned() },
        }
    }
}

/// A session that breaks one clause.
#[derive(Debug)]
struct BrokenSession {
    fault: Fault,
    session: Arc<deploy_core::LocalSession>,
    one_at_a_time: Arc<Mutex<()>>,
    runs: Arc<std::sync::atomic::AtomicUsize>,
    cancel: deploy_core::CancelToken,
}

/// Says that a run was dropped before its end.
struct Unless<F: FnMut()>(bool, F);

impl<F: FnMut()> Drop for Unless<F> {
    fn drop(&mut self) {
        if !self.0 {
            (self.1)();
        }
    }
}

impl BrokenSession {
    fn script(&self, script: String) -> String {
        match self.fault {
            Fault::EatsBackslashes => script.replace('\\', ""),
            Fault::EatsTabs => script.replace('\t', " "),
            Fault::EatsWhatHasNoNewline => match script.rsplit_once('\n') {
                Some((lines, _)) => lines.to_owned(),
                None => String::new(),
            },
            Fault::CutsLongScripts => script.chars().take(100_000).collect(),
            // `cat` ends when everybody has closed the output.
            Fault::WaitsForStragglers => {
                format!("{{ {{ {script}\n}}; echo $? >&3; }} 3>&1 | cat")
            }
            _ => script,
        }
    }

    fn exit(&self, exit: Exit) -> Exit {
        match (self.fault, exit) {
            (Fault::ForgetsTheStatus, Exit::Exited(_)) => Exit::Exited(0),
            (Fault::TakesSignalsForSuccess, Exit::Signalled(_)) => Exit::Exited(0),
            (_, exit) => exit,
        }
    }

    /// Puts something between the streams of the caller and those of the command.
    fn io(&self, io: CommandIo) -> (CommandIo, Vec<tokio::task::JoinHandle<()>>) {
        let CommandIo { stdin, stdout, stderr, .. } = io;
        let unbounded = 1 << 20;
        let mut tasks = Vec::new();
        let io = match self.fault {
            Fault::LosesInput => {
                let (to, stdin) = map_input(
                    stdin,
                    |number, chunk| {
                        if number == 500 { Vec::new() } else { chunk }
                    },
                );
                tasks.push(to);
                CommandIo::new(stdin, stdout, stderr)
            }
            Fault::ReadsAhead => {
                let (to, stdin) =
                    map_input(
                        stdin,
                        |number, chunk| {
                            if number == 0 { chunk[5..].to_vec() } else { chunk }
                        },
                    );
                tasks.push(to);
                CommandIo::new(stdin, stdout, stderr)
            }
            Fault::KeepsSevenBits => {
                let (to, stdin) =
                    map_input(stdin, |_, chunk| chunk.iter().map(|byte| byte & 0x7f).collect());
                tasks.push(to);
                CommandIo::new(stdin, stdout, stderr)
            }
            Fault::SwallowsInput => {
                let (to, own) = pipe(unbounded);
                tasks.push(tokio::spawn(carry(stdin, to)));
                CommandIo::new(own, stdout, stderr)
            }
            Fault::WaitsForTheInputToEnd => {
                let (to, own) = pipe(1);
                tasks.push(tokio::spawn(async move {
                    let mut stdin = stdin;
                    while let Some(chunk) = stdin.read().await {
                        let _ = to.write(chunk).await;
                    }
                }));
                CommandIo::new(own, stdout, stderr)
            }
            Fault::MixesTheStreams => CommandIo::new(stdin, stdout.clone(), stdout),
            Fault::HoldsOutputBack => {
                let (to, mut own) = pipe(unbounded);
                tasks.push(tokio::spawn(async move {
                    let mut all = Vec::new();
                    while let Some(chunk) = own.read().await {
                        all.extend(chunk);
                    }
                    let _ = stdout.write(all).await;
                }));
                CommandIo::new(stdin, to, stderr)
            }
            Fault::ReadsOneStreamAfterTheOther => {
                let ((to_out, out), (to_err, err)) = (pipe(1), pipe(1));
                tasks.push(tokio::spawn(async move {
                    carry(out, stdout).await;
                    carry(err, stderr).await;
                }));
                CommandIo::new(stdin, to_out, to_err)
            }
            Fault::SwallowsOutput => {
                let (to, out) = pipe(unbounded);
                tasks.push(tokio::spawn(carry(out, stdout)));
                CommandIo::new(stdin, to, stderr)
            }
            Fault::StopsAtAClosedWriter => {
                let (to, mut out) = pipe(1);
                tasks.push(tokio::spawn(async move {
                    while let Some(chunk) = out.read().await {
                        if stdout.write(chunk).await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                }));
                CommandIo::new(stdin, to, stderr)
            }
            _ => CommandIo::new(stdin, stdout, stderr),
        };
        (io, tasks)
    }
}

async fn carry(mut from: PipeReader, to: PipeWriter) {
    while let Some(chunk) = from.read().await {
        if to.write(chunk).await.is_err() {
            return;
        }
    }
}

/// Changes each chunk of an input, by its number.
fn map_input(
    mut from: PipeReader,
    change: impl Fn(usize, Vec<u8>) -> Vec<u8> + Send + 'static,
) -> (tokio::task::JoinHandle<()>, PipeReader) {
    let (to, own) = pipe(1);
    let task = tokio::spawn(async move {
        let mut number = 0;
        while let Some(chunk) = from.read().await {
            if to.write(change(number, chunk)).await.is_err() {
                return;
            }
            number += 1;
        }
    });
    (task, own)
}

#[async_trait]
impl Session for BrokenSession {
    async fn run(&self, cx: Context, script: String, io: CommandIo) -> Result<Exit, SessionError> {
        let before = self.runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let closed = self.fault == Fault::GivesDeadSessions
            || (self.fault == Fault::RunsOneCommand && before > 0)
            || (self.fault == Fault::ClosesWithADroppedRun && self.cancel.is_cancelled());
        if closed {
            return Err(SessionError::Closed);
        }
        let _turn = match self.fault {
            Fault::RunsOneCommandAtATime => Some(self.one_at_a_time.lock().await),
            _ => None,
        };
        let script = self.script(script);
        let cx = match self.fault {
            Fault::IgnoresCancel => Context::new(cx.task),
            Fault::CancelsAll => {
                let (all, own) = (self.cancel.clone(), cx.cancel.clone());
                tokio::spawn(async move {
                    own.cancelled().await;
                    all.cancel("for all");
                });
                cx.with_cancel(self.cancel.clone())
            }
            _ => cx,
        };
        if self.fault == Fault::NeverSignals {
            return self.run_without_signals(cx, script, io).await;
        }
        let (io, tasks) = self.io(io);
        if self.fault == Fault::LetsDroppedRunsLive {
            let session = Arc::clone(&self.session);
            let run = tokio::spawn(async move { session.run(cx, script, io).await });
            return run.await.unwrap();
        }
        let cancel = self.cancel.clone();
        let closes = self.fault == Fault::ClosesWithADroppedRun;
        let mut unless = Unless(!closes, || cancel.cancel("a run was dropped"));
        let run = async {
            tokio::select! {
                exit = self.session.run(cx, script, io) => exit,
                () = self.cancel.cancelled(), if closes => Ok(Exit::Lost("closed".to_owned())),
            }
        };
        let exit = run.await?;
        unless.0 = true;
        for task in tasks {
            let wait = !matches!(
                self.fault,
                Fault::LosesInput
                    | Fault::ReadsAhead
                    | Fault::KeepsSevenBits
                    | Fault::SwallowsInput
            );
            if wait {
                task.await.unwrap();
            }
        }
        Ok(self.exit(exit))
    }
}

impl BrokenSession {
    /// Ends the input at a cancel, and does no more.
    async fn run_without_signals(
        &self,
        cx: Context,
        script: String,
        io: CommandIo,
    ) -> Result<Exit, SessionError> {
        let CommandIo { stdin, stdout, stderr, .. } = io;
        let (to, own) = pipe(1);
        let cancel = cx.cancel.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = carry(stdin, to) => {}
                () = cancel.cancelled() => {}
            }
        });
        let io = CommandIo::new(own, stdout, stderr);
        self.session.run(Context::new(cx.task), script, io).await
    }
}

/// How long a case may take before it has failed: in a broken backend, or in a whole one.
const BROKEN: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(60);

/// Runs a case; one that hangs has failed, too.
fn fails<C: Future<Output = ()>>(
    fault: Fault,
    longest: Duration,
    case: impl FnOnce(ConnectorBench) -> C,
) -> bool {
    let (target, _dir) = local_host();
    let mut silent = target.clone();
    silent.endpoint = "silent:host".parse().unwrap();
    let broken = Broken { fault, one_at_a_time: Arc::default() };
    let case = case(ConnectorBench::new(broken, target).with_silent(silent));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { tokio::time::timeout(longest, case).await })
    }));
    runtime.shutdown_background();
    !matches!(ended, Ok(Ok(())))
}

/// Makes one test for each case: it passes with a whole connector, and fails with a broken one.
macro_rules! catches {
    ($broken:expr; $($part:ident::$case:ident <- $fault:ident,)*) => {
        $(
            #[test]
            fn $case() {
                std::thread::scope(|scope| {
                    let broken = scope.spawn(|| fails(Fault::$fault, $broken, $part::$case));
                    assert!(!fails(Fault::None, WHOLE, $part::$case), "fails without a fault");
                    assert!(broken.join().unwrap(), "does not notice {:?}", Fault::$fault);
                });
            }
        )*
    };
}

catches! { BROKEN;
    connecting::a_session_that_is_given_runs_a_command <- GivesDeadSessions,
    connecting::several_sessions_are_open_at_once <- RunsOneCommandAtATime,
    connecting::an_endpoint_of_another_kind_is_unsupported <- TakesAnyEndpoint,
    connecting::a_connect_after_the_deadline_ends <- ConnectsForEver,
    connecting::a_connect_after_the_cancel_ends <- ConnectsForEver,
    connecting::a_host_that_says_nothing_is_given_up_at_the_deadline <- ConnectsForEver,
    connecting::a_host_that_says_nothing_is_given_up_at_a_cancel <- ConnectsForEver,
    connecting::a_host_that_says_nothing_holds_no_other_up <- HoldsOthersUp,
    scripts::a_script_reaches_the_shell_word_for_word <- EatsBackslashes,
    scripts::a_here_document_of_a_script_is_its_own <- EatsTabs,
    scripts::a_script_needs_no_last_newline_and_may_have_many <- EatsWhatHasNoNewline,
    scripts::a_script_may_be_long <- CutsLongScripts,
    scripts::a_script_is_read_by_bin_sh <- UsesAnotherShell,
    scripts::the_exit_status_is_the_scripts_own <- ForgetsTheStatus,
    scripts::a_signal_is_no_success_and_no_status_of_the_scripts_own <- TakesSignalsForSuccess,
    scripts::a_run_ends_with_its_command_and_not_with_what_that_left_behind <- WaitsForStragglers,
    scripts::what_is_left_behind_may_go_on_writing <- WaitsForStragglers,
    scripts::a_session_runs_one_command_after_another <- RunsOneCommand,
    scripts::a_session_runs_several_commands_at_once <- RunsOneCommandAtATime,
    streams::input_comes_in_order_and_ends <- LosesInput,
    streams::input_begins_with_its_first_byte <- ReadsAhead,
    streams::input_may_hold_any_byte <- KeepsSevenBits,
    streams::input_is_read_only_as_fast_as_the_command_takes_it <- SwallowsInput,
    streams::a_command_need_not_read_its_input <- WaitsForTheInputToEnd,
    streams::output_comes_in_order_and_apart <- MixesTheStreams,
    streams::output_comes_while_the_command_runs <- HoldsOutputBack,
    streams::much_output_on_both_streams_at_once_comes_whole <- ReadsOneStreamAfterTheOther,
    streams::a_full_writer_holds_the_command_up <- SwallowsOutput,
    streams::a_closed_writer_does_not_hold_the_command_up <- StopsAtAClosedWriter,
    stopping::a_cancel_ends_the_input_and_lets_the_command_stop <- IgnoresCancel,
    stopping::a_deadline_ends_the_input_too <- IgnoresCancel,
    stopping::a_cancel_stops_its_own_command_alone <- CancelsAll,
    stopping::dropping_the_run_kills_the_process_group <- LetsDroppedRunsLive,
    stopping::dropping_a_run_leaves_the_session_of_use <- ClosesWithADroppedRun,
}

// Whole and broken run at the same time; the whole one takes 25 s.
catches! { Duration::from_secs(40);
    stopping::a_command_that_does_not_stop_gets_term_with_its_group <- NeverSignals,
    stopping::a_command_that_ignores_term_is_killed_with_its_group <- NeverSignals,
}
