//! Reaching the hosts of a fleet from a node.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{Fence, HostResult, HostStatus, ReleaseReport, ReleaseTask, Target};
use deploy_core::{Context, ExecuteError, Executor, Fact, Failure, FailureCode, Retry, Step};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use super::Shared;
use super::session::Session;
use super::word::Word;

/// How long a host that was told to stop may take beyond its time.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Reaches the hosts of a [`ModelFleet`](super::ModelFleet) from a node: an executor that keeps the
/// contract, over connections that may break.
#[derive(Clone)]
pub struct FleetExecutor {
    shared: Arc<Shared>,
}

impl fmt::Debug for FleetExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetExecutor").finish_non_exhaustive()
    }
}

impl FleetExecutor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// One host, from connecting to its last word.
    async fn host(
        self,
        cx: Context,
        task: Arc<ReleaseTask>,
        target: Target,
        fence: Fence,
    ) -> HostResult {
        let host = target.host.clone();
        let ended = |status, failure: Failure| {
            HostResult::failed(host.clone(), status, failure.with_host(host.clone()))
        };
        let dice = &self.shared.dice;
        cx.report(Fact::StepStarted { host: host.clone(), step: Step::Connect });
        tokio::time::sleep(dice.millis(1..200)).await;
        if cx.cancel.is_cancelled() {
            let status = if cx.attempt > 1 { HostStatus::Unknown } else { HostStatus::Cancelled };
            return ended(status, cx.cancel.failure());
        }
        let (faults, down) = {
            let state = self.shared.lock();
            (state.faults, state.down.contains(&host))
        };
        if down || dice.chance(faults.unreachable) {
            let failure = Failure::new(FailureCode::HostUnreachable, "no route to the host")
                .with_retry(Retry::After(Duration::from_secs(10)));
            // What an earlier attempt did there cannot be found out.
            let status = if cx.attempt > 1 { HostStatus::Unknown } else { HostStatus::Failed };
            return ended(status, failure);
        }
        cx.report(Fact::StepFinished { host: host.clone(), step: Step::Connect, note: None });
        let breaks = dice.chance(faults.lost).then(|| Instant::now() + dice.millis(1..15_000));
        let noticed = match dice.below(4) {
            0 => Some(Duration::ZERO),
            1 | 2 => Some(dice.millis(1_000..600_000)),
            _ => None,
        };
        let unknown = |why: &str| {
            let failure = Failure::new(FailureCode::Unknown, why)
                .with_retry(Retry::After(Duration::from_secs(30)));
            ended(HostStatus::Unknown, failure)
        };
        let mut session = Session::open(&self.shared, &task, &target, fence);
        let late = Instant::now() + task.release.timeout;
        let (mut hung_up, mut given_up) = (false, late + GIVE_UP);
        let mut told = TellOnce::default();
        loop {
            tokio::select! {
                biased;
                word = session.words.recv() => match word {
                    Some(Word::Begin(step)) => told.tell(&cx, &target, step, true),
                    Some(Word::End(step)) => told.tell(&cx, &target, step, false),
                    Some(Word::Last(result)) => return *result,
                    None => return unknown("the connection was lost"),
                },
                () = tokio::time::sleep_until(breaks.unwrap_or(late)), if breaks.is_some() => {
                    session.goes(noticed.map(|after| Instant::now() + after));
                    return unknown("the connection was lost");
                }
                () = cx.cancel.cancelled(), if !hung_up => {
                    session.hang_up();
                    (hung_up, given_up) = (true, given_up.min(Instant::now() + GIVE_UP));
                }
                () = tokio::time::sleep_until(late), if !hung_up => {
                    session.hang_up();
                    hung_up = true;
                }
                () = tokio::time::sleep_until(given_up) => return unknown("it does not stop"),
            }
        }
    }
}

/// Passes on what a program says of its steps.
#[derive(Default)]
struct TellOnce(Vec<(Step, bool)>);

impl TellOnce {
    fn tell(&mut self, cx: &Context, target: &Target, step: Step, begins: bool) {
        if self.0.contains(&(step, begins)) {
            return;
        }
        self.0.push((step, begins));
        let host = target.host.clone();
        cx.report(match begins {
            true => Fact::StepStarted { host, step },
            false => Fact::StepFinished { host, step, note: None },
        });
    }
}

fn finished(cx: &Context, result: HostResult) -> HostResult {
    cx.report(Fact::HostFinished { result: result.clone() });
    result
}

/// The result of a host that this attempt did not begin with. What an earlier one did there is not known.
fn not_begun(cx: &Context, target: &Target) -> HostResult {
    let status = if cx.attempt > 1 { HostStatus::Unknown } else { HostStatus::NotStarted };
    let host = target.host.clone();
    HostResult::failed(host.clone(), status, cx.cancel.failure().with_host(host))
}

#[async_trait]
impl Executor for FleetExecutor {
    async fn execute(&self, cx: Context, task: ReleaseTask) -> Result<ReleaseReport, ExecuteError> {
        let fence = task.fence.for_attempt(cx.attempt);
        let at_once = (task.max_parallel as usize).max(1);
        let task = Arc::new(task);
        let mut results: Vec<Option<HostResult>> = vec![None; task.hosts.len()];
        let mut hosts = JoinSet::new();
        let mut indices: HashMap<Id, usize> = HashMap::new();
        let mut next = 0;
        loop {
            while next < task.hosts.len() && hosts.len() < at_once && !cx.cancel.is_cancelled() {
                let target = task.hosts[next].clone();
                // What an earlier attempt came to stands: such a host is not touched again.
                match cx.known.iter().find(|known| known.host == target.host) {
                    Some(known) => results[next] = Some(finished(&cx, known.clone())),
                    None => {
                        cx.report(Fact::HostStarted { host: target.host.clone() });
                        let work = self.clone().host(cx.clone(), Arc::clone(&task), target, fence);
                        indices.insert(hosts.spawn(work).id(), next);
                    }
                }
                next += 1;
            }
            let Some(Ok((id, result))) = hosts.join_next_with_id().await else { break };
            if let Some(index) = indices.remove(&id) {
                results[index] = Some(finished(&cx, result));
            }
        }
        let result = |(target, result): (&Target, Option<HostResult>)| {
            result.unwrap_or_else(|| finished(&cx, not_begun(&cx, target)))
        };
        Ok(ReleaseReport::new(task.hosts.iter().zip(results).map(result).collect()))
    }
}
