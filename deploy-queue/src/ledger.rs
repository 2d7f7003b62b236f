//! The lease rules as pure state: what a queue knows, and what each call makes of it.
//!
//! Every method is given the present time and says what became of which task. Nothing here waits,
//! reads a clock, or keeps a task's content: the memory and the disk queue share it.

mod entry;
mod ids;
mod intake;
mod look;
#[cfg(test)]
mod model_test;
mod moment;
mod operate;
mod ready;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{Failure, LeaseToken, QueueError, Settlement};

use crate::config::Backoff;
pub(crate) use entry::{Change, Death, Fingerprint, Leased};
use entry::{Entry, Lease, Place};
use ids::Ids;
pub(crate) use look::DeadTask;
use moment::Moment;
use ready::Ready;

/// The limits of a ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) capacity: u64,
    pub(crate) max_payload: u64,
    pub(crate) backoff: Backoff,
}

/// What a queue knows of its tasks.
///
/// A task is known by its order: the number of its push. Orders and claim numbers only grow.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: Limits,
    /// A tree, and not a hash table, which would double in size when it is large already.
    tasks: BTreeMap<u64, Box<Entry>>,
    ids: Ids,
    ready: Ready,
    delayed: BTreeSet<(Moment, u64)>,
    leases: BTreeSet<(Timestamp, u64)>,
    dead: BTreeMap<TaskId, u64>,
    next_order: u64,
    next_claim: u64,
}

impl Ledger {
    /// Knows no task yet. Claims are numbered on from `next_claim`.
    pub(crate) fn new(limits: Limits, next_claim: u64) -> Self {
        Self {
            limits,
            tasks: BTreeMap::new(),
            ids: Ids::default(),
            ready: Ready::default(),
            delayed: BTreeSet::new(),
            leases: BTreeSet::new(),
            dead: BTreeMap::new(),
            next_order: 1,
            next_claim,
        }
    }

