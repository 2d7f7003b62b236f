//! Being stopped at every step: by a cancel, by a lost connection, by a kill.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{HostResult, HostStatus, Monitor, ReleaseTask, Target};
use deploy_core::{
    CommandIo, ConnectError, Connector, Context, Executor, Exit, Fact, FailureCode, ProbeAnswer,
    ProbeError, ProbeQuestion, Prober, ReleaseExecutor, Session, SessionError, Step, pipe,
};
use tokio::sync::Notify;

use super::fixture::{Host, Package, Reached, Watched, hook, one};

/// A prober that never hears an answer.
#[derive(Debug)]
pub(crate) struct Silent;

#[async_trait]
impl Prober for Silent {
    async fn probe(
        &self,
        _cx: Context,
        _question: ProbeQuestion,
    ) -> Result<ProbeAnswer, ProbeError> {
        std::future::pending().await
    }
}

/// The task whose hook, or probe, holds it at a step for ever; else the step just passes.
fn held_at(host: &Host, step: Step, package: &Package) -> ReleaseTask {
    let mut task = host.task("d2", 2, package);
    task.release.shared = vec!["log".parse().unwrap()];
    let once =
        || hook("[ -n \"$DEPLOY_ROLLBACK\" ] || sleep 600").with_timeout(Duration::from_secs(900));
    match step {
        Step::BeforeSwitch => task.release.hooks.before_switch = vec![once()],
        Step::AfterSwitch => {
            task.release.hooks.before_switch = vec![hook("true")];
            task.release.hooks.after_switch = vec![once()];
        }
        Step::Probe => {
            let mut monitor = Monitor::new("http://h/").unwrap();
            monitor.timeout = Duration::from_secs(900);
            monitor.deadline = Duration::from_secs(900);
            task.monitor = Some(monitor);
        }
        _ => {
            task.release.hooks.before_switch = vec![hook("true")];
            task.release.hooks.after_switch = vec![hook("true")];
        }
    }
    task
}

const STEPS: [Step; 9] = [
    Step::Lock,
    Step::Transfer,
    Step::Verify,
    Step::Unpack,
    Step::Link,
    Step::BeforeSwitch,
    Step::Switch,
    Step::AfterSwitch,
    Step::Probe,
];

fn is_held(step: Step) -> bool {
    matches!(step, Step::BeforeSwitch | Step::AfterSwitch | Step::Probe)
}

/// The host serves a whole release, holds no lock and nothing unfinished.
fn assert_whole(host: &Host, step: Step, result: &HostResult) {
    let version = host.read("current/version");
    let expected = match host.current().as_deref() {
        Some("d1") => "one",
        Some("d2") => "two",
        other => panic!("{step}: {other:?}"),
    };
    assert_eq!(version, expected, "{step}: {result:?}");
    if is_held(step) {
        assert_eq!(version, "one", "{step}: {result:?}");
    }
    host.assert_tidy();
}

