//! Carries out, for one task, what [`decide`] says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::batches::batches;
use super::book::Book;
use super::decide::{Next, decide};
use super::node::Parts;
use super::progress::Progress;
use crate::cancel::CancelToken;
use crate::context::Context;
use crate::event::Fact;
use crate::executor::{ExecuteError, Executor};
use crate::failure::{Failure, FailureCode};
use crate::gate::GateDecision;
use crate::journal::JournalError;
use crate::model::{
    Fence, HostName, HostResult, HostStatus, Outcome, ReleaseReport, ReleaseTask, Target, TaskId,
    Timestamp,
};
use crate::state::{Subject, TaskState};

/// When a gate that could not be asked is asked again.
const ASK_GATE_AGAIN: Duration = Duration::from_secs(30);

/// How often an executor that lost a task is asked again what became of it.
const ASK_LOST_AGAIN: u32 = 3;

/// How often preparing is attempted when its failures may pass. Resolvers and verifiers have tried
/// again themselves by then, so a server that is away this long is reported rather than waited for.
const PREPARE_ATTEMPTS: u32 = 3;

/// What came of driving a task.
#[derive(Debug)]
pub(super) enum Driven {
    /// It has reached its terminal state.
    Finished,
    /// It goes on at a time.
    Until(Timestamp),
    /// It goes on in another attempt, because of a failure that may pass.
    Again(Failure),
    /// It is handed back, because the node shuts down or the lease was lost.
    HandedBack,
}

/// When the driver of a task has to let go.
#[derive(Clone, Debug, Default)]
pub(super) struct Leash {
    /// Nothing new is started; what runs is waited for.
    pub(super) stop: CancelToken,
    /// What runs is let go as well.
    pub(super) abort: CancelToken,
    /// Somebody else has recorded something for the task.
    pub(super) refresh: Arc<Notify>,
}

/// The driver of one task.
#[derive(Debug)]
pub(super) struct Driver {
    parts: Arc<Parts>,
    book: Book,
    leash: Leash,
    attempt: u32,
    progress: Progress,
    running: JoinSet<Result<ReleaseReport, ExecuteError>>,
    parts_running: HashMap<tokio::task::Id, TaskId>,
    cancels: BTreeMap<TaskId, CancelToken>,
}

impl Driver {
    pub(super) fn new(parts: Arc<Parts>, book: Book, leash: Leash, attempt: u32) -> Self {
        Self {
            parts,
            book,
            leash,
            attempt,
            progress: Progress::default(),
            running: JoinSet::new(),
            parts_running: HashMap::new(),
            cancels: BTreeMap::new(),
        }
    }

    /// Drives the task until it is finished, has to wait, or has to be let go.
    pub(super) async fn drive(mut self) -> Result<Driven, JournalError> {
        if self.attempt > self.parts.config.max_attempts {
            return self.give_up().await;
        }
        loop {
            if self.leash.abort.is_cancelled() {
                return Ok(Driven::HandedBack);
            }
            self.record_progress().await?;
            let running: BTreeSet<TaskId> = self.cancels.keys().cloned().collect();
            let next = decide(self.book.state(), self.parts.clock.now(), &running);
            let over = matches!(next, Next::Nothing | Next::Finish(_) | Next::Await { .. });
            if self.leash.stop.is_cancelled() && !over {
                if self.running.is_empty() {
                    return Ok(Driven::HandedBack);
                }
                self.wait(false).await?;
                continue;
            }
            if let Some(driven) = self.carry_out(next).await? {
                return Ok(driven);
            }
        }
    }

    async fn carry_out(&mut self, next: Next) -> Result<Option<Driven>, JournalError> {
        match next {
            Next::Nothing => return Ok(Some(Driven::Finished)),
            Next::Resolve => return self.resolve().await,
            Next::Verify => return self.verify().await,
            Next::WaitUntil(until) => {
                let known = self
                    .book
                    .state()
                    .hold
                    .as_ref()
                    .is_some_and(|hold| hold.until == until);
                if known
                    || self
                        .book
                        .record_decision(vec![Fact::Waiting { until }])
                        .await?
                {
                    return Ok(Some(Driven::Until(until)));
                }
            }
            Next::AskGates => return self.ask_gates().await,
            Next::StartBatch(batch) => {
                self.book
                    .record_decision(vec![Fact::BatchStarted { batch }])
                    .await?;
            }
            Next::FinishBatch(batch) => {
                self.book
                    .record_decision(vec![Fact::BatchFinished { batch }])
                    .await?;
            }
            Next::Dispatch { number, hosts } => self.dispatch(number, hosts).await?,
            Next::Resume { number } => self.resume(number),
            Next::Await { cancel } => self.wait(cancel).await?,
            Next::Finish(facts) => {
                self.book.record_decision(facts).await?;
            }
        }
        Ok(None)
    }

