//! Handing parts of a task to executors, and recording what becomes of their hosts.

use std::sync::Arc;

use super::Driver;
use crate::context::Context;
use crate::engine::decide::next_moment;
use crate::event::Fact;
use crate::executor::{ExecuteError, Executor};
use crate::failure::{Failure, FailureCode};
use crate::journal::JournalError;
use crate::model::{
    Fence, HostName, HostResult, HostStatus, ReleaseReport, ReleaseTask, Target, TaskId,
};
use crate::state::{Dispatch, HostState, Phase, Subject, TaskState};

/// How often an executor that lost a task is asked again what became of it.
const ASK_LOST_AGAIN: u32 = 3;

impl Driver {
    /// Records that hosts are handed out, then hands them out: so that after a crash in between
    /// their executor is asked.
    pub(super) async fn dispatch(
        &mut self,
        number: usize,
        hosts: Vec<Target>,
    ) -> Result<(), JournalError> {
        let state = self.book.state();
        let names: Vec<_> = hosts.iter().map(|target| target.host.clone()).collect();
        let places = self.parts.room.ask(&state.task, &names);
        if places == 0 {
            // It stands in line for room, and goes on with what it has meanwhile.
            let until = next_moment(state);
            return self.wait(until).await;
        }
        let (hosts, names) = (hosts[..places].to_vec(), names[..places].to_vec());
        let part = state.task.part(number);
        let fence = match &state.subject {
            Subject::Deployment { .. } => {
                // Whoever handed out the parts before may have had a clock that is ahead.
                let given = state.dispatches.iter().map(|part| part.fence).max();
                given.into_iter().for_each(|fence| self.parts.fences.saw(fence));
                self.parts.fences.next(self.parts.clock.now())
            }
            Subject::Release { task } => task.fence,
        };
        let fact = Fact::Dispatched { task: part.clone(), hosts: names, fence };
        if self.book.record_decision(vec![fact]).await? {
            let task = part_task(self.book.state(), number, part, hosts, fence);
            let all = task.hosts.iter().map(|target| target.host.clone()).collect();
            // Whatever became of the task before, nobody has had this part yet.
            self.execute(task, all, Vec::new(), 1);
        } else {
            self.give_back_places();
        }
        Ok(())
    }

    /// Gives back the places of hosts that are not being done any more.
    pub(super) fn give_back_places(&self) {
        let state = self.book.state();
        let being_done = |host: &HostName| {
            let host = state.host(host);
            host.is_some_and(|host| host.dispatch.is_some() && host.result.is_none())
        };
        self.parts.room.keep(&state.task, being_done);
    }

    pub(super) fn resume(&mut self, number: usize) {
        let state = self.book.state();
        let dispatch = &state.dispatches[number];
        let hosts: Vec<_> = dispatch.hosts.iter().filter_map(|name| state.host(name)).collect();
        // Hosts that were handed out again since belong to another part: what this one did with them
        // is known, and what it says of them is not heard any more.
        let ours = |host: &&&HostState| host.dispatch == Some(number);
        let known = hosts.iter().filter(ours).filter_map(|host| host.result.clone());
        let known = known.chain(dispatch.earlier.iter().cloned()).collect();
        let open = hosts.iter().filter(ours).filter(|host| host.result.is_none());
        let open: Vec<_> = open.map(|host| host.target.host.clone()).collect();
        let targets = hosts.iter().map(|host| host.target.clone()).collect();
        let task = part_task(state, number, dispatch.task.clone(), targets, dispatch.fence);
        self.parts.room.take(&state.task, &open);
        // It was handed out before, whatever the queue has counted: a task that was handed back, or whose
        // queue was lost, begins to count anew, and its executor must not take it for one that is new.
        self.execute(task, open, known, self.attempt.max(2));
    }

    fn execute(
        &mut self,
        task: ReleaseTask,
        hosts: Vec<HostName>,
        known: Vec<HostResult>,
        attempt: u32,
    ) {
        let part = task.id.clone();
        let observer = Arc::new(self.progress.of_part(part.clone(), hosts));
        let cx = self.context(part.clone()).with_observer(observer).with_known(known);
        let cx = cx.with_attempt(attempt);
        self.cancels.insert(part.clone(), cx.cancel.clone());
        let executor = Arc::clone(&self.parts.executor);
        let running = self.running.spawn(async move { execute(&executor, &cx, &task).await });
        self.parts_running.insert(running.id(), part);
    }

