//! What comes next in a rollout that has begun and that nothing keeps from going on.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::{Next, budget, ending, look, next_moment};
use crate::engine::together::share_executor;
use crate::event::{BatchHold, Fact};
use crate::model::{CanaryHold, HostStatus, RolloutSpec, Target, Timestamp};
use crate::state::{Subject, TaskState};

pub(super) fn roll_out(state: &TaskState, now: Timestamp, looked: Option<Timestamp>) -> Next {
    // The hosts of a release task were all let go by the control node, which decides what a failure
    // means. Going back has no budget: a host that cannot is no reason to leave the others.
    let rollout = state.rollout().filter(|_| state.rollback.is_none());
    if let Some(passed) = rollout.and_then(|rollout| budget::passed(state, rollout)) {
        return Next::Record(vec![passed]);
    }
    let in_flight = state.in_flight().len();
    let free = max_parallel(&state.subject).saturating_sub(in_flight);
    if free > 0 && state.pending().len() > 0 {
        let number = state.dispatches.len();
        return Next::Dispatch { number, hosts: next_hosts(state, free) };
    }
    if in_flight > 0 {
        return Next::Await { cancel: false, until: next_moment(state) };
    }
    if let Some(batch) = state.batch {
        return Next::Record(vec![Fact::BatchFinished { batch }]);
    }
    let next = state.batches_finished;
    if state.batches.len() <= next as usize {
        return ending::finish(state);
    }
    before_batch(state, rollout, next, now, looked)
}

/// What comes before a batch: the hold after the canary, or a pause; then the batch.
fn before_batch(
    state: &TaskState,
    rollout: Option<&RolloutSpec>,
    batch: u32,
    now: Timestamp,
    looked: Option<Timestamp>,
) -> Next {
    let start = Next::Record(vec![Fact::BatchStarted { batch }]);
    let Some(rollout) = rollout.filter(|_| batch > 0) else {
        return start;
    };
    let Some(gap) = state.gap.as_ref().filter(|gap| gap.batch == batch) else {
        return hold(state, rollout, batch, now).map_or(start, |held| Next::Record(vec![held]));
    };
    if gap.hold == BatchHold::Canary && !gap.promoted && canary_failed(state) {
        // It has failed since it was done.
        let hold = BatchHold::FailedCanary;
        return Next::Record(vec![Fact::BatchHeld { batch, hold, until: None }]);
    }
    let over = gap.until.is_some_and(|until| now >= until);
    match look::look_or_stand(state, gap, now, looked) {
        look @ Next::Look(_) => look,
        _ if gap.promoted || over => start,
        stand => stand,
    }
}

/// The fact that a rollout stands before a batch, where it is to.
fn hold(state: &TaskState, rollout: &RolloutSpec, batch: u32, now: Timestamp) -> Option<Fact> {
    let held = |hold, until| Some(Fact::BatchHeld { batch, hold, until });
    match &rollout.canary {
        Some(_) if batch == 1 && canary_failed(state) => held(BatchHold::FailedCanary, None),
        Some(canary) if batch == 1 => match canary.hold {
            CanaryHold::For(span) => held(BatchHold::Canary, Some(now.plus(span))),
            CanaryHold::Promotion => held(BatchHold::Canary, None),
        },
        _ if rollout.pause.is_none() => None,
        _ => {
            let span = rollout.pause.fixed.saturating_add(jitter(state, rollout, batch));
            held(BatchHold::Pause, Some(now.plus(span)))
        }
    }
}

/// Says whether a host of the first batch did not succeed, those aside that a person has skipped.
fn canary_failed(state: &TaskState) -> bool {
    let mut canary = state.batches.first().into_iter().flatten();
    canary.any(|name| {
        let result = state.host(name).and_then(|host| host.result.as_ref());
        let failed = result.is_some_and(|result| result.status != HostStatus::Succeeded);
        failed && !state.is_skipped(name)
    })
}

/// A share of the jitter that looks drawn: another one for each deployment and batch. It is recorded
/// with the pause, so that it need not come out the same in the next version.
fn jitter(state: &TaskState, rollout: &RolloutSpec, batch: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (&state.task, batch).hash(&mut hasher);
    let share = u32::try_from(hasher.finish() >> 32).unwrap_or(0);
    rollout.pause.jitter.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

/// How many hosts a part has at most: so that its task stays a document of ordinary size.
const MOST_HOSTS: usize = 1_000;

/// The next hosts to hand to an executor together: those that share the way of the first.
fn next_hosts(state: &TaskState, free: usize) -> Vec<Target> {
    let mut pending = state.pending().map(|host| &host.target);
    let Some(first) = pending.next() else {
        return Vec::new();
    };
    let together = pending.filter(|target| share_executor(first, target));
    std::iter::once(first).chain(together).take(free.min(MOST_HOSTS)).cloned().collect()
}

fn max_parallel(subject: &Subject) -> usize {
    match subject {
        Subject::Deployment { request, .. } => request.rollout.max_parallel as usize,
        Subject::Release { task } => task.max_parallel as usize,
    }
}