    async fn resolve(&mut self) -> Result<Option<Driven>, JournalError> {
        let (business, project) = {
            let subject = &self.book.state().subject;
            (subject.business().clone(), subject.project().clone())
        };
        let cx = self.context(self.book.state().task.clone());
        let cancel = cx.cancel.clone();
        let resolver = Arc::clone(&self.parts.resolver);
        let resolved = async move { resolver.resolve(cx, business, project).await };
        let Some(resolved) = self.attend(&cancel, resolved).await? else {
            return Ok(Some(Driven::HandedBack));
        };
        if self.book.state().cancel.is_some() {
            return Ok(None);
        }
        match resolved {
            Ok(targets) => {
                let facts = resolved_facts(&self.book.state().subject, targets);
                self.book.record(facts).await?;
                Ok(None)
            }
            Err(error) => self.fail(Failure::from(&error)).await,
        }
    }

    async fn verify(&mut self) -> Result<Option<Driven>, JournalError> {
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
            return Ok(Some(Driven::HandedBack));
        };
        if self.book.state().cancel.is_some() {
            return Ok(None);
        }
        match verified {
            Ok(package) => {
                self.book
                    .record(vec![Fact::Verified {
                        package: package.digests,
                    }])
                    .await?;
                Ok(None)
            }
            Err(error) => self.fail(Failure::from(&error)).await,
        }
    }

    async fn ask_gates(&mut self) -> Result<Option<Driven>, JournalError> {
        let now = self.parts.clock.now();
        if let Subject::Deployment { id, request } = self.book.state().subject.clone() {
            for gate in self.parts.gates.clone() {
                let cx = self.context(self.book.state().task.clone());
                let cancel = cx.cancel.clone();
                let (id, request) = (id.clone(), (*request).clone());
                let asked = async move { gate.check(cx, id, request).await };
                let Some(decision) = self.attend(&cancel, asked).await? else {
                    return Ok(Some(Driven::HandedBack));
                };
                if self.book.state().cancel.is_some() {
                    return Ok(None);
                }
                let (reason, until) = match decision {
                    Ok(GateDecision::Open) => continue,
                    Ok(GateDecision::Held { reason, until }) => (reason, until),
                    Ok(GateDecision::Refused { reason }) => {
                        return self
                            .fail(Failure::new(FailureCode::GateRefused, reason))
                            .await;
                    }
                    Err(error) => (Failure::from(&error).message, now.plus(ASK_GATE_AGAIN)),
                };
                let held = self
                    .book
                    .record_decision(vec![Fact::Held { reason, until }])
                    .await?;
                return Ok(held.then_some(Driven::Until(until)));
            }
        }
        let state = self.book.state();
        let open = state.hosts.iter().filter(|host| host.result.is_none());
        let targets: Vec<Target> = open.map(|host| host.target.clone()).collect();
        let batches = match &state.subject {
            Subject::Deployment { request, .. } => batches(&targets, &request.rollout),
            Subject::Release { .. } if targets.is_empty() => Vec::new(),
            Subject::Release { .. } => vec![targets.into_iter().map(|t| t.host).collect()],
        };
        self.book
            .record_decision(vec![Fact::RolloutStarted { batches }])
            .await?;
        Ok(None)
    }

    /// Records that hosts are handed out, then hands them out: so that after a crash in between
    /// their executor is asked.
    async fn dispatch(&mut self, number: usize, hosts: Vec<Target>) -> Result<(), JournalError> {
        let state = self.book.state();
        let part = state.task.part(number);
        let fence = match &state.subject {
            Subject::Deployment { .. } => self.parts.fences.next(self.parts.clock.now()),
            Subject::Release { task } => task.fence,
        };
        let names = hosts.iter().map(|target| target.host.clone()).collect();
        let fact = Fact::Dispatched {
            task: part.clone(),
            hosts: names,
            fence,
        };
        if self.book.record_decision(vec![fact]).await? {
            self.execute(part_task(self.book.state(), part, hosts, fence), Vec::new());
        }
        Ok(())
    }

    fn resume(&mut self, number: usize) {
        let state = self.book.state();
        let dispatch = &state.dispatches[number];
        let hosts: Vec<_> = dispatch
            .hosts
            .iter()
            .filter_map(|name| state.host(name))
            .collect();
        let known = hosts
            .iter()
            .filter_map(|host| host.result.clone())
            .collect();
        let targets = hosts.iter().map(|host| host.target.clone()).collect();
        let task = part_task(state, dispatch.task.clone(), targets, dispatch.fence);
        self.execute(task, known);
    }

    fn execute(&mut self, task: ReleaseTask, known: Vec<HostResult>) {
        let part = task.id.clone();
        let hosts = task.hosts.iter().map(|target| target.host.clone());
        let observer = Arc::new(self.progress.of_hosts(hosts));
        let cx = self
            .context(part.clone())
            .with_observer(observer)
            .with_known(known);
        self.cancels.insert(part.clone(), cx.cancel.clone());
        let executor = Arc::clone(&self.parts.executor);
        let running = self
            .running
            .spawn(async move { execute(&executor, &cx, &task).await });
        self.parts_running.insert(running.id(), part);
    }

    /// Waits for the next thing to happen, and records it.
    async fn wait(&mut self, cancel: bool) -> Result<(), JournalError> {
        if cancel {
            let reason = self.book.state().cancel.clone().unwrap_or_default();
            for token in self.cancels.values().filter(|token| !token.is_cancelled()) {
                token.cancel(&reason);
            }
        }
        tokio::select! {
            () = self.progress.arrived() => {}
            () = self.leash.refresh.notified() => self.book.catch_up().await?,
            () = self.leash.abort.cancelled() => {}
            Some(ended) = self.running.join_next_with_id() => {
                let (id, result) = ended.unwrap_or_else(|error| (error.id(), Err(panicked(error))));
                if let Some(part) = self.parts_running.remove(&id) {
                    self.record_part(&part, &result).await?;
                }
            }
        }
        Ok(())
    }

    /// Records what executors have reported since the last time.
    async fn record_progress(&mut self) -> Result<(), JournalError> {
        let state = self.book.state();
        let news = |fact: &Fact| match fact {
            Fact::HostFinished { result } => state
                .host(&result.host)
                .is_some_and(|host| host.result.is_none()),
            _ => true,
        };
        let facts: Vec<_> = self.progress.take().into_iter().filter(news).collect();
        self.book.record(facts).await?;
        Ok(())
    }

    /// Records the results of a part's hosts that were not reported on the way.
    async fn record_part(
        &mut self,
        part: &TaskId,
        result: &Result<ReleaseReport, ExecuteError>,
    ) -> Result<(), JournalError> {
        self.record_progress().await?;
        self.cancels.remove(part);
        let state = self.book.state();
        let Some(dispatch) = state.dispatches.iter().rev().find(|d| d.task == *part) else {
            return Ok(());
        };
        let open = |name: &&HostName| state.host(name).is_some_and(|host| host.result.is_none());
        let result = |host: &HostName| {
            let result = host_result(host, result);
            Fact::HostFinished { result }
        };
        let facts = dispatch.hosts.iter().filter(open).map(result).collect();
        self.book.record(facts).await?;
        Ok(())
    }

    /// Runs preparing work, watching for a wish to cancel and for the end of the leash. Gives `None`
    /// when the work had to be dropped.
    async fn attend<T>(
        &mut self,
        cancel: &CancelToken,
        work: impl Future<Output = T> + Send,
    ) -> Result<Option<T>, JournalError> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(Some(done)),
                () = self.leash.refresh.notified() => {
                    self.book.catch_up().await?;
                    if let Some(reason) = &self.book.state().cancel {
                        cancel.cancel(reason);
                    }
                }
                () = self.leash.stop.cancelled() => return Ok(None),
                () = self.leash.abort.cancelled() => return Ok(None),
            }
        }
    }

    /// Ends the task with a failure, or lets it be tried again where that is worth it.
    async fn fail(&mut self, failure: Failure) -> Result<Option<Driven>, JournalError> {
        if failure.retry.is_worth_it() && self.attempt < PREPARE_ATTEMPTS {
            self.book
                .record(vec![Fact::AttemptFailed {
                    failure: failure.clone(),
                }])
                .await?;
            return Ok(Some(Driven::Again(failure)));
        }
        let outcome = Outcome::Failed;
        let mut facts = self.not_started();
        facts.push(Fact::Finished {
            outcome,
            failure: Some(failure),
        });
        self.book.record(facts).await?;
        Ok(Some(Driven::Finished))
    }

    /// Ends a task that was attempted too often: what its hosts in flight did is not known.
    async fn give_up(&mut self) -> Result<Driven, JournalError> {
        let attempts = self.attempt - 1;
        let message = format!("given up after {attempts} attempts, of which none came to an end");
        let failure = Failure::new(FailureCode::Internal, message);
        let mut facts = self.unknown(&failure);
        facts.extend(self.not_started());
        facts.push(Fact::Finished {
            outcome: Outcome::Failed,
            failure: Some(failure),
        });
        self.book.record(facts).await?;
        Ok(Driven::Finished)
    }

    fn unknown(&self, failure: &Failure) -> Vec<Fact> {
        let result = |host: &crate::state::HostState| {
            let host = host.target.host.clone();
            let result = HostResult::failed(host, HostStatus::Unknown, failure.clone());
            Fact::HostFinished { result }
        };
        self.book.state().in_flight().map(result).collect()
    }

    fn not_started(&self) -> Vec<Fact> {
        let state = self.book.state();
        let open = state
            .hosts
            .iter()
            .filter(|h| h.result.is_none() && h.dispatch.is_none());
        let result = |host: &crate::state::HostState| {
            let host = host.target.host.clone();
            let failure = Failure::new(
                FailureCode::RolloutStopped,
                "the deployment ended before its turn",
            );
            Fact::HostFinished {
                result: HostResult::failed(host, HostStatus::NotStarted, failure),
            }
        };
        open.map(result).collect()
    }

    fn context(&self, task: TaskId) -> Context {
        Context::new(task)
            .with_cancel(CancelToken::new())
            .with_attempt(self.attempt)
    }
}

