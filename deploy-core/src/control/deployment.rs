//! The handle of a deployment: asking after it, following it, and what a person may do to it.

use std::sync::Arc;

use super::follow::{retry_of, rollback_of};
use crate::engine::{Accepted, Engine, EventStream, NodeError, Wish};
use crate::event::{Fact, Sequence};
use crate::model::{Actor, DeploymentId, HostName, RollbackTarget, TaskId, Timestamp};
use crate::report::DeploymentReport;
use crate::state::TaskState;

/// The handle of a deployment.
///
/// # What a person may do to it
///
/// Every verb takes who and why (an [`Actor`], or a text that says why), which is recorded. Each may
/// be said again: what is so already is left as it is, and nothing is recorded. Where a verb makes no
/// sense, [`NodeError::NotNow`] names the state. A deployment that another process is working on, over
/// the same journal and queue, heeds it within a third of a lease, or within a minute where it stands.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub(super) engine: Arc<Engine>,
    pub(super) task: TaskId,
    pub(super) id: DeploymentId,
}

impl Deployment {
    pub(super) fn new(engine: Arc<Engine>, id: DeploymentId) -> Self {
        Self { engine, task: TaskId::from(&id), id }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &DeploymentId {
        &self.id
    }

    /// How far it has come.
    ///
    /// # Errors
    ///
    /// `Unknown`, `Storage`.
    pub async fn state(&self) -> Result<TaskState, NodeError> {
        self.engine.state(&self.task).await
    }

    /// The unfinished deployments of its project that come before it, the first first; none once its
    /// rollout has begun. Those that wait for their scheduled time or are held by a gate let others
    /// pass.
    ///
    /// # Errors
    ///
    /// `Unknown`, `Storage`.
    pub async fn line(&self) -> Result<Vec<DeploymentId>, NodeError> {
        self.engine.line(&self.task).await
    }

    /// Its events after a number, those that are recorded and those to come, up to its end. Begin
    /// with [`Sequence::START`]; go on after a break with the number of the last event seen. What is
    /// recorded comes again after a restart: whoever acts on events looks at [`state`](Self::state)
    /// first, which says whether it still stands as the event has it. A deployment that is not there
    /// is waited for, whereas `state` says so.
    #[must_use]
    pub fn events(&self, after: Sequence) -> EventStream {
        self.engine.events(&self.task, after)
    }

    /// Waits for its end, also while it is paused or held until a person says something: `events` and
    /// `state` tell that. Cancel safety: safe.
    ///
    /// # Errors
    ///
    /// `Unknown`, `Storage`.
    pub async fn wait(&self) -> Result<DeploymentReport, NodeError> {
        let mut state = self.state().await?;
        let mut events = self.events(state.last);
        while state.outcome.is_none() {
            match events.next().await {
                Some(event) => state.apply(&event?),
                None => break,
            }
        }
        DeploymentReport::of(&state).ok_or(NodeError::Unknown { id: self.task.clone() })
    }

    /// Cancels it: no further host is started, hosts that are being done are stopped where they stay
    /// whole, and it ends as cancelled unless every host serves the release by then. Hosts that
    /// already serve it keep it. Doing so again, or after its end, changes nothing.
    ///
    /// # Errors
    ///
    /// `Unknown`, `Storage`.
    pub async fn cancel(&self, by: impl Into<Actor> + Send) -> Result<(), NodeError> {
        self.engine.cancel(&self.task, by.into()).await
    }

    /// Pauses it, wherever it is: nothing new starts. Hosts that have begun come to their end; parts
    /// that were handed out and are not known to have begun are taken back, and have their turn again
    /// when it goes on. Another deployment of the project passes it only while it has not begun.
    ///
    /// # Errors
    ///
    /// `NotNow` when it is finished, or about to be; `Unknown`, `Storage`.
    pub async fn pause(&self, by: impl Into<Actor> + Send) -> Result<(), NodeError> {
        self.engine.intervene(&self.task, &Wish::Pause, by.into()).await
    }

    /// Lets it go on after a pause; changes nothing when it is at work. Where it had paused by itself,
    /// because its failure budget was passed, the hosts that failed so far count no more, and stay
    /// failed.
    ///
    /// # Errors
    ///
    /// `NotNow` when it is finished, or about to be, or when hosts are still being stopped; `Unknown`,
    /// `Storage`.
    pub async fn resume(&self, by: impl Into<Actor> + Send) -> Result<(), NodeError> {
        self.engine.intervene(&self.task, &Wish::Resume, by.into()).await
    }

    /// Promotes its canary: the rest follows, also where it was held for a time.
    ///
    /// # Errors
    ///
    /// `NotNow` when it has no canary, when that is not done yet, when it is finished, or about to be;
    /// `Unknown`, `Storage`.
    pub async fn promote(&self, by: impl Into<Actor> + Send) -> Result<(), NodeError> {
        self.engine.intervene(&self.task, &Wish::Promote, by.into()).await
    }

    /// Goes on without a host: one that was not touched is left alone, one that failed counts no more.
    /// The deployment cannot succeed any more, because not every host will serve the release. It does
    /// not end a pause.
    ///
    /// # Errors
    ///
    /// `NotNow` when it has no such host, when that is being done or serves the release, when it is
    /// finished, or about to be; `Unknown`, `Storage`.
    pub async fn skip(&self, host: HostName, by: impl Into<Actor> + Send) -> Result<(), NodeError> {
        self.engine.intervene(&self.task, &Wish::Skip(host), by.into()).await
    }

    /// Gives its rollout until `deadline`. An earlier time than it has anyhow changes nothing.
    ///
    /// # Errors
    ///
    /// `NotNow` when its rollout has not begun, when its deadline has passed, when it is finished, or
    /// about to be; `Unknown`, `Storage`.
    pub async fn extend(
        &self,
        deadline: Timestamp,
        by: impl Into<Actor> + Send,
    ) -> Result<(), NodeError> {
        self.engine.intervene(&self.task, &Wish::Extend(deadline), by.into()).await
    }

    /// Does the hosts again that failed, and gives the deployment that does it.
    ///
    /// While it is paused, by a person or by its failure budget, that is this one: the failed hosts
    /// have another turn, and it goes on. After its end it is a new one, of the same request, for
    /// those hosts alone that do not serve the release, the skipped ones aside; its id is that of this
    /// one with `-retry1` behind it (then `-retry2`, and so on), and its request names this one in
    /// `retry_of`. Asked for again it is the same one.
    ///
    /// # Errors
    ///
    /// `NotNow` when it is at work and not paused, when none of its hosts has failed, or when they are
    /// still being stopped; after its end those of `submit` too; `Unknown`, `Storage`.
    pub async fn retry_failed(&self, by: impl Into<Actor> + Send) -> Result<Self, NodeError> {
        let by = by.into();
        let state = self.state().await?;
        let Some(retry) = retry_of(&state)? else {
            self.engine.intervene(&self.task, &Wish::RetryFailed, by).await?;
            return Ok(self.clone());
        };
        let hosts = retry.hosts.clone();
        let retried = Fact::Retried { by: by.cleaned(), hosts };
        let (Accepted::New | Accepted::Known, id) =
            super::submit(&self.engine, retry, vec![retried]).await?;
        Ok(Self::new(Arc::clone(&self.engine), id))
    }

    /// Puts its hosts back, all that serve its release or may, and gives the deployment that does it.
    /// Each goes back to a release that it has: nothing is fetched or sent.
    ///
    /// While it is unfinished, that is this one: nothing new starts, what runs comes to its end, and
    /// then the hosts go back, in the batches of its rollout, without pauses, and whether or not some of
    /// them cannot. It ends as rolled back when all of them did, and as failed otherwise. After its end it
    /// is a new one, for those hosts alone; its id is that of this one with `-rollback1` behind it, and its
    /// request names this one in `rollback`. Asked for again it is the same one.
    ///
    /// # Errors
    ///
    /// `NotNow` when its rollout has not begun, when it is being cancelled, goes back to something else
    /// or undoes another deployment itself, when none of its hosts serves its release; after its end
    /// those of `submit` too; `Unknown`, `Storage`.
    pub async fn roll_back(
        &self,
        to: RollbackTarget,
        by: impl Into<Actor> + Send,
    ) -> Result<Self, NodeError> {
        let by = by.into();
        let state = self.state().await?;
        let Some(rollback) = rollback_of(&state, to.clone())? else {
            self.engine.intervene(&self.task, &Wish::RollBack(to), by).await?;
            return Ok(self.clone());
        };
        let filed = Fact::RollbackFiled { by: by.cleaned() };
        let (Accepted::New | Accepted::Known, id) =
            super::submit(&self.engine, rollback, vec![filed]).await?;
        Ok(Self::new(Arc::clone(&self.engine), id))
    }

    /// Asks its gates again now, when something has changed, such as an approval that was given; one
    /// that waits for its scheduled time goes on waiting. Changes nothing when it has begun or ended,
    /// nor while its gates are being asked: they are asked again when they said so.
    ///
    /// # Errors
    ///
    /// `Unknown`, `Storage`.
    pub async fn recheck(&self) -> Result<(), NodeError> {
        self.engine.recheck(&self.task).await
    }
}