    /// Lets time pass: what has come due can be claimed, and leases that were not renewed end.
    ///
    /// Nobody has to keep that: a claimed task is kept as it waits once its lease has ended.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.tick_delayed(now);
        while let Some(&(until, order)) = self.leases.first()
            && until <= now
        {
            self.end_lease(order);
            self.wait(order, None, now);
        }
    }

    fn tick_delayed(&mut self, now: Timestamp) {
        while let Some(&(due, order)) = self.delayed.first()
            && due <= now.into()
        {
            self.delayed.remove(&(due, order));
            if let Some(entry) = self.tasks.get_mut(&order) {
                entry.place = Place::Ready;
                self.ready.insert(&entry.kind, entry.key.as_ref(), entry.rank(order));
            }
        }
    }

    /// When something changes by the mere passing of time.
    pub(crate) fn next_tick(&self) -> Option<Timestamp> {
        let due = self.delayed.first().map(|(at, _)| Timestamp::from(*at));
        due.into_iter().chain(self.leases.first().map(|(at, _)| *at)).min()
    }

    /// Says whether any task can be claimed.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Hands the next task of some kinds to a worker.
    pub(crate) fn claim(
        &mut self,
        worker: &str,
        kinds: &[String],
        lease: Duration,
        now: Timestamp,
    ) -> Option<Leased> {
        let rank = self.ready.first(kinds)?;
        let order = rank.2;
        let entry = self.tasks.get_mut(&order)?;
        self.ready.remove(&entry.kind, entry.key.as_ref(), rank);
        if let Some(key) = &entry.key {
            self.ready.hold(key);
        }
        let number = self.next_claim;
        self.next_claim += 1;
        let until = now.plus(lease);
        self.leases.insert((until, order));
        entry.attempts = entry.attempts.saturating_add(1);
        let (due, attempts) = (entry.due.into(), entry.attempts);
        entry.place = Place::Claimed(Box::new(Lease { number, worker: worker.to_owned(), until }));
        Some(Leased {
            order,
            token: LeaseToken::new(entry.id.clone(), worker.to_owned(), number),
            attempt: attempts,
            change: Change::Waits { order, due, attempts },
        })
    }

    /// Takes a task back from a worker that never saw it.
    pub(crate) fn give_back(&mut self, token: &LeaseToken, now: Timestamp) -> Option<Change> {
        let order = self.leased(token).ok()?;
        self.end_lease(order);
        self.undo_attempt(order);
        Some(self.wait(order, None, now))
    }

    /// Lets a lease last for `lease` from now.
    pub(crate) fn renew(
        &mut self,
        token: &LeaseToken,
        lease: Duration,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        let order = self.leased(token)?;
        if let Some(entry) = self.tasks.get_mut(&order)
            && let Place::Claimed(held) = &mut entry.place
        {
            self.leases.remove(&(held.until, order));
            held.until = now.plus(lease);
            self.leases.insert((held.until, order));
        }
        Ok(())
    }

    /// Ends a lease and does with the task as the worker says.
    pub(crate) fn settle(
        &mut self,
        token: &LeaseToken,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Change, QueueError> {
        let order = self.leased(token)?;
        let lost = || QueueError::LeaseLost { id: token.task.clone() };
        match settlement {
            Settlement::Done => {
                self.end_lease(order);
                self.forget(order).ok_or_else(lost)
            }
            Settlement::Retry { after, .. } => {
                self.end_lease(order);
                let attempts = self.tasks.get(&order).map_or(1, |entry| entry.attempts);
                let pause = after.unwrap_or_else(|| self.limits.backoff.pause(attempts, order));
                Ok(self.wait(order, Some(now.plus(pause)), now))
            }
            Settlement::Defer { until } => {
                self.end_lease(order);
                self.undo_attempt(order);
                Ok(self.wait(order, Some(until), now))
            }
            Settlement::Dead { failure } => self.set_aside(order, failure, now).ok_or_else(lost),
            // The enum is ours and closed; a variant added there is added here.
            other => unreachable!("a settlement this ledger does not know: {other:?}"),
        }
    }

    /// The task of a lease that has not ended.
    fn leased(&self, token: &LeaseToken) -> Result<u64, QueueError> {
        let order = self.order(&token.task);
        let held = order.and_then(|order| match &self.tasks.get(&order)?.place {
            Place::Claimed(lease) => Some((order, lease)),
            Place::Ready | Place::Delayed | Place::Dead(_) => None,
        });
        match held {
            Some((order, lease))
                if lease.number == token.number && lease.worker == token.worker =>
            {
                Ok(order)
            }
            _ => Err(QueueError::LeaseLost { id: token.task.clone() }),
        }
    }

    /// Ends the lease on a task, whose place has to be set next.
    fn end_lease(&mut self, order: u64) {
        let Some(entry) = self.tasks.get(&order) else {
            return;
        };
        if let Place::Claimed(lease) = &entry.place {
            self.leases.remove(&(lease.until, order));
            if let Some(key) = &entry.key {
                self.ready.release(key);
            }
        }
    }

    /// Lets a task wait until it is due: at another time, or as before.
    fn wait(&mut self, order: u64, due: Option<Timestamp>, now: Timestamp) -> Change {
        let mut change = Change::Goes { order };
        if let Some(entry) = self.tasks.get_mut(&order) {
            entry.due = due.map_or(entry.due, Moment::from);
            entry.place = Place::Delayed;
            self.delayed.insert((entry.due, order));
            change = Change::Waits { order, due: entry.due.into(), attempts: entry.attempts };
        }
        self.tick_delayed(now);
        change
    }

    fn set_aside(&mut self, order: u64, failure: Failure, now: Timestamp) -> Option<Change> {
        self.end_lease(order);
        let entry = self.tasks.get_mut(&order)?;
        let death = Death { failure, at: now };
        entry.place = Place::Dead(Box::new(death.clone()));
        self.dead.insert(entry.id.clone(), order);
        let (due, attempts) = (entry.due.into(), entry.attempts);
        Some(Change::Dies { order, due, attempts, death })
    }

    /// The task with an id.
    fn order(&self, id: &TaskId) -> Option<u64> {
        self.ids.find(id, |order| self.tasks.get(&order).is_some_and(|entry| entry.id == *id))
    }

    fn forget(&mut self, order: u64) -> Option<Change> {
        let entry = self.tasks.remove(&order)?;
        self.ids.remove(&entry.id, order);
        Some(Change::Goes { order })
    }

    fn undo_attempt(&mut self, order: u64) {
        if let Some(entry) = self.tasks.get_mut(&order) {
            entry.attempts = entry.attempts.saturating_sub(1);
        }
    }
}