/// Hands a task to an executor, and asks again when it lost it: what happened is to be found out.
async fn execute(
    executor: &Arc<dyn Executor>,
    cx: &Context,
    task: &ReleaseTask,
) -> Result<ReleaseReport, ExecuteError> {
    let mut asked = 0;
    loop {
        // Another attempt says that the task may be there already.
        let cx = cx.clone().with_attempt(cx.attempt.saturating_add(asked));
        let result = executor.execute(cx, task.clone()).await;
        match &result {
            Err(error @ ExecuteError::Lost { .. }) if asked < ASK_LOST_AGAIN => {
                tracing::warn!(target: "deploy", task = %task.id, %error, "asking again");
                asked += 1;
            }
            _ => return result,
        }
    }
}

/// What an executor that panicked has to say: nothing is known of its hosts.
fn panicked(error: tokio::task::JoinError) -> ExecuteError {
    ExecuteError::Lost {
        endpoint: "the executor".to_owned(),
        source: Box::new(error),
    }
}

/// The result of a host, of what its executor gave.
fn host_result(host: &HostName, result: &Result<ReleaseReport, ExecuteError>) -> HostResult {
    let (status, failure) = match result {
        Ok(report) => match report.hosts.iter().find(|result| result.host == *host) {
            Some(result) => return result.clone(),
            None => {
                let message = "the executor did not report how the host ended";
                (
                    HostStatus::Unknown,
                    Failure::new(FailureCode::Unknown, message),
                )
            }
        },
        Err(error @ ExecuteError::Lost { .. }) => (HostStatus::Unknown, Failure::from(error)),
        Err(error @ ExecuteError::Cancelled) => (HostStatus::Cancelled, Failure::from(error)),
        Err(error) => (HostStatus::Failed, Failure::from(error)),
    };
    HostResult::failed(host.clone(), status, failure.with_host(host.clone()))
}

