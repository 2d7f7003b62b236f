//! Which task has an id, in little memory: a million ids are kept once, with their tasks.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use deploy_core::model::TaskId;

/// The orders of tasks, by the hashes of their ids.
#[derive(Debug, Default)]
pub(super) struct Ids<S = RandomState> {
    hasher: S,
    orders: HashMap<u64, u64>,
    /// The tasks whose hash is that of another; hardly ever any.
    twins: HashMap<TaskId, u64>,
}

impl<S: BuildHasher> Ids<S> {
    /// The order of the task with an id; `is_it` says whether a task has it.
    pub(super) fn find(&self, id: &TaskId, is_it: impl FnOnce(u64) -> bool) -> Option<u64> {
        let order = *self.orders.get(&self.hasher.hash_one(id))?;
        if is_it(order) { Some(order) } else { self.twins.get(id).copied() }
    }

    /// Takes in a task, whose id no other has.
    pub(super) fn insert(&mut self, id: &TaskId, order: u64) {
        let hash = self.hasher.hash_one(id);
        if *self.orders.entry(hash).or_insert(order) != order {
            self.twins.insert(id.clone(), order);
        }
    }

    /// Takes out a task.
    pub(super) fn remove(&mut self, id: &TaskId, order: u64) {
        if self.twins.remove(id).is_some() {
            return;
        }
        let hash = self.hasher.hash_one(id);
        if self.orders.get(&hash) == Some(&order) {
            self.orders.remove(&hash);
            // A twin takes the place, so that it is still found.
            let twin = self.twins.keys().find(|twin| self.hasher.hash_one(*twin) == hash).cloned();
            if let Some((_, order)) = twin.and_then(|twin| self.twins.remove_entry(&twin)) {
                self.orders.insert(hash, order);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasherDefault, Hasher};

    use super::*;

    /// Gives every id the same hash.
    #[derive(Debug, Default)]
    struct Same;

    impl Hasher for Same {
        fn finish(&self) -> u64 {
            7
        }

        fn write(&mut self, _: &[u8]) {}
    }

    #[test]
    fn ids_with_the_same_hash_are_told_apart() {
        let ids = ["a", "b", "c"].map(|id| id.parse::<TaskId>().unwrap());
        let mut all = Ids::<BuildHasherDefault<Same>>::default();
        let find = |all: &Ids<_>, n: usize| all.find(&ids[n], |order| order == n as u64);
        for (order, id) in ids.iter().enumerate() {
            assert_eq!(find(&all, order), None);
            all.insert(id, order as u64);
        }
        assert_eq!([0, 1, 2].map(|n| find(&all, n)), [Some(0), Some(1), Some(2)]);
        all.remove(&ids[0], 0);
        assert_eq!([0, 1, 2].map(|n| find(&all, n)), [None, Some(1), Some(2)]);
        all.remove(&ids[2], 2);
        all.remove(&ids[1], 1);
        assert_eq!([0, 1, 2].map(|n| find(&all, n)), [None, None, None]);
        assert!(all.orders.is_empty() && all.twins.is_empty());
    }
}
