//! Planted bugs: a part of the system that breaks a rule, to see that a checker notices.

use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::model::{HostStatus, ReleaseAction, ReleaseReport, ReleaseTask, Target, TaskId};
use deploy_core::{Context, Event, ExecuteError, Executor, Fact, NullObserver};
use deploy_testkit::{HostFlaw, LinkFlaw};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The store forgets an append that it has acknowledged, when the power fails.
    ForgetsAppend,
    /// The queue gives a task to two workers.
    GivesTwice,
    /// The failure budget is ignored.
    IgnoresBudget,
    /// The scheduled time is ignored.
    IgnoresSchedule,
    /// The gates are not asked.
    IgnoresGates,
    /// Hosts are done before that is recorded.
    ActsEarly,
    /// What is known of a task's hosts is forgotten, and they are done again.
    RunsAgain,
    /// A host that went back is sent forward and back again.
    GoesBackAgain,
    /// A host that went back is said to have succeeded.
    CallsBackSuccess,
    /// A flaw of the hosts.
    Hosts(HostFlaw),
    /// A flaw of the network.
    Link(LinkFlaw),
}

impl Flaw {
    /// The flaw of the hosts that goes with it.
    pub(super) fn of_hosts(self) -> Option<HostFlaw> {
        match self {
            Self::Hosts(flaw) => Some(flaw),
            // A host would not do again what it has done.
            Self::RunsAgain => Some(HostFlaw::InstallsAgain),
            _ => None,
        }
    }
}

/// Takes the budget, or the time, out of what a node reads in its journal.
pub(super) fn forget(flaw: Option<Flaw>, event: &mut Event) {
    let Fact::Accepted { request, .. } = &mut event.fact else { return };
    match flaw {
        Some(Flaw::IgnoresBudget) => {
            let budget = &mut request.rollout.failures;
            (budget.batch, budget.total, budget.in_a_row) = (None, None, None);
        }
        Some(Flaw::IgnoresSchedule) => request.not_before = None,
        _ => {}
    }
}

/// An executor with a flaw.
#[derive(Clone, Debug)]
pub(super) struct Flawed<E> {
    pub(super) inner: E,
    pub(super) flaw: Option<Flaw>,
    /// All hosts of the task's project, for one that acts early.
    pub(super) hosts: Arc<dyn AllHosts>,
}

/// Knows all hosts of every project.
pub(super) trait AllHosts: std::fmt::Debug + Send + Sync {
    fn of(&self, task: &ReleaseTask) -> Vec<Target>;
}

#[async_trait]
impl<E: Executor + Clone> Executor for Flawed<E> {
    async fn execute(
        &self,
        mut cx: Context,
        task: ReleaseTask,
    ) -> Result<ReleaseReport, ExecuteError> {
        match (self.flaw, &task.action) {
            (Some(Flaw::RunsAgain), _) => cx.known.clear(),
            (Some(Flaw::ActsEarly), ReleaseAction::Install) => self.act_early(&task),
            (Some(Flaw::GoesBackAgain), ReleaseAction::Rollback { .. }) => {
                let report = self.inner.execute(cx.clone(), task.clone()).await?;
                let quiet = cx.clone().with_observer(Arc::new(NullObserver::default()));
                let again = task.clone().with_action(ReleaseAction::Install);
                let _ = self.inner.execute(quiet.clone(), again).await;
                let _ = self.inner.execute(quiet, task).await;
                return Ok(report);
            }
            (Some(Flaw::CallsBackSuccess), ReleaseAction::Install) => {
                let quiet = cx.clone().with_observer(Arc::new(NullObserver::default()));
                let mut report = self.inner.execute(quiet, task).await?;
                for result in &mut report.hosts {
                    if result.status == HostStatus::RolledBack {
                        result.status = HostStatus::Succeeded;
                    }
                }
                return Ok(report);
            }
            _ => {}
        }
        self.inner.execute(cx, task).await
    }
}

impl<E: Executor + Clone> Flawed<E> {
    /// Hands out, as the part that will perhaps come next, a host that is not in this one.
    fn act_early(&self, task: &ReleaseTask) {
        let is_other = |target: &Target| task.hosts.iter().all(|host| host.host != target.host);
        let Some(other) = self.hosts.of(task).into_iter().find(is_other) else { return };
        let Some((deployment, number)) = task.id.as_str().rsplit_once('.') else { return };
        let Ok(number) = number.parse::<usize>() else { return };
        let id = TaskId::new(format!("{deployment}.{}", number + 1)).unwrap();
        let mut early = task.clone();
        (early.id, early.hosts) = (id.clone(), vec![other]);
        let inner = self.inner.clone();
        tokio::spawn(async move { inner.execute(Context::new(id), early).await });
    }
}