/// The facts of resolved hosts. An agent takes the hosts of its task, and no others.
fn resolved_facts(subject: &Subject, targets: Vec<Target>) -> Vec<Fact> {
    let Subject::Release { task } = subject else {
        return vec![Fact::Resolved { hosts: targets }];
    };
    let mut unknown = Vec::new();
    let mut hosts = Vec::new();
    for asked in &task.hosts {
        match targets.iter().find(|target| target.host == asked.host) {
            Some(target) => hosts.push(target.clone()),
            None => {
                let message = "this agent's inventory has no such host for the project";
                let failure =
                    Failure::new(FailureCode::Unresolved, message).with_host(asked.host.clone());
                hosts.push(asked.clone());
                unknown.push(HostResult::failed(
                    asked.host.clone(),
                    HostStatus::Failed,
                    failure,
                ));
            }
        }
    }
    let mut facts = vec![Fact::Resolved { hosts }];
    facts.extend(
        unknown
            .into_iter()
            .map(|result| Fact::HostFinished { result }),
    );
    facts
}

/// The release task of a part.
fn part_task(state: &TaskState, part: TaskId, hosts: Vec<Target>, fence: Fence) -> ReleaseTask {
    match &state.subject {
        Subject::Deployment { id, request } => {
            let package = match &state.package {
                Some(found) => request.package.pinned(found),
                None => request.package.clone(),
            };
            ReleaseTask::new(part, id.clone(), request, package, hosts, fence)
        }
        Subject::Release { task } => ReleaseTask {
            id: part,
            hosts,
            ..(**task).clone()
        },
    }
}
