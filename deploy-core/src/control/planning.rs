//! Making a plan of a request, and applying it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{ControlNode, Deployment};
use crate::context::Context;
use crate::engine::{NodeError, Parts, batches, together};
use crate::failure::{Failure, FailureCode};
use crate::gate::{Answers, GateDecision};
use crate::model::{
    DeploymentId, DeploymentRequest, HostFound, HostName, PackageDigests, ReleaseAction,
    ReleaseTask, Target, TaskId,
};
use crate::plan::{Drift, Plan, PlannedHost, hooks};
use crate::resolver::fit;
use crate::state::Subject;

/// How long a plan may be applied.
const VALID: Duration = Duration::from_secs(12 * 60 * 60);

impl ControlNode {
    /// Says what a request would do, and does nothing of it: its hosts are resolved, its package is
    /// fetched and checked, its gates are asked, its batches are cut, and every host is looked at, over
    /// whatever reaches it.
    ///
    /// A host that cannot be looked at is in the plan with the reason. An agent records the look as a
    /// task that changed nothing.
    ///
    /// # Errors
    ///
    /// `Invalid` as for [`submit`](Self::submit); `Unplannable` when hosts or package cannot be had;
    /// `Storage`.
    ///
    /// Cancel safety: safe.
    pub async fn plan(&self, request: DeploymentRequest) -> Result<Plan, NodeError> {
        self.judge(&request).await?;
        Survey::of(self.engine.parts(), request).make().await
    }

    /// Files the request of a plan, when everything is as it was planned: the package, the hosts and how
    /// they are reached, the batches, and what each host serves and has. Gates, free space and locks are
    /// not compared: they are asked when the rollout begins.
    ///
    /// A plan that was applied before is the same deployment.
    ///
    /// # Errors
    ///
    /// `Drifted` with all that has changed, also when the plan is too old; those of
    /// [`plan`](Self::plan) and [`submit`](Self::submit).
    ///
    /// Cancel safety: as for [`submit`](Self::submit).
    pub async fn apply(&self, plan: Plan) -> Result<Deployment, NodeError> {
        let Some(id) = plan.deployment().cloned() else {
            let drift = Drift::new("request.id", "an id", "none");
            return Err(NodeError::Drifted { drifts: vec![drift] });
        };
        match self.engine.state(&TaskId::from(&id)).await {
            Ok(_) => return self.submit(plan.request).await,
            Err(NodeError::Unknown { .. }) => {}
            Err(error) => return Err(error),
        }
        if let Some(stale) = plan.stale(self.engine.now()) {
            return Err(NodeError::Drifted { drifts: vec![stale] });
        }
        let now = self.plan(plan.request.clone()).await?;
        let drifts = plan.drifts(&now);
        if !drifts.is_empty() {
            return Err(NodeError::Drifted { drifts });
        }
        self.submit(plan.request).await
    }
}

/// What a request would do, while it is found out.
struct Survey<'a> {
    parts: &'a Parts,
    request: DeploymentRequest,
    id: DeploymentId,
    task: TaskId,
}

impl<'a> Survey<'a> {
    fn of(parts: &'a Parts, request: DeploymentRequest) -> Self {
        let id = request.id.clone().unwrap_or_else(DeploymentId::generate);
        // No other task is called so, also when the same request is planned again.
        let fence = parts.fences.next(parts.clock.now());
        let task = TaskId::from(&id).unrecorded("plan", fence);
        Self { parts, request: request.with_id(id.clone()), id, task }
    }