on_every_host! {
    a_cancel_at_any_step_leaves_the_host_whole(host) {
        for step in STEPS {
            let host = Host::new(host.shell, host.in_process);
            let (one_, two) = (Package::version("one"), Package::version("two"));
            host.deploy(&one_, &host.task("d1", 1, &one_)).await;
            let task = held_at(&host, step, &two);
            let watched = Watched::new(&task);
            let cancel = async {
                watched.until(|f| matches!(f, Fact::StepStarted { step: s, .. } if *s == step)).await;
                watched.cx.cancel.cancel("enough, says anna");
            };
            let executor = host.executor(&two).prober(Silent).build();
            let (report, ()) = tokio::join!(executor.execute(watched.cx.clone(), task), cancel);
            let result = one(report.unwrap());
            assert_whole(&host, step, &result);
            let over = result.status == HostStatus::Succeeded && !is_held(step);
            if !over {
                assert_eq!(result.status, HostStatus::Cancelled, "{step}: {result:?}");
                assert_eq!(result.serves.as_ref().unwrap().as_str(), "d1", "{step}");
                let failure = result.failure.unwrap();
                assert_eq!((failure.code, failure.message.as_str()), (FailureCode::Cancelled, "enough, says anna"));
            }
        }
    }

    a_connection_lost_at_any_step_leaves_the_host_whole(host) {
        for step in STEPS {
            let host = Host::new(host.shell, host.in_process);
            let (one_, two) = (Package::version("one"), Package::version("two"));
            host.deploy(&one_, &host.task("d1", 1, &one_)).await;
            let task = held_at(&host, step, &two);
            let watched = Watched::new(&task);
            let cut = Arc::new(Notify::new());
            let lose = async {
                watched.until(|f| matches!(f, Fact::StepStarted { step: s, .. } if *s == step)).await;
                cut.notify_one();
            };
            let reached = Reached { connector: host.connector.clone(), in_process: host.in_process };
            let executor = ReleaseExecutor::builder(Lossy { reached, cut: cut.clone() }, two.verifier())
                .prober(Silent).free_space(0).build();
            let (report, ()) = tokio::join!(executor.execute(watched.cx.clone(), task.clone()), lose);
            let result = one(report.unwrap());
            assert_whole(&host, step, &result);
            assert_eq!(result.status, HostStatus::Unknown, "{step}: {result:?}");
            assert_eq!(result.failure.as_ref().unwrap().code, FailureCode::Unknown);
            assert!(result.failure.unwrap().retry.is_worth_it());
            // The next attempt finds out, or does it again.
            let mut again = Watched::new(&task);
            again.cx.attempt = 2;
            let mut task = task;
            task.monitor = None;
            task.release.hooks = Default::default();
            let result = host.deploy_watched(&two, &task, &again).await;
            assert_eq!(result.status, HostStatus::Succeeded, "{step}: {result:?}");
            assert_eq!(host.read("current/version"), "two");
            host.assert_tidy();
        }
    }

    a_program_that_is_killed_is_recovered_from(host) {
        for step in [Step::BeforeSwitch, Step::AfterSwitch, Step::Probe] {
            let host = Host::new(host.shell, host.in_process);
            let (one_, two) = (Package::version("one"), Package::version("two"));
            host.deploy(&one_, &host.task("d1", 1, &one_)).await;
            let task = held_at(&host, step, &two);
            let watched = Watched::new(&task);
            let kill = async {
                watched.until(|f| matches!(f, Fact::StepStarted { step: s, .. } if *s == step)).await;
                kill_program(&host);
            };
            let executor = host.executor(&two).prober(Silent).build();
            let (report, ()) = tokio::join!(executor.execute(watched.cx.clone(), task.clone()), kill);
            let result = one(report.unwrap());
            assert_eq!(result.status, HostStatus::Unknown, "{step}: {result:?}");
            assert!(["one", "two"].contains(&host.read("current/version").as_str()));
            // Its hook does not outlive it, nor does anything of the program itself.
            host.until_nothing_runs().await;
            // Another deployment takes the lock of the dead at once.
            let three = Package::version("three");
            let result = host.deploy(&three, &host.task("d3", 3, &three)).await;
            assert_eq!(result.status, HostStatus::Succeeded, "{step}: {result:?}");
            assert_eq!(host.read("current/version"), "three");
            host.assert_tidy();
        }
    }

    a_release_that_comes_again_and_is_killed_goes_back_to_what_was_served_last(host) {
        let package = Package::version("b");
        for (number, id) in [(1, "a"), (2, "b"), (3, "c")] {
            host.deploy(&package, &host.task(id, number, &package)).await;
        }
        let mut task = host.task("b", 9, &package);
        task.release.hooks.after_switch = vec![hook("sleep 600")];
        let watched = Watched::new(&task);
        let kill = async {
            watched.until(|f| matches!(f, Fact::StepStarted { step: Step::AfterSwitch, .. })).await;
            kill_program(&host);
        };
        let (result, ()) = tokio::join!(host.deploy_watched(&package, &task, &watched), kill);
        assert_eq!(result.status, HostStatus::Unknown, "{result:?}");
        host.until_nothing_runs().await;
        task.release.hooks.after_switch = vec![hook("[ -n \"$DEPLOY_ROLLBACK\" ]")];
        let result = host.deploy(&package, &task).await;
        assert_eq!(result.status, HostStatus::RolledBack, "{result:?}");
        assert_eq!(host.current().as_deref(), Some("c"));
        host.assert_tidy();
    }

    a_cancel_while_the_verdict_is_awaited_leaves_the_hooks_of_the_way_back_their_time(host) {
        let (one_, two) = (Package::version("one"), Package::version("two"));
        host.deploy(&one_, &host.task("d1", 1, &one_)).await;
        let mut task = held_at(&host, Step::Probe, &two);
        // Longer than it takes to be told a second time.
        let slow = "[ -z \"$DEPLOY_ROLLBACK\" ] || { sleep 3; echo back; }";
        task.release.hooks.after_switch = vec![hook(slow)];
        let watched = Watched::new(&task);
        let cancel = async {
            watched.until(|f| matches!(f, Fact::StepStarted { step: Step::Probe, .. })).await;
            watched.cx.cancel.cancel("enough");
        };
        let executor = host.executor(&two).prober(Silent).build();
        let (report, ()) = tokio::join!(executor.execute(watched.cx.clone(), task), cancel);
        let result = one(report.unwrap());
        assert_eq!((result.status, result.further.len()), (HostStatus::Cancelled, 0), "{result:?}");
        assert_eq!((watched.output().as_str(), host.read("current/version").as_str()), ("back\n", "one"));
        host.assert_tidy();
    }

    a_host_that_takes_too_long_is_put_back(host) {
        let (one_, two) = (Package::version("one"), Package::version("two"));
        host.deploy(&one_, &host.task("d1", 1, &one_)).await;
        let mut task = held_at(&host, Step::AfterSwitch, &two);
        task.release.timeout = Duration::from_secs(3);
        let result = host.deploy(&two, &task).await;
        assert_eq!(result.status, HostStatus::RolledBack, "{result:?}");
        assert_eq!(result.failure.unwrap().code, FailureCode::TimedOut);
        assert_eq!(host.read("current/version"), "one");
        host.assert_tidy();
    }
}

