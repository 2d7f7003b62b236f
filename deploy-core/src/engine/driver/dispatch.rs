//! Handing parts of a task to executors, and recording what becomes of their hosts.

use std::sync::Arc;

use super::Driver;
use crate::context::Context;
use crate::event::Fact;
use crate::executor::{ExecuteError, Executor};
use crate::failure::{Failure, FailureCode};
use crate::journal::JournalError;
use crate::model::{
    Fence, HostName, HostResult, HostStatus, ReleaseReport, ReleaseTask, Target, TaskId,
};
use crate::state::{Subject, TaskState};

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
        let part = state.task.part(number);
        let fence = match &state.subject {
            Subject::Deployment { .. } => self.parts.fences.next(self.parts.clock.now()),
            Subject::Release { task } => task.fence,
        };
        let names = hosts.iter().map(|target| target.host.clone()).collect();
        let fact = Fact::Dispatched { task: part.clone(), hosts: names, fence };
        if self.book.record_decision(vec![fact]).await? {
            self.execute(part_task(self.book.state(), part, hosts, fence), Vec::new());
        }
        Ok(())
    }

    pub(super) fn resume(&mut self, number: usize) {
        let state = self.book.state();
        let dispatch = &state.dispatches[number];
        let hosts: Vec<_> = dispatch.hosts.iter().filter_map(|name| state.host(name)).collect();
        let known = hosts.iter().filter_map(|host| host.result.clone()).collect();
        let targets = hosts.iter().map(|host| host.target.clone()).collect();
        let task = part_task(state, dispatch.task.clone(), targets, dispatch.fence);
        self.execute(task, known);
    }

    fn execute(&mut self, task: ReleaseTask, known: Vec<HostResult>) {
        let part = task.id.clone();
        let hosts = task.hosts.iter().map(|target| target.host.clone());
        let observer = Arc::new(self.progress.of_hosts(hosts));
        let cx = self.context(part.clone()).with_observer(observer).with_known(known);
        self.cancels.insert(part.clone(), cx.cancel.clone());
        let executor = Arc::clone(&self.parts.executor);
        let running = self.running.spawn(async move { execute(&executor, &cx, &task).await });
        self.parts_running.insert(running.id(), part);
    }

    /// Records what executors have reported since the last time.
    pub(super) async fn record_progress(&mut self) -> Result<(), JournalError> {
        let state = self.book.state();
        let news = |fact: &Fact| match fact {
            Fact::HostFinished { result } => {
                state.host(&result.host).is_some_and(|host| host.result.is_none())
            }
            _ => true,
        };
        let facts: Vec<_> = self.progress.take().into_iter().filter(news).collect();
        self.book.record(facts).await?;
        Ok(())
    }

    /// Records the results of a part's hosts that were not reported on the way.
    pub(super) async fn record_part(
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
        Subject::Release { task } => ReleaseTask { id: part, hosts, ..(**task).clone() },
    }
}