    /// Records what executors have reported since the last time.
    pub(super) async fn record_progress(&mut self) -> Result<(), JournalError> {
        let reported = self.progress.take();
        let news = |state: &TaskState| {
            let is_news = |(part, fact): &&(TaskId, Fact)| {
                // A part whose hosts were handed out again since is not heard any more.
                let open = |host: &HostState| {
                    let ours = |number: usize| state.dispatches[number].task == *part;
                    host.dispatch.is_some_and(ours) && host.result.is_none()
                };
                match fact.host() {
                    Some(name) => state.host(name).is_some_and(open),
                    None => state.hosts.iter().any(open),
                }
            };
            reported.iter().filter(is_news).map(|(_, fact)| fact.clone()).collect()
        };
        self.record_news(news).await
    }

    /// Records the results of a part's hosts that were not reported on the way.
    pub(super) async fn record_part(
        &mut self,
        part: &TaskId,
        result: &Result<ReleaseReport, ExecuteError>,
    ) -> Result<(), JournalError> {
        self.record_progress().await?;
        self.cancels.remove(part);
        let known = |known: &Dispatch| known.task == *part;
        let Some(number) = self.book.state().dispatches.iter().rposition(known) else {
            return Ok(());
        };
        let open = |state: &TaskState| {
            let open = |name: &&HostName| {
                let host = state.host(name);
                host.is_some_and(|host| host.dispatch == Some(number) && host.result.is_none())
            };
            let result = |host: &HostName| {
                let result = host_result(host, result);
                Fact::HostFinished { result }
            };
            state.dispatches[number].hosts.iter().filter(open).map(result).collect()
        };
        self.record_news(open).await
    }

    /// Records what is news in the present state, which may not be what it was when something happened:
    /// another process may have recorded it already.
    async fn record_news(
        &mut self,
        news: impl Fn(&TaskState) -> Vec<Fact>,
    ) -> Result<(), JournalError> {
        loop {
            let facts = news(self.book.state());
            let ends = facts.iter().any(|fact| matches!(fact, Fact::HostFinished { .. }));
            let recorded = self.book.record_decision(facts).await?;
            if ends {
                self.give_back_places();
            }
            if recorded || self.book.state().phase == Phase::Finished {
                return Ok(());
            }
        }
    }
}

/// Hands a task to an executor, and asks again when it lost it: what happened is to be found out.
async fn execute(
    executor: &Arc<dyn Executor>,
    cx: &Context,
    task: &ReleaseTask,
) -> Result<ReleaseReport, ExecuteError> {
    let mut asked = 0;
    let cancel = cx.cancel.clone();
    loop {
        // Another attempt says that the task may be there already.
        let cx = cx.clone().with_attempt(cx.attempt.saturating_add(asked));
        let result = executor.execute(cx, task.clone()).await;
        match &result {
            Err(error @ ExecuteError::Lost { .. })
                if asked < ASK_LOST_AGAIN && !cancel.is_cancelled() =>
            {
                tracing::warn!(target: "deploy", task = %task.id, %error, "asking again");
                asked += 1;
            }
            _ => return result,
        }
    }
}

/// What an executor that panicked has to say: nothing is known of its hosts.
pub(super) fn panicked(error: tokio::task::JoinError) -> ExecuteError {
    ExecuteError::Lost { endpoint: "the executor".to_owned(), source: Box::new(error) }
}

/// The result of a host, of what its executor gave.
fn host_result(host: &HostName, result: &Result<ReleaseReport, ExecuteError>) -> HostResult {
    let (status, failure) = match result {
        Ok(report) => match report.hosts.iter().find(|result| result.host == *host) {
            Some(result) => return result.clone(),
            None => {
                let message = "the executor did not report how the host ended";
                (HostStatus::Unknown, Failure::new(FailureCode::Unknown, message))
            }
        },
        Err(error @ ExecuteError::Lost { .. }) => (HostStatus::Unknown, Failure::from(error)),
        Err(error @ ExecuteError::Cancelled) => (HostStatus::Cancelled, Failure::from(error)),
        Err(error) => (HostStatus::Failed, Failure::from(error)),
    };
    HostResult::failed(host.clone(), status, failure.with_host(host.clone()))
}

/// The release task of a part, whose number among the parts it is.
pub(super) fn part_task(
    state: &TaskState,
    number: usize,
    part: TaskId,
    hosts: Vec<Target>,
    fence: Fence,
) -> ReleaseTask {
    match &state.subject {
        Subject::Deployment { id, request } => {
            let package = match &state.package {
                Some(found) => request.package.pinned(found),
                None => request.package.clone(),
            };
            ReleaseTask::new(part, id.clone(), request, package, hosts, fence)
                .with_action(state.action_of(number))
        }
        Subject::Release { task } => ReleaseTask { id: part, hosts, ..(**task).clone() },
    }
}