#[tokio::test]
async fn hosts_that_have_not_begun_are_not_touched_after_a_cancel() {
    let host = Host::new("dash", true);
    let package = Package::version("two");
    let mut task = held_at(&host, Step::BeforeSwitch, &package);
    task.hosts.push(super::fixture::target("h2", &host.dir.path().join("b")));
    task.max_parallel = 1;
    let watched = Watched::new(&task);
    let cancel = async {
        watched.until(|f| matches!(f, Fact::StepStarted { step: Step::BeforeSwitch, .. })).await;
        watched.cx.cancel.cancel("enough");
    };
    let executor = host.executor(&package).build();
    let (report, ()) = tokio::join!(executor.execute(watched.cx.clone(), task), cancel);
    let hosts = report.unwrap().hosts;
    assert_eq!(hosts[0].status, HostStatus::Cancelled, "{hosts:?}");
    assert_eq!(hosts[1].status, HostStatus::NotStarted);
    assert!(!host.dir.path().join("b").exists());
}

/// Kills the program that holds the host's lock, and nothing else.
pub(crate) fn kill_program(host: &Host) {
    signal_program(host, "KILL");
}

pub(crate) fn signal_program(host: &Host, signal: &str) {
    let number = |name: &String| name.strip_prefix("lock.")?.parse::<u64>().ok();
    let lock = host.names(".deploy").iter().filter_map(number).max().unwrap();
    let lock = host.read(&format!(".deploy/lock.{lock}"));
    let pid = lock.lines().find_map(|l| l.strip_prefix("pid ")).unwrap().to_owned();
    assert!(
        std::process::Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status()
            .unwrap()
            .success()
    );
}

/// Connections that break when they are told to.
#[derive(Debug)]
pub(crate) struct Lossy {
    pub(crate) reached: Reached,
    pub(crate) cut: Arc<Notify>,
}

#[async_trait]
impl Connector for Lossy {
    async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError> {
        let session = self.reached.connect(cx, target).await?;
        Ok(Box::new(LossySession { session, cut: Arc::clone(&self.cut) }))
    }
}

#[derive(Debug)]
struct LossySession {
    session: Box<dyn Session>,
    cut: Arc<Notify>,
}

#[async_trait]
impl Session for LossySession {
    async fn run(
        &self,
        cx: Context,
        script: String,
        mut io: CommandIo,
    ) -> Result<Exit, SessionError> {
        let (stdin, theirs) = pipe(1);
        let (stdout, mut said) = pipe(1);
        let run = self.session.run(cx, script, CommandIo::new(theirs, stdout, io.stderr));
        let carry = async move {
            let into = async {
                while let Some(chunk) = io.stdin.read().await {
                    let _ = stdin.write(chunk).await;
                }
                std::future::pending::<()>().await;
            };
            let out = async {
                while let Some(chunk) = said.read().await {
                    let _ = io.stdout.write(chunk).await;
                }
            };
            tokio::select! {
                () = into => false,
                () = out => false,
                () = self.cut.notified() => true,
            }
        };
        // The host goes on by itself, which the test waits for.
        let (ended, cut) = tokio::join!(run, carry);
        if cut { ended.map(|_| Exit::Lost("the test cut it".to_owned())) } else { ended }
    }

    fn local_path(&self, path: &deploy_core::model::HostPath) -> Option<std::path::PathBuf> {
        self.session.local_path(path)
    }
}
