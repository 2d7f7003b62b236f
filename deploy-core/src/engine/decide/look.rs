//! Looking after the hosts that are done while a rollout stands, so that a release that dies late stops
//! it.

use std::time::Duration;

use super::Next;
use crate::model::{HostStatus, Target, Timestamp};
use crate::state::{Gap, Subject, TaskState};

/// How often hosts that are done are looked at in the beginning of a stand: a look costs each host a
/// question or a few, and an agent a task, and what dies late need not be known within the second.
const AT_FIRST: Duration = Duration::from_secs(10);

/// How long the beginning is. What lived through it is looked at less often, so that a canary may wait
/// for a person over a weekend.
const BEGINNING: Duration = Duration::from_secs(10 * 60);

/// How often hosts are looked at after the beginning.
const LATER: Duration = Duration::from_secs(60);

/// What is to be done about the hosts that are done while a rollout stands before a batch: they are
/// looked at at once, again and again, and once more when the stand is over. Otherwise it stands.
pub(super) fn look_or_stand(
    state: &TaskState,
    gap: &Gap,
    now: Timestamp,
    looked: Option<Timestamp>,
) -> Next {
    let hosts = if is_watched(state, gap) { healthy(state) } else { Vec::new() };
    if hosts.is_empty() {
        return Next::Stand(gap.until);
    }
    let pause = if now < gap.since.plus(BEGINNING) { AT_FIRST } else { LATER };
    let next = looked.map_or(now, |looked| looked.plus(pause));
    let next = gap.until.map_or(next, |until| until.min(next));
    // What was looked at when the stand was over needs no other look.
    let last = looked.zip(gap.until).is_some_and(|(looked, until)| looked >= until);
    if now >= next && !last { Next::Look(hosts) } else { Next::Stand(Some(next)) }
}

/// Says whether anything is to be found out by looking: a person who has promoted the canary is not
/// asked again, and what is being undone says nothing of the release.
fn is_watched(state: &TaskState, gap: &Gap) -> bool {
    match &state.subject {
        Subject::Deployment { request, .. } => {
            request.monitor.is_some() && request.rollback.is_none() && !gap.promoted
        }
        Subject::Release { .. } => false,
    }
}

/// The hosts that serve the release, and were healthy when they were last asked.
fn healthy(state: &TaskState) -> Vec<Target> {
    let succeeded = state.hosts.iter().filter(|host| {
        host.result.as_ref().is_some_and(|result| result.status == HostStatus::Succeeded)
    });
    succeeded.map(|host| host.target.clone()).collect()
}
