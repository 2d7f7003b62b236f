//! The account of a deployment: what it is, how far it has come, and who did what to it, when and why.

use deploy_core::model::{
    Actor, DeploymentId, HostName, HostResult, HostStatus, Outcome, Timestamp,
};
use deploy_core::{
    ControlNode, Event, Fact, Failure, NodeError, Phase, Sequence, Subject, TaskState, TaskSummary,
};
use serde::{Deserialize, Serialize};

/// The account of a deployment. Its JSON is what `status --json` and `history --json` give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// The deployment, and how far it has come.
    #[serde(flatten)]
    pub(crate) summary: TaskSummary,
    /// Who filed it, as the request says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requested_by: Option<String>,
    /// Whose hosts it does again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_of: Option<DeploymentId>,
    /// Why it does not go on, or why it is not a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Until when it does not go on; none where it waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Timestamp>,
    /// The deployments of the project that come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) behind: Vec<DeploymentId>,
    /// When its rollout began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) began_at: Option<Timestamp>,
    /// When its rollout has to be over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<Timestamp>,
    /// Seconds from its acceptance to its end, or up to now.
    pub(crate) seconds: f64,
    /// How many batches are done, and how many there are once that is known.
    pub(crate) batches_finished: u32,
    pub(crate) batches: usize,
    /// How its hosts are.
    pub(crate) hosts: Hosts,
    /// The hosts that have ended, and how.
    pub(crate) results: Vec<HostResult>,
    /// What people did to it.
    pub(crate) deeds: Vec<Deed>,
    /// What else went wrong in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
}

/// How many hosts are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hosts {
    pub(crate) total: usize,
    /// They serve the release.
    pub(crate) done: usize,
    /// They ended otherwise, those that were never touched among them.
    pub(crate) failed: usize,
    /// They are being done.
    pub(crate) running: usize,
    /// Their turn is still to come.
    pub(crate) left: usize,
}

/// Something that a person did to a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deed {
    pub(crate) at: Timestamp,
    /// What, by the name of its fact.
    pub(crate) what: String,
    pub(crate) who: String,
    pub(crate) why: String,
    /// The host that it is about, or the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<String>,
}

impl Deed {
    fn of(event: &Event) -> Option<Self> {
        let (by, object) = match &event.fact {
            Fact::Paused { by } | Fact::Resumed { by, .. } | Fact::Promoted { by } => (by, None),
            Fact::Retried { by, hosts } => {
                let hosts: Vec<_> = hosts.iter().map(HostName::as_str).collect();
                (by, Some(hosts.join(", ")))
            }
            Fact::Skipped { by, host } => (by, Some(host.to_string())),
            Fact::Extended { by, deadline } => (by, Some(deadline.to_string())),
            Fact::CancelRequested { reason, who } => {
                (&Actor::new(who.clone().unwrap_or_default(), reason), None)
            }
            _ => return None,
        };
        let (who, why) = (by.who.clone(), by.why.clone());
        Some(Self { at: event.at, what: event.fact.name().to_owned(), who, why, object })
    }
}

impl Account {
    /// Reads the account of a deployment from its events.
    pub(crate) async fn read(node: &ControlNode, id: &DeploymentId) -> Result<Self, NodeError> {
        let deployment = node.deployment(id.clone());
        // What is not there is not waited for, nor what comes afterwards.
        let last = deployment.state().await?.last;
        let unknown = || NodeError::Unknown { id: id.into() };
        let (mut fold, mut deeds, mut began_at) = (None, Vec::new(), None);
        let mut events = deployment.events(Sequence::START);
        while let Some(event) = events.next().await {
            let event = event?;
            deeds.extend(Deed::of(&event));
            if matches!(event.fact, Fact::RolloutStarted { .. }) {
                began_at = Some(event.at);
            }
            match &mut fold {
                None => fold = TaskSummary::of(&event).zip(TaskState::of(&event)),
                Some((summary, state)) => {
                    summary.apply(&event);
                    state.apply(&event);
                }
            }
            if event.sequence >= last {
                break;
            }
        }
        let (summary, state) = fold.ok_or_else(unknown)?;
        let behind = deployment.line().await?;
        Ok(Self { behind, began_at, deeds, ..Self::of(summary, &state) })
    }

    fn of(summary: TaskSummary, state: &TaskState) -> Self {
        let request = match &state.subject {
            Subject::Deployment { request, .. } => Some(request),
            _ => None,
        };
        let served = |result: &&HostResult| result.status == HostStatus::Succeeded;
        let done = state.results().filter(served).count();
        let (total, failed) = (state.hosts.len(), state.unsuccessful().len());
        let running = state.in_flight().len();
        let left = total.saturating_sub(done + failed + running);
        let hold = state.hold.clone();
        let until = hold.as_ref().and_then(|hold| hold.until);
        let finished_at = state.outcome.map(|_| state.updated_at);
        let end = finished_at.unwrap_or_else(Timestamp::now);
        Self {
            requested_by: request.and_then(|r| r.requested_by.as_ref().map(ToString::to_string)),
            retry_of: request.and_then(|request| request.retry_of.clone()),
            reason: reason(state),
            until,
            behind: Vec::new(),
            began_at: None,
            deadline: state.deadline,
            finished_at,
            seconds: end.since(state.accepted_at).as_secs_f64(),
            batches_finished: state.batches_finished,
            batches: state.batches.len(),
            hosts: Hosts { total, done, failed, running, left },
            results: state.results().cloned().collect(),
            deeds: Vec::new(),
            failure: state.failure.clone(),
            summary,
        }
    }

    /// Its terminal state, when it has reached one.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.summary.outcome
    }

    /// Says whether it stands until a person says something.
    pub(crate) fn waits_for_a_person(&self) -> bool {
        let stands = matches!(self.summary.phase, Phase::Paused | Phase::Held);
        stands && self.until.is_none()
    }
}

/// Why a deployment does not go on, or why it is not a success.
fn reason(state: &TaskState) -> Option<String> {
    let being_cancelled = || state.cancel.as_ref().map(|why| format!("being cancelled: {why}"));
    let held = || state.hold.as_ref().and_then(|hold| hold.reason.clone());
    match state.outcome {
        Some(_) => state.cancel.clone().or_else(|| Some(state.failure.as_ref()?.to_string())),
        None => being_cancelled()
            .or_else(|| state.stopped.as_ref().map(|stop| format!("stopping: {}", stop.reason)))
            .or_else(held),
    }
}
