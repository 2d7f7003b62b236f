//! The account of a deployment: what it is, how far it has come, and who did what to it, when and why.

use deploy_core::model::{
    DeploymentId, Endpoint, HostName, HostResult, HostStatus, Outcome, RollbackSpec,
    RollbackTarget, Timestamp,
};
use deploy_core::{
    ControlNode, Event, Fact, Failure, HostState, NodeError, Phase, Sequence, Step, Subject,
    TaskState, TaskSummary,
};
use serde::{Deserialize, Serialize};

use crate::advice::{self, Advice};
use crate::deed::Deed;

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
    /// Which deployment it undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rollback: Option<RollbackSpec>,
    /// What its own hosts go back to, or went, once that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) goes_back_to: Option<RollbackTarget>,
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
    /// The hosts that are being done, and how far they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) running: Vec<Running>,
    /// The hosts that have ended, and how.
    pub(crate) results: Vec<HostResult>,
    /// What people did to it.
    pub(crate) deeds: Vec<Deed>,
    /// The last attempt that failed and was made again, while it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<Trouble>,
    /// What else went wrong in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    /// What a person may do now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) next: Vec<Advice>,
}

/// An attempt that failed and was made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    pub(crate) at: Timestamp,
    pub(crate) failure: Failure,
}

impl Trouble {
    fn of(event: &Event) -> Option<Self> {
        match &event.fact {
            Fact::AttemptFailed { failure } => {
                Some(Self { at: event.at, failure: failure.clone() })
            }
            _ => None,
        }
    }
}

/// A host that is being done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) host: HostName,
    /// Its agent, or how else it is reached.
    pub(crate) endpoint: Endpoint,
    /// The step that it is at; none while nothing was heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<Step>,
}

impl Running {
    fn of(host: &HostState) -> Self {
        let HostState { target, step, .. } = host;
        Self { host: target.host.clone(), endpoint: target.endpoint.clone(), step: *step }
    }
}

/// How many hosts are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hosts {
    pub(crate) total: usize,
    /// They serve the release, or are put back where that is what is done.
    pub(crate) done: usize,
    /// They ended otherwise.
    pub(crate) failed: usize,
    /// It ended before their turn: they were not touched.
    #[serde(default)]
    pub(crate) not_started: usize,
    /// They are being done.
    pub(crate) running: usize,
    /// Their turn is still to come.
    pub(crate) left: usize,
}

impl Account {
    /// Reads the account of a deployment from its events.
    pub(crate) async fn read(node: &ControlNode, id: &DeploymentId) -> Result<Self, NodeError> {
        let deployment = node.deployment(id.clone());
        // What is not there is not waited for, nor what comes afterwards.
        let last = deployment.state().await?.last;
        let unknown = || NodeError::Unknown { id: id.into() };
        let (mut fold, mut deeds, mut began_at, mut trouble) = (None, Vec::new(), None, None);
        let mut events = deployment.events(Sequence::START);
        while let Some(event) = events.next().await {
            let event = event?;
            deeds.extend(Deed::of(&event));
            trouble = Trouble::of(&event).or(trouble);
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
        let trouble = trouble.filter(|_| state.outcome.is_none());
        Ok(Self { behind, began_at, deeds, trouble, ..Self::of(summary, &state) })
    }

    fn of(summary: TaskSummary, state: &TaskState) -> Self {
        let request = match &state.subject {
            Subject::Deployment { request, .. } => Some(request),
            _ => None,
        };
        let rollback = request.and_then(|request| request.rollback.clone());
        let own = state.rollback.as_ref().map(|rollback| &rollback.to);
        let goes_back_to = own.or(state.wanted_rollback.as_ref().map(|wanted| &wanted.to));
        let hold = state.hold.clone();
        let until = hold.as_ref().and_then(|hold| hold.until);
        let finished_at = state.outcome.map(|_| state.updated_at);
        let end = finished_at.unwrap_or_else(Timestamp::now);
        Self {
            requested_by: request.and_then(|r| r.requested_by.as_ref().map(ToString::to_string)),
            retry_of: request.and_then(|request| request.retry_of.clone()),
            hosts: Hosts::of(state, rollback.is_some() || own.is_some()),
            rollback,
            goes_back_to: goes_back_to.cloned(),
            reason: reason(state),
            until,
            behind: Vec::new(),
            began_at: None,
            deadline: state.deadline,
            finished_at,
            seconds: end.since(state.accepted_at).as_secs_f64(),
            batches_finished: state.batches_finished,
            batches: state.batches.len(),
            running: state.in_flight().map(Running::of).collect(),
            results: state.results().cloned().collect(),
            deeds: Vec::new(),
            trouble: None,
            failure: state.failure.clone(),
            next: advice::of(state),
            summary,
        }
    }

    /// Its terminal state, when it has reached one.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.summary.outcome
    }

    /// Says whether hosts are put back by it, all that it does or in the end.
    pub(crate) fn is_back(&self) -> bool {
        self.rollback.is_some() || self.goes_back_to.is_some()
    }

    /// Says whether it stands until a person says something.
    pub(crate) fn waits_for_a_person(&self) -> bool {
        let stands = matches!(self.summary.phase, Phase::Paused | Phase::Held);
        stands && self.until.is_none()
    }
}

impl Hosts {
    fn of(state: &TaskState, back: bool) -> Self {
        let aim = if back { HostStatus::RolledBack } else { HostStatus::Succeeded };
        let mut hosts =
            Self { total: state.hosts.len(), running: state.in_flight().len(), ..Self::default() };
        for result in state.results() {
            match result.status {
                status if status == aim => hosts.done += 1,
                HostStatus::NotStarted => hosts.not_started += 1,
                _ => hosts.failed += 1,
            }
        }
        let known = hosts.done + hosts.failed + hosts.not_started + hosts.running;
        hosts.left = hosts.total.saturating_sub(known);
        hosts
    }
}

/// Why a deployment does not go on, or why it is not a success.
fn reason(state: &TaskState) -> Option<String> {
    let being_cancelled = || state.cancel.as_ref().map(|why| format!("being cancelled: {why}"));
    let held = || state.hold.as_ref().and_then(|hold| hold.reason.clone());
    match state.outcome {
        Some(_) => state.cancel.clone().or_else(|| Some(state.failure.as_ref()?.to_string())),
        None => being_cancelled()
            .or_else(|| state.rollback.as_ref().map(|back| back.failure.to_string()))
            .or_else(|| state.wanted_rollback.as_ref().map(|wanted| wanted.by.to_string()))
            .or_else(|| state.stopped.as_ref().map(|stop| format!("stopping: {}", stop.reason)))
            .or_else(held),
    }
}
