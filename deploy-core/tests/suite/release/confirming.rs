//! Releases that have to be confirmed over a new connection, or the host goes back by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{HostResult, HostStatus, ReleaseTask, Target};
use deploy_core::{
    ConnectError, Connector, Context, Executor, Fact, FailureCode, ReleaseExecutor, Session, Step,
};
use tokio::sync::{Notify, Semaphore};

use super::fixture::{Host, Package, Reached, Watched, hook, one};
use super::stopping::{Lossy, signal_program};

/// The first connection breaks when it is told to; later ones come about as far as there are permits.
#[derive(Clone, Debug)]
struct Network {
    first: Arc<Lossy>,
    cut: Arc<Notify>,
    later: Arc<Semaphore>,
    sessions: Arc<AtomicUsize>,
}

impl Network {
    fn of(host: &Host, permits: usize) -> Self {
        let reached = Reached { connector: host.connector.clone(), in_process: host.in_process };
        let cut = Arc::new(Notify::new());
        Self {
            first: Arc::new(Lossy { reached, cut: Arc::clone(&cut) }),
            cut,
            later: Arc::new(Semaphore::new(permits)),
            sessions: Arc::default(),
        }
    }

    /// Waits until another connection is wanted: the host has said that it waits.
    async fn until_the_second(&self) {
        while self.sessions.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Connector for Network {
    async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError> {
        if self.sessions.fetch_add(1, Ordering::SeqCst) == 0 {
            return self.first.connect(cx, target).await;
        }
        self.later.acquire().await.unwrap().forget();
        self.first.reached.connect(cx, target).await
    }
}

/// A host that serves d1, and the task to bring d2 to it within a window.
async fn second(host: &Host, window: u64) -> (Package, ReleaseTask) {
    let (first, package) = (Package::version("one"), Package::version("two"));
    host.deploy(&first, &host.task("d1", 1, &first)).await;
    let mut task = host.task("d2", 2, &package);
    task.release.confirm = Some(Duration::from_secs(window));
    task.release.hooks.after_switch = vec![hook("echo \"hook in $DEPLOY_RELEASE\"")];
    (package, task)
}

async fn done(
    package: &Package,
    task: &ReleaseTask,
    network: &Network,
    watched: &Watched,
) -> HostResult {
    let executor =
        ReleaseExecutor::builder(network.clone(), package.verifier()).free_space(0).build();
    one(executor.execute(watched.cx.clone(), task.clone()).await.unwrap())
}

async fn until_confirming(watched: &Watched) {
    watched.until(|f| matches!(f, Fact::StepStarted { step: Step::Confirm, .. })).await;
}

on_every_host! {
    a_release_that_is_confirmed_over_a_new_connection_is_served(host) {
        let (package, task) = second(&host, 600).await;
        let (network, watched) = (Network::of(&host, 9), Watched::new(&task));
        let result = done(&package, &task, &network, &watched).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!((network.sessions.load(Ordering::SeqCst), host.read("current/version").as_str()), (2, "two"));
        let steps = ["+confirm", "-confirm", "+prune", "-prune"].map(str::to_owned);
        assert!(watched.steps().ends_with(&steps), "{:?}", watched.steps());
        assert!(host.read(".deploy/marks/d2").contains("state good"));
        host.assert_tidy();
    }

    without_a_confirmation_the_host_goes_back(host) {
        let (package, task) = second(&host, 5).await;
        let (network, watched) = (Network::of(&host, 0), Watched::new(&task));
        let result = done(&package, &task, &network, &watched).await;
        assert_eq!((result.status, result.serves.unwrap().as_str()), (HostStatus::RolledBack, "d1"));
        let failure = result.failure.unwrap();
        assert_eq!((failure.code, failure.step), (FailureCode::Unconfirmed, Some(Step::Confirm)));
        assert_eq!(watched.output(), "hook in d2\nhook in d1\n");
        assert_eq!(host.read("current/version"), "one");
        host.assert_tidy();
    }

    a_confirmation_counts_although_the_first_connection_is_lost(host) {
        let (package, task) = second(&host, 600).await;
        let (network, watched) = (Network::of(&host, 0), Watched::new(&task));
        let cut = async {
            network.until_the_second().await;
            network.cut.notify_one();
            network.later.add_permits(1);
        };
        let (result, ()) = tokio::join!(done(&package, &task, &network, &watched), cut);
        assert_eq!((result.status, result.serves.as_ref().unwrap().as_str()), (HostStatus::Succeeded, "d2"), "{result:?}");
        assert_eq!(host.read("current/version"), "two");
        host.assert_tidy();
    }

    a_host_that_nobody_is_there_for_any_more_goes_back_by_itself(host) {
        let (package, task) = second(&host, 5).await;
        let (network, watched) = (Network::of(&host, 0), Watched::new(&task));
        let gone = async {
            network.until_the_second().await;
            network.cut.notify_one();
            while host.history().len() < 2 || !host.is_unlocked() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let result = tokio::select! {
            result = done(&package, &task, &network, &watched) => Some(result),
            () = gone => None,
        };
        assert_eq!(result, None);
        host.until_nothing_runs().await;
        assert_eq!(host.read("current/version"), "one");
        let line = host.history().pop().unwrap();
        assert_eq!((&line["outcome"], &line["failure"]), (&"rolled_back".into(), &"unconfirmed".into()));
        host.assert_tidy();
    }

    a_cancel_ends_the_wait_at_once(host) {
        let (package, task) = second(&host, 600).await;
        let (network, watched) = (Network::of(&host, 0), Watched::new(&task));
        let cancel = async {
            until_confirming(&watched).await;
            watched.cx.cancel.cancel("enough");
        };
        let (result, ()) = tokio::join!(done(&package, &task, &network, &watched), cancel);
        assert_eq!((result.status, result.serves.unwrap().as_str()), (HostStatus::Cancelled, "d1"));
        assert_eq!(result.failure.unwrap().message, "enough");
        assert_eq!(watched.output(), "hook in d2\nhook in d1\n");
        host.assert_tidy();
    }

    signals_of_a_session_that_dies_do_not_count_meanwhile(host) {
        let (package, task) = second(&host, 600).await;
        let (network, watched) = (Network::of(&host, 0), Watched::new(&task));
        let signal = async {
            network.until_the_second().await;
            for name in ["HUP", "TERM", "INT"] {
                signal_program(&host, name);
            }
            network.later.add_permits(1);
        };
        let (result, ()) = tokio::join!(done(&package, &task, &network, &watched), signal);
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        host.assert_tidy();
    }
}

#[tokio::test]
async fn a_word_that_proves_nothing_confirms_nothing() {
    let host = Host::new("dash", false);
    let (package, task) = second(&host, 5).await;
    let (network, watched) = (Network::of(&host, 0), Watched::new(&task));
    let forge = async {
        until_confirming(&watched).await;
        for name in host.names(".deploy").iter().filter(|name| name.starts_with("work.")) {
            std::fs::write(host.root.join(".deploy").join(name).join("confirm"), "yes\n").unwrap();
        }
    };
    let (result, ()) = tokio::join!(done(&package, &task, &network, &watched), forge);
    assert_eq!(result.failure.unwrap().code, FailureCode::Unconfirmed);
}
