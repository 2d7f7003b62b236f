//! Preparing a task: its hosts, its package, and whether it may start.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::{Driven, Driver};
use crate::engine::batches::batches;
use crate::engine::decide::ending;
use crate::event::Fact;
use crate::failure::{Failure, FailureCode};
use crate::gate::{Answers, GateDecision};
use crate::journal::JournalError;
use crate::model::{
    DeploymentId, DeploymentRequest, HostResult, HostStatus, ReleaseTask, Target, Timestamp,
};
use crate::resolver::fit;
use crate::state::Subject;

/// When a gate that could not be asked is asked again.
const ASK_GATE_AGAIN: Duration = Duration::from_secs(30);

/// How soon a gate is asked again at the earliest, whatever it says.
const ASK_GATE_SOONEST: Duration = Duration::from_secs(1);

/// How old the word that the same gates hold a deployment may become before it is said again.
const SAY_AGAIN: Duration = Duration::from_secs(60 * 60);

/// How often preparing is attempted when its failures may pass. Resolvers and verifiers have tried
/// again themselves by then, so a server that is away this long is reported rather than waited for.
const PREPARE_ATTEMPTS: u32 = 3;

impl Driver {
    pub(super) async fn resolve(&mut self) -> Result<Option<Driven>, JournalError> {
        let subject = &self.book.state().subject;
        let (business, project) = (subject.business().clone(), subject.project().clone());
        let cx = self.context(self.book.state().task.clone());
        let cancel = cx.cancel.clone();
        let resolver = Arc::clone(&self.parts.resolver);
        let resolved = async move { resolver.resolve(cx, business, project).await };
        let Some(resolved) = self.attend(&cancel, resolved).await? else {
            return Ok(Some(self.hand_back()));
        };
        if self.book.state().cancel.is_some() {
            return Ok(None);
        }
        match resolved {
            Ok(targets) => match resolved_facts(&self.book.state().subject, targets) {
                Ok(facts) => {
                    self.book.record(facts).await?;
                    Ok(None)
                }
                Err(failure) => self.fail(failure).await,
            },
            Err(error) => self.fail(Failure::from(&error)).await,
        }
    }

    pub(super) async fn verify(&mut self) -> Result<Option<Driven>, JournalError> {
        let (Subject::Deployment { request, .. }, Some(verifier)) =
            (&self.book.state().subject, self.parts.verifier.clone())
        else {
            let failure = Failure::new(FailureCode::Internal, "the node has no verifier");
            return self.fail(failure).await;
        };
        let source = request.package.clone();
        let cx = self.context(self.book.state().task.clone());
        let cancel = cx.cancel.clone();
        let verified = async move { verifier.verify(cx, source).await };
        let Some(verified) = self.attend(&cancel, verified).await? else {
            return Ok(Some(self.hand_back()));
        };
        if self.book.state().cancel.is_some() {
            return Ok(None);
        }
        match verified {
            Ok(package) => {
                self.book.record(vec![Fact::Verified { package: package.digests }]).await?;
                Ok(None)
            }
            Err(error) => self.fail(Failure::from(&error)).await,
        }
    }

    /// Begins the rollout, when the gates are open.
    pub(super) async fn begin(&mut self) -> Result<Option<Driven>, JournalError> {
        if let Subject::Deployment { id, request } = self.book.state().subject.clone() {
            match self.ask_gates(&id, &request).await? {
                ControlFlow::Break(driven) => return Ok(driven),
                ControlFlow::Continue(GateDecision::Open) => {}
                ControlFlow::Continue(GateDecision::Held { reason, until }) => {
                    return self.hold(reason, until).await;
                }
                ControlFlow::Continue(GateDecision::Refused { reason }) => {
                    return self.fail(Failure::new(FailureCode::GateRefused, reason)).await;
                }
            }
            // Asking may have taken long, and the clock may have been set back.
            let now = self.parts.clock.now();
            if !request.is_due(now) || request.too_late(now).is_some() {
                return Ok(None);
            }
        }
        let (state, now) = (self.book.state(), self.parts.clock.now());
        let open = state.hosts.iter().filter(|host| host.result.is_none());
        let targets: Vec<Target> = open.map(|host| host.target.clone()).collect();
        let (batches, deadline) = match &state.subject {
            Subject::Deployment { request, .. } => match batches(&targets, &request.rollout) {
                Ok(batches) => (batches, Some(now.plus(request.rollout.deadline))),
                Err(failure) => return self.fail(failure).await,
            },
            Subject::Release { .. } if targets.is_empty() => (Vec::new(), None),
            Subject::Release { .. } => (vec![targets.into_iter().map(|t| t.host).collect()], None),
        };
        self.book.record_decision(vec![Fact::RolloutStarted { batches, deadline }]).await?;
        Ok(None)
    }