    async fn make(mut self) -> Result<Plan, NodeError> {
        let made_at = self.parts.clock.now();
        let unplannable = |failure| NodeError::Unplannable { failure: Box::new(failure) };
        let targets = self.targets().await.map_err(unplannable)?;
        let package = self.package().await.map_err(unplannable)?;
        if let Some(found) = &package {
            self.request.package = self.request.package.pinned(found);
        }
        let batches = batches(&targets, &self.request.rollout).map_err(unplannable)?;
        let (refused, waits_for) = self.start().await?;
        let mut found = self.look(&targets).await;
        let unheard = || Err(Failure::new(FailureCode::Unknown, "nothing was heard of it"));
        let host = |target: Target| {
            let found = found.remove(&target.host).unwrap_or_else(unheard);
            PlannedHost::new(target, found, &self.request, package.as_ref())
        };
        let hosts = targets.into_iter().map(host).collect();
        Ok(Plan {
            made_at,
            valid_until: made_at.plus(VALID),
            package,
            waits_for,
            refused,
            batches,
            hosts,
            hooks: hooks(&self.request),
            request: self.request,
        })
    }

    fn context(&self) -> Context {
        Context::new(self.task.clone())
    }

    async fn targets(&self) -> Result<Vec<Target>, Failure> {
        let (business, project) = (self.request.business.clone(), self.request.project.clone());
        let resolved = self.parts.resolver.resolve(self.context(), business, project).await;
        self.request.select(fit(resolved.map_err(|error| Failure::from(&error))?)?)
    }

    async fn package(&self) -> Result<Option<PackageDigests>, Failure> {
        let Some(verifier) =
            self.parts.verifier.as_ref().filter(|_| self.request.rollback.is_none())
        else {
            return Ok(None);
        };
        let verified = verifier.verify(self.context(), self.request.package.clone()).await;
        verified.map(|package| Some(package.digests)).map_err(|error| Failure::from(&error))
    }

    /// Why a gate would refuse it, and why it would not begin at once.
    async fn start(&self) -> Result<(Option<String>, Vec<String>), NodeError> {
        let now = self.parts.clock.now();
        let mut waits_for = Vec::new();
        if let Some(due) = self.request.not_before.filter(|_| !self.request.is_due(now)) {
            waits_for.push(format!("its time, {due}"));
        }
        let mut answers = Answers::default();
        for gate in &self.parts.gates {
            let answer = gate.check(self.context(), self.id.clone(), self.request.clone()).await;
            answers.hear(answer, now);
        }
        let refused = match answers.decision() {
            GateDecision::Open => None,
            GateDecision::Held { reason, .. } => {
                waits_for.push(reason);
                None
            }
            GateDecision::Refused { reason } => Some(reason),
        };
        let request = Box::new(self.request.clone());
        let subject = Subject::Deployment { id: self.id.clone(), request };
        let before = self.parts.line_of_new(&subject).await?;
        waits_for.extend(before.iter().map(|other| format!("the deployment {other}")));
        Ok((refused, waits_for))
    }

    /// What each host has.
    async fn look(&self, targets: &[Target]) -> HashMap<HostName, Result<HostFound, Failure>> {
        let mut looks = JoinSet::new();
        for (number, hosts) in together(targets.to_vec()).into_iter().enumerate() {
            let task = self.task.part(number);
            let (id, package) = (self.id.clone(), self.request.package.clone());
            let fence = self.parts.fences.next(self.parts.clock.now());
            let inspect = ReleaseTask::new(task, id, &self.request, package, hosts, fence)
                .with_action(ReleaseAction::Inspect);
            let (executor, cx) = (Arc::clone(&self.parts.executor), self.context());
            looks.spawn(async move {
                let hosts: Vec<_> = inspect.hosts.iter().map(|t| t.host.clone()).collect();
                (hosts, executor.execute(cx, inspect).await)
            });
        }
        let mut found = HashMap::new();
        while let Some(looked) = looks.join_next().await {
            // A look that panicked says nothing of its hosts.
            let Ok((hosts, looked)) = looked else { continue };
            match looked {
                Ok(report) => found.extend(report.hosts.into_iter().map(|result| {
                    let silent = || Failure::new(FailureCode::Unknown, "it was not looked at");
                    let failure = result.failure.unwrap_or_else(silent);
                    (result.host, result.found.map(|found| *found).ok_or(failure))
                })),
                Err(error) => {
                    let failure = Failure::from(&error);
                    found.extend(hosts.into_iter().map(|host| (host, Err(failure.clone()))));
                }
            }
        }
        found
    }
}
