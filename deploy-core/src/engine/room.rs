//! Room for hosts: how many are done at once over all tasks of a node.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::{HostName, TaskId};

/// The places for hosts that are done at once, over all tasks of a node.
///
/// A task that finds no place stands in line, and those in line get places in their order, one place
/// at least each time. Nobody waits for a place while it keeps another from becoming free: hosts end
/// by themselves. So nobody waits for ever, and nobody is passed over.
#[derive(Debug)]
pub(crate) struct Room {
    limit: Option<usize>,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<TaskId, BTreeSet<HostName>>,
    taken: usize,
    line: VecDeque<TaskId>,
}

impl Room {
    /// Makes room for so many hosts, or for any number.
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self { limit, state: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Says whether there is a limit at all.
    pub(super) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Takes places for hosts of a task, as many as there are, the first hosts first. Says how many it
    /// took; when that is none the task stands in line from now on.
    pub(super) fn ask(&self, task: &TaskId, hosts: &[HostName]) -> usize {
        let Some(limit) = self.limit else { return hosts.len() };
        let mut state = self.lock();
        let turn = state.line.front().is_none_or(|first| first == task);
        let free = limit.saturating_sub(state.taken).min(hosts.len());
        if !turn || free == 0 {
            if !state.line.contains(task) {
                state.line.push_back(task.clone());
            }
            return 0;
        }
        state.line.retain(|waiting| waiting != task);
        state.hold(task, &hosts[..free]);
        drop(state);
        self.changed();
        free
    }

    /// Takes places for hosts that are being done already, whether there is room or not.
    pub(super) fn take(&self, task: &TaskId, hosts: &[HostName]) {
        if self.is_limited() {
            self.lock().hold(task, hosts);
        }
    }

    /// Gives back the places of those hosts of a task that are not being done any more.
    pub(super) fn keep(&self, task: &TaskId, being_done: impl Fn(&HostName) -> bool) {
        if !self.is_limited() {
            return;
        }
        let mut state = self.lock();
        let Some(hosts) = state.held.get_mut(task) else { return };
        let before = hosts.len();
        hosts.retain(being_done);
        let (left, empty) = (hosts.len(), hosts.is_empty());
        if empty {
            state.held.remove(task);
        }
        state.taken -= before - left;
        drop(state);
        if left < before {
            self.changed();
        }
    }

    /// A task does not ask any more: those behind it in line move up.
    pub(super) fn leave_line(&self, task: &TaskId) {
        if !self.is_limited() {
            return;
        }
        let mut state = self.lock();
        let before = state.line.len();
        state.line.retain(|waiting| waiting != task);
        let left = state.line.len() < before;
        drop(state);
        if left {
            self.changed();
        }
    }

    /// Says whether a task stands in line.
    pub(super) fn has_in_line(&self, task: &TaskId) -> bool {
        self.is_limited() && self.lock().line.contains(task)
    }

    /// Counts up whenever somebody in line may find a place.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hold(&mut self, task: &TaskId, hosts: &[HostName]) {
        let held = self.held.entry(task.clone()).or_default();
        let before = held.len();
        held.extend(hosts.iter().cloned());
        self.taken += held.len() - before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str) -> TaskId {
        TaskId::new(name).unwrap()
    }

    fn hosts(names: &[&str]) -> Vec<HostName> {
        names.iter().map(|name| HostName::new(*name).unwrap()).collect()
    }

    #[test]
    fn places_are_given_in_the_order_of_the_line_and_to_nobody_beyond_the_limit() {
        let room = Room::new(Some(2));
        assert_eq!(room.ask(&task("a"), &hosts(&["a1", "a2", "a3"])), 2);
        assert_eq!(room.ask(&task("b"), &hosts(&["b1"])), 0);
        assert_eq!(room.ask(&task("a"), &hosts(&["a3"])), 0);
        room.keep(&task("a"), |host| host.as_str() != "a1");
        assert_eq!(room.ask(&task("a"), &hosts(&["a3"])), 0, "b was there first");
        assert_eq!(room.ask(&task("b"), &hosts(&["b1"])), 1);
        room.keep(&task("a"), |_| false);
        assert_eq!(room.ask(&task("a"), &hosts(&["a3"])), 1);
    }

    #[test]
    fn whoever_leaves_the_line_holds_nobody_up() {
        let room = Room::new(Some(1));
        assert_eq!(room.ask(&task("a"), &hosts(&["a1"])), 1);
        assert_eq!(room.ask(&task("b"), &hosts(&["b1"])), 0);
        assert_eq!(room.ask(&task("c"), &hosts(&["c1"])), 0);
        room.leave_line(&task("b"));
        room.keep(&task("a"), |_| false);
        assert_eq!(room.ask(&task("c"), &hosts(&["c1"])), 1);
    }

    #[test]
    fn what_is_being_done_already_takes_its_places_and_others_wait_for_them() {
        let room = Room::new(Some(1));
        room.take(&task("a"), &hosts(&["a1", "a2"]));
        room.take(&task("a"), &hosts(&["a1"]));
        assert_eq!(room.ask(&task("b"), &hosts(&["b1"])), 0);
        room.keep(&task("a"), |host| host.as_str() == "a1");
        assert_eq!(room.ask(&task("b"), &hosts(&["b1"])), 0);
        room.keep(&task("a"), |_| false);
        assert_eq!(room.ask(&task("b"), &hosts(&["b1"])), 1);
    }
}
