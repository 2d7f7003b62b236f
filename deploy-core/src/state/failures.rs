//! The failed hosts that count against a rollout's budget.

use std::collections::{BTreeMap, BTreeSet};

/// The failed hosts that count, by their index, kept up to date so that no question walks all hosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Failures {
    counted: BTreeSet<usize>,
    by_batch: BTreeMap<u32, BTreeSet<usize>>,
    row: Vec<usize>,
}

impl Failures {
    /// How many hosts have failed.
    pub(crate) fn total(&self) -> usize {
        self.counted.len()
    }

    /// How many hosts have failed one after another, up to the last one that ended.
    pub(crate) fn in_a_row(&self) -> usize {
        self.row.len()
    }

    /// How many hosts of each batch have failed, those batches only where one has.
    pub(crate) fn by_batch(&self) -> impl Iterator<Item = (u32, usize)> {
        self.by_batch.iter().map(|(batch, hosts)| (*batch, hosts.len()))
    }

    /// A host of a batch has failed.
    pub(super) fn add(&mut self, host: usize, batch: u32) {
        if self.counted.insert(host) {
            self.by_batch.entry(batch).or_default().insert(host);
            self.row.push(host);
        }
    }

    /// A host has succeeded.
    pub(super) fn succeeded(&mut self) {
        self.row.clear();
    }

    /// A host does not count any more: it is done again, or somebody told us to skip it.
    pub(super) fn excuse(&mut self, host: usize) {
        self.counted.remove(&host);
        self.row.retain(|failed| *failed != host);
        self.by_batch.retain(|_, hosts| {
            hosts.remove(&host);
            !hosts.is_empty()
        });
    }

    /// Nothing that failed so far counts any more.
    pub(super) fn forgive(&mut self) {
        *self = Self::default();
    }
}
