//! The hosts of a task: so many at once, each with a result, whatever happens there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::{Id, JoinSet};

use super::job::Job;
use super::report::Reporter;
use super::visit::visit;
use crate::context::Context;
use crate::event::Fact;
use crate::failure::{Failure, FailureCode};
use crate::model::{HostResult, HostStatus, Target};

/// Does the task on all of its hosts and gives their results in the task's order. Dropping the
/// future leaves the hosts that have begun to themselves: the caller cancels them.
pub(crate) async fn visit_all(job: Arc<Job>, cx: &Context, reporter: &Reporter) -> Vec<HostResult> {
    let targets = &job.task.hosts;
    let at_once = usize::try_from(job.task.max_parallel).unwrap_or(usize::MAX).max(1);
    let mut results: Vec<Option<HostResult>> = vec![None; targets.len()];
    let mut working = Working::default();
    let mut next = 0;
    loop {
        while next < targets.len() && working.hosts.len() < at_once && may_begin(cx) {
            // What an earlier attempt came to stands: such a host is not touched again.
            match cx.known.iter().find(|known| known.host == targets[next].host) {
                Some(known) => results[next] = Some(finished(reporter, known.clone())),
                None => working.begin(&job, cx, reporter, next),
            }
            next += 1;
        }
        let Some((index, result)) = working.next().await else {
            break;
        };
        let host = &targets[index].host;
        let result = result.unwrap_or_else(|()| {
            let failure = Failure::new(FailureCode::Internal, "the work on the host panicked");
            HostResult::failed(host.clone(), HostStatus::Unknown, failure.with_host(host.clone()))
        });
        results[index] = Some(finished(reporter, result));
    }
    let result = |(target, result): (&Target, Option<HostResult>)| {
        result.unwrap_or_else(|| finished(reporter, not_started(&job, cx, target)))
    };
    targets.iter().zip(results).map(result).collect()
}

fn may_begin(cx: &Context) -> bool {
    !cx.cancel.is_cancelled() && cx.remaining().is_none_or(|left| !left.is_zero())
}

fn finished(reporter: &Reporter, result: HostResult) -> HostResult {
    reporter.report(Fact::HostFinished { result: result.clone() });
    result
}

fn not_started(job: &Job, cx: &Context, target: &Target) -> HostResult {
    let failure = if cx.cancel.is_cancelled() {
        cx.cancel.failure()
    } else {
        Failure::new(FailureCode::TimedOut, "the task's time was over before the host's turn")
    };
    let (host, status) = (target.host.clone(), job.out_of_reach(cx, HostStatus::NotStarted));
    HostResult::failed(host.clone(), status, failure.with_host(host))
}

/// The hosts that are being worked on.
#[derive(Debug, Default)]
struct Working {
    hosts: JoinSet<HostResult>,
    indices: HashMap<Id, usize>,
}

impl Drop for Working {
    fn drop(&mut self) {
        // Aborted in the middle, a host would keep its lock and half a release.
        self.hosts.detach_all();
    }
}

impl Working {
    fn begin(&mut self, job: &Arc<Job>, cx: &Context, reporter: &Reporter, index: usize) {
        let target = job.task.hosts[index].clone();
        reporter.report(Fact::HostStarted { host: target.host.clone() });
        let deadline = Instant::now().checked_add(job.task.release.timeout);
        let cx = deadline.map_or_else(|| cx.clone(), |at| cx.clone().with_deadline(at));
        let work = visit(Arc::clone(job), cx, target, reporter.clone());
        self.indices.insert(self.hosts.spawn(work).id(), index);
    }

    /// The next host that ended; its result, unless its work panicked.
    async fn next(&mut self) -> Option<(usize, Result<HostResult, ()>)> {
        let (id, result) = match self.hosts.join_next_with_id().await? {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(())),
        };
        let index = self.indices.remove(&id)?;
        Some((index, result))
    }
}
