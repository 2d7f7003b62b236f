//! What a host keeps for one project, and the rules of its lock.

use std::collections::BTreeMap;

use deploy_core::model::{
    Fence, FoundRelease, HostFound, ReleaseId, ReleaseState, RollbackTarget, TaskId,
};
use tokio::time::Instant;

/// What a host keeps for one project: it survives every program and every crash.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) current: Option<ReleaseId>,
    pub(super) marks: BTreeMap<ReleaseId, Mark>,
    pub(super) fence: u64,
    /// The number of the newest lock.
    pub(super) number: u64,
    lock: Option<Lock>,
}

/// What is known about a release.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) state: ReleaseState,
    pub(super) task: TaskId,
    pub(super) order: u64,
    pub(super) previous: Option<ReleaseId>,
}

#[derive(Debug)]
struct Lock {
    task: TaskId,
    fence: Fence,
    until: Instant,
    alive: bool,
}

/// Whether a lock may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Open,
    /// An earlier attempt at the same task has it, and is given time to put the host back.
    Ours,
    Shut,
}

impl Disk {
    pub(super) fn door(&self, task: &TaskId, now: Instant) -> Door {
        match &self.lock {
            Some(lock) if lock.alive && now < lock.until => {
                if lock.task == *task {
                    Door::Ours
                } else {
                    Door::Shut
                }
            }
            _ => Door::Open,
        }
    }

    /// Says whether the lock may be taken although an earlier attempt at the same task lives.
    pub(super) fn is_newer(&self, task: &TaskId, fence: Fence) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.task == *task && lock.fence < fence)
    }

    /// Takes the lock: its number.
    pub(super) fn take(&mut self, task: &TaskId, fence: Fence, until: Instant) -> u64 {
        self.number += 1;
        self.lock = Some(Lock { task: task.clone(), fence, until, alive: true });
        self.number
    }

    /// Says whether the lock of this number is still held, and its time not over.
    pub(super) fn holds(&self, number: u64) -> bool {
        self.number == number && self.lock.is_some()
    }

    pub(super) fn expired(&self, now: Instant) -> bool {
        self.lock.as_ref().is_none_or(|lock| now >= lock.until)
    }

    pub(super) fn unlock(&mut self, number: u64) {
        if self.number == number {
            self.lock = None;
        }
    }

    /// The program that has the lock was killed.
    pub(super) fn orphan(&mut self, number: u64) {
        if let Some(lock) = self.lock.as_mut().filter(|_| self.number == number) {
            lock.alive = false;
        }
    }

    /// A release that is served and good.
    pub(super) fn begin_with(&mut self, release: ReleaseId) {
        self.number += 1;
        // Its task is long forgotten; ids of releases are ids of tasks.
        let task = TaskId::new(release.as_str()).expect("the id of a release is that of a task");
        let mark = Mark { state: ReleaseState::Good, task, order: self.number, previous: None };
        self.current = Some(release.clone());
        self.marks.insert(release, mark);
    }

    pub(super) fn state(&self, release: &ReleaseId) -> Option<ReleaseState> {
        self.marks.get(release).map(|mark| mark.state)
    }

    pub(super) fn set_state(&mut self, release: &ReleaseId, state: ReleaseState) {
        if let Some(mark) = self.marks.get_mut(release) {
            mark.state = state;
        }
    }

    /// Says whether a release may be served.
    pub(super) fn is_whole(&self, release: &ReleaseId) -> bool {
        self.state(release).is_some_and(|state| state != ReleaseState::Unfinished)
    }

    /// Removes what earlier programs left unfinished.
    pub(super) fn clear_leftovers(&mut self) {
        let current = self.current.clone();
        self.marks.retain(|release, mark| {
            mark.state != ReleaseState::Unfinished || current.as_ref() == Some(release)
        });
    }

    /// What the host goes back to from a release.
    pub(super) fn target(&self, from: &ReleaseId, to: &RollbackTarget) -> Option<ReleaseId> {
        let undone = self.marks.get(from)?;
        let there = |release: &ReleaseId| {
            let state = self.state(release);
            matches!(state, Some(ReleaseState::Good | ReleaseState::Complete))
        };
        match to {
            RollbackTarget::LastGood => {
                let good = self.marks.iter().filter(|(_, mark)| {
                    mark.state == ReleaseState::Good && mark.order < undone.order
                });
                good.max_by_key(|(_, mark)| mark.order).map(|(release, _)| release.clone())
            }
            RollbackTarget::Previous => undone.previous.clone().filter(there),
            RollbackTarget::Release(release) => {
                Some(release.clone()).filter(|release| release != from && there(release))
            }
            _ => None,
        }
    }

    /// Keeps so many good releases; the current one and the one before it stay in any case.
    pub(super) fn prune(&mut self, keep: usize) {
        let current = self.current.clone();
        let before = current.as_ref().and_then(|now| self.marks.get(now)?.previous.clone());
        let mut good: Vec<_> = self
            .marks
            .iter()
            .filter(|(_, mark)| mark.state == ReleaseState::Good)
            .map(|(release, mark)| (mark.order, release.clone()))
            .collect();
        good.sort();
        let kept: Vec<_> = good.into_iter().rev().take(keep).map(|(_, release)| release).collect();
        self.marks.retain(|release, _| {
            kept.contains(release)
                || Some(release) == current.as_ref()
                || Some(release) == before.as_ref()
        });
    }

    /// What is there, for whoever only looks.
    pub(super) fn found(&self) -> HostFound {
        let mut releases: Vec<_> = self.marks.iter().collect();
        releases.sort_by_key(|(_, mark)| std::cmp::Reverse(mark.order));
        let found = |(release, mark): (&ReleaseId, &Mark)| {
            let mut found = FoundRelease::new(release.clone(), mark.state);
            found.previous.clone_from(&mark.previous);
            found
        };
        let mut all = HostFound::default();
        all.current.clone_from(&self.current);
        all.releases = releases.into_iter().map(found).collect();
        all.locked = self.lock.as_ref().map(|lock| format!("task {}", lock.task));
        all
    }
}
