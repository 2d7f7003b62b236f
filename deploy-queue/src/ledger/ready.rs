//! The tasks that are due, so that the next one of any kinds is found at once.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use deploy_core::TaskRecord;

use super::moment::Moment;

/// A due task's place in the order of claims: the highest priority first, then the one that has been
/// due the longest, then the one that was pushed first.
pub(super) type Rank = (Reverse<i32>, Moment, u64);

/// The name of a kind or a key, shared. In an entry it takes half of the room of an `Arc<str>`.
pub(super) type Name = Arc<String>;

/// The due tasks of one kind, in the order of claims.
type Ranks = BTreeSet<Rank>;

/// The tasks that are due.
///
/// Tasks with an exclusive key wait in the lane of their key; only the first of each kind in a lane
/// stands among those that can be claimed, and only while nobody holds the key. So a thousand tasks
/// that wait for one key cost nothing when the next task is looked for.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// What can be claimed now, by kind.
    heads: HashMap<Name, Ranks>,
    /// The keys that tasks wait for or hold.
    lanes: HashMap<Name, Lane>,
}

/// The due tasks of one exclusive key, by kind, and whether a worker has a task of it.
#[derive(Debug, Default)]
struct Lane {
    held: bool,
    waiting: HashMap<Name, Ranks>,
}

impl Ready {
    /// The shared copy of the name of a task's kind.
    pub(super) fn share(&self, task: &TaskRecord) -> Name {
        match self.heads.get_key_value(&task.kind) {
            Some((kind, _)) => Arc::clone(kind),
            None => Arc::new(task.kind.clone()),
        }
    }

    /// Says whether nothing can be claimed.
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The next task of some kinds, or of any kind when there are none.
    pub(super) fn first(&self, kinds: &[String]) -> Option<Rank> {
        if kinds.is_empty() {
            return self.heads.values().filter_map(BTreeSet::first).min().copied();
        }
        let ranks = |kind: &String| self.heads.get(kind)?.first();
        kinds.iter().filter_map(ranks).min().copied()
    }

    /// Takes in a task that is due.
    pub(super) fn insert(&mut self, kind: &Name, key: Option<&Name>, rank: Rank) {
        let Some(key) = key else {
            self.heads.entry(Arc::clone(kind)).or_default().insert(rank);
            return;
        };
        let lane = self.lanes.entry(Arc::clone(key)).or_default();
        let waiting = lane.waiting.entry(Arc::clone(kind)).or_default();
        let before = waiting.first().copied();
        waiting.insert(rank);
        if !lane.held && before.is_none_or(|before| rank < before) {
            let heads = self.heads.entry(Arc::clone(kind)).or_default();
            before.map(|before| heads.remove(&before));
            heads.insert(rank);
        }
    }

    /// Takes out a task that is claimed, put off or withdrawn.
    pub(super) fn remove(&mut self, kind: &Name, key: Option<&Name>, rank: Rank) {
        let Some(key) = key else {
            return remove(&mut self.heads, kind, rank);
        };
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        remove(&mut lane.waiting, kind, rank);
        if !lane.held {
            let next = lane.waiting.get(kind).and_then(BTreeSet::first).copied();
            remove(&mut self.heads, kind, rank);
            if let Some(next) = next {
                self.heads.entry(Arc::clone(kind)).or_default().insert(next);
            }
        }
        self.drop_lane_if_unused(key);
    }

    /// Notes that a worker has a task of the key: no other can be claimed.
    pub(super) fn hold(&mut self, key: &Name) {
        let lane = self.lanes.entry(Arc::clone(key)).or_default();
        lane.held = true;
        for (kind, waiting) in &lane.waiting {
            if let Some(first) = waiting.first() {
                remove(&mut self.heads, kind, *first);
            }
        }
    }

    /// Notes that no worker has a task of the key any more.
    pub(super) fn release(&mut self, key: &Name) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        lane.held = false;
        for (kind, waiting) in &lane.waiting {
            if let Some(first) = waiting.first() {
                self.heads.entry(Arc::clone(kind)).or_default().insert(*first);
            }
        }
        self.drop_lane_if_unused(key);
    }

    fn drop_lane_if_unused(&mut self, key: &Name) {
        if self.lanes.get(key).is_some_and(|lane| !lane.held && lane.waiting.is_empty()) {
            self.lanes.remove(key);
        }
    }
}

/// Takes a rank out, and the kind with it when it was its last.
fn remove(kinds: &mut HashMap<Name, Ranks>, kind: &Name, rank: Rank) {
    if let Some(ranks) = kinds.get_mut(kind) {
        ranks.remove(&rank);
        if ranks.is_empty() {
            kinds.remove(kind);
        }
    }
}