    /// Asks all gates: what they say together, unless something else comes first.
    async fn ask_gates(
        &mut self,
        id: &DeploymentId,
        request: &DeploymentRequest,
    ) -> Result<ControlFlow<Option<Driven>, GateDecision>, JournalError> {
        let ask_again = self.parts.clock.now().plus(ASK_GATE_AGAIN);
        let decided_on = self.book.state().last;
        let mut answers = Answers::default();
        for gate in self.parts.gates.clone() {
            let cx = self.context(self.book.state().task.clone());
            let cancel = cx.cancel.clone();
            let (id, request) = (id.clone(), request.clone());
            let asked = async move { gate.check(cx, id, request).await };
            let Some(answer) = self.attend(&cancel, asked).await? else {
                return Ok(ControlFlow::Break(Some(self.hand_back())));
            };
            // Somebody who pauses it meanwhile, say, is heeded: it is decided anew.
            if self.book.state().last != decided_on {
                return Ok(ControlFlow::Break(None));
            }
            answers.hear(answer, ask_again);
        }
        Ok(ControlFlow::Continue(answers.decision()))
    }

    /// Lets the task wait for its gates. What is known of it already is not recorded again, so that a
    /// gate that is asked every minute over a weekend leaves no thousand facts behind.
    async fn hold(
        &mut self,
        reason: String,
        until: Timestamp,
    ) -> Result<Option<Driven>, JournalError> {
        let state = self.book.state();
        let too_late_at = match &state.subject {
            Subject::Deployment { request, .. } => request.too_late_at(),
            Subject::Release { .. } => None,
        };
        let until = until.max(self.parts.clock.now().plus(ASK_GATE_SOONEST));
        let until = too_late_at.map_or(until, |at| until.min(at));
        let known = state.hold.as_ref().is_some_and(|hold| {
            let later = hold.until.map(|before| until.since(before));
            hold.reason.as_ref() == Some(&reason) && later.is_some_and(|later| later < SAY_AGAIN)
        });
        let held = known || self.book.record_decision(vec![Fact::Held { reason, until }]).await?;
        Ok(held.then_some(Driven::Until(until)))
    }

    /// Ends the task with a failure, or lets it be tried again where that is worth it.
    async fn fail(&mut self, failure: Failure) -> Result<Option<Driven>, JournalError> {
        if failure.retry.is_worth_it() && self.attempt < PREPARE_ATTEMPTS {
            self.book.record(vec![Fact::AttemptFailed { failure: failure.clone() }]).await?;
            return Ok(Some(Driven::Again(failure)));
        }
        let facts = ending::fail(self.book.state(), failure);
        self.book.record(facts).await?;
        Ok(Some(Driven::Finished))
    }
}

/// The facts of a project's hosts, those that a task is for.
fn resolved_facts(subject: &Subject, targets: Vec<Target>) -> Result<Vec<Fact>, Failure> {
    let targets = fit(targets)?;
    Ok(match subject {
        Subject::Deployment { request, .. } => {
            vec![Fact::Resolved { hosts: request.select(targets)? }]
        }
        Subject::Release { task } => own_hosts(task, &targets),
    })
}

/// The facts of the hosts of an agent's task: its own inventory says how each is reached. One that
/// is not in it has failed.
fn own_hosts(task: &ReleaseTask, targets: &[Target]) -> Vec<Fact> {
    let mut unknown = Vec::new();
    let mut hosts = Vec::new();
    for asked in &task.hosts {
        if let Some(target) = targets.iter().find(|target| target.host == asked.host) {
            hosts.push(target.clone());
            continue;
        }
        let message = "this agent's inventory has no such host for the project";
        let failure = Failure::new(FailureCode::Unresolved, message).with_host(asked.host.clone());
        hosts.push(asked.clone());
        unknown.push(HostResult::failed(asked.host.clone(), HostStatus::Failed, failure));
    }
    let mut facts = vec![Fact::Resolved { hosts }];
    facts.extend(unknown.into_iter().map(|result| Fact::HostFinished { result }));
    facts
}
