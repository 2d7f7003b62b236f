//! What a journal knows of its tasks without reading their events, and who follows them.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{Event, JournalError, JournalQuery, Sequence, TaskSummary};
use tokio::sync::Notify;

/// What a journal knows of a task: where its events end, and its summary when its first event is one
/// that accepts a task.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "disk", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Card {
    pub(crate) last: Sequence,
    pub(crate) summary: Option<TaskSummary>,
}

impl Card {
    /// The card of a task after some more events, when they go on where its events end.
    pub(crate) fn after(mut self, events: &[Event]) -> Result<Self, JournalError> {
        let last = self.last;
        let Some(task) = events.first().map(|event| &event.task) else {
            return Ok(self);
        };
        for event in events {
            if event.task != *task || event.sequence != self.last.plus(1) {
                let (task, found) = (task.clone(), event.sequence);
                return Err(JournalError::Conflict { task, last, found });
            }
            match &mut self.summary {
                Some(summary) => summary.apply(event),
                None if self.last == Sequence::START => self.summary = TaskSummary::of(event),
                None => {}
            }
            self.last = event.sequence;
        }
        Ok(self)
    }
}

/// The tasks of a journal, in the order of its lists.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    cards: HashMap<TaskId, Card>,
    accepted: BTreeSet<(Timestamp, TaskId)>,
}

impl Catalog {
    /// The card of a task.
    pub(crate) fn card(&self, task: &TaskId) -> Option<&Card> {
        self.cards.get(task)
    }

    /// Puts in, or replaces, the card of a task.
    pub(crate) fn put(&mut self, task: TaskId, card: Card) {
        if let Some(summary) = &card.summary {
            self.accepted.insert((summary.accepted_at, task.clone()));
        }
        self.cards.insert(task, card);
    }

    /// Takes out the card of a task.
    pub(crate) fn remove(&mut self, task: &TaskId) -> Option<Card> {
        let card = self.cards.remove(task)?;
        if let Some(summary) = &card.summary {
            self.accepted.remove(&(summary.accepted_at, task.clone()));
        }
        Some(card)
    }

    /// Where a task's events end.
    pub(crate) fn last(&self, task: &TaskId) -> Sequence {
        self.cards.get(task).map_or(Sequence::START, |card| card.last)
    }

    /// The tasks that match, those accepted last first.
    pub(crate) fn list(&self, query: &JournalQuery) -> Vec<TaskSummary> {
        let summary = |task: &TaskId| self.cards.get(task)?.summary.as_ref();
        let limit = query.limit.unwrap_or(JournalQuery::LIMIT);
        let end = match &query.after {
            None => Bound::Unbounded,
            Some(after) => match summary(after) {
                Some(last) => Bound::Excluded((last.accepted_at, after.clone())),
                // Nobody can say where the page ended; to begin anew would never end.
                None => return Vec::new(),
            },
        };
        self.accepted
            .range((Bound::Unbounded, end))
            .rev()
            .filter_map(|(_, task)| summary(task))
            .filter(|summary| query.matches(summary))
            .take(limit)
            .cloned()
            .collect()
    }
}

/// Those who wait for a task's next event.
#[derive(Debug, Default)]
pub(crate) struct Followers(Mutex<HashMap<TaskId, Arc<Notify>>>);

impl Followers {
    /// Wakes those who follow a task.
    pub(crate) fn wake(&self, task: &TaskId) {
        // It stays: somebody who has sat down and does not wait yet is to hear the next wake.
        if let Some(follower) = self.lock().get(task) {
            follower.notify_waiters();
        }
    }

    /// Wakes all.
    pub(crate) fn wake_all(&self) {
        self.lock().values().for_each(|follower| follower.notify_waiters());
    }

    /// Waits until `look` finds something; it is asked again after each wake.
    pub(crate) async fn until<R>(
        &self,
        task: &TaskId,
        mut look: impl FnMut() -> Option<R> + Send,
    ) -> R {
        loop {
            let seat = self.sit_down(task);
            let woken = seat.follower.notified();
            tokio::pin!(woken);
            // Whoever wakes from here on is heard, so nothing falls between looking and waiting.
            woken.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            woken.await;
        }
    }

    fn sit_down<'a>(&'a self, task: &'a TaskId) -> Seat<'a> {
        let mut followers = self.lock();
        let follower = match followers.get(task) {
            Some(follower) => Arc::clone(follower),
            None => Arc::clone(followers.entry(task.clone()).or_default()),
        };
        Seat { followers: self, task, follower }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A follower's place. The last to leave clears the table.
struct Seat<'a> {
    followers: &'a Followers,
    task: &'a TaskId,
    follower: Arc<Notify>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut followers = self.followers.lock();
        // The table's own and ours: nobody else follows.
        if followers.get(self.task).is_some_and(|follower| {
            Arc::ptr_eq(follower, &self.follower) && Arc::strong_count(follower) == 2
        }) {
            followers.remove(self.task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn somebody_who_has_sat_down_and_misses_a_wake_hears_the_next_one() {
        let (followers, task) = (Followers::default(), "task".parse().unwrap());
        let seat = followers.sit_down(&task);
        followers.wake(&task);
        let woken = seat.follower.notified();
        followers.wake(&task);
        woken.await;
        drop(seat);
        assert!(followers.lock().is_empty(), "the last to leave clears the table");
    }
}
