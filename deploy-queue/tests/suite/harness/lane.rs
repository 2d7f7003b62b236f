//! A producer's journals.

use deploy_core::Journal;
use deploy_core::model::TaskId;

use super::content::event;
use super::load::{Actor, Failed};

/// After how many events a journal is left alone, or removed.
const JOURNAL: u64 = 40;

/// A producer's journals, one after the other.
#[derive(Debug)]
pub(super) struct JournalLane {
    name: String,
    journal: u64,
    last: u64,
}

impl JournalLane {
    pub(super) fn new(cycle: &str, lane: u64) -> Self {
        Self { name: format!("{cycle}-{lane}"), journal: 0, last: 0 }
    }

    pub(super) async fn append(&mut self, actor: &Actor) -> Result<(), Failed> {
        let name = format!("{}-{}-journal", self.name, self.journal);
        let id: TaskId = name.parse().unwrap();
        let last = self.last + 1 + self.last % 3;
        let events = (self.last + 1..=last).map(|number| event(&id, number)).collect();
        actor.call("append", &name, last, actor.store.append(events)).await?;
        self.last = last;
        if last >= JOURNAL {
            if self.journal.is_multiple_of(2) {
                actor.call("remove", &name, 0, actor.store.remove(id)).await?;
            }
            (self.journal, self.last) = (self.journal + 1, 0);
        }
        Ok(())
    }
}
