//! The ledger behind a lock, with the claims that wait at it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use deploy_core::model::Timestamp;
use deploy_core::{Clock, QueueError};
use tokio::sync::{oneshot, watch};

use crate::ledger::{Change, Leased, Ledger};
use crate::sync::{Mutex, MutexGuard};

#[cfg(test)]
mod schedule_test;

/// Whoever keeps the tasks of a ledger. Called under the desk's lock, in the order of the changes.
pub(crate) trait Keeper {
    /// Keeps how often a task was claimed, at its leisure.
    fn note(&mut self, change: Change);

    /// Hands on what it was given since the last time.
    fn flush(&mut self);
}

/// A ledger, its keeper, and the claims that wait until there is something for them.
///
/// A task is handed to the claim that has waited longest for its kind, by whoever made it ready:
/// nobody polls. For what becomes ready by the passing of time the waiting claims watch the clock.
#[derive(Debug)]
pub(crate) struct Desk<K> {
    clock: Arc<dyn Clock>,
    state: Mutex<State<K>>,
    /// When time alone will change something. Only an earlier time wakes those who watch.
    next_tick: watch::Sender<Option<Timestamp>>,
}

#[derive(Debug)]
struct State<K> {
    ledger: Ledger,
    keeper: K,
    waiting: BTreeMap<u64, Waiting>,
    next_ticket: u64,
    closed: bool,
}

/// A claim that waits.
#[derive(Debug)]
struct Waiting {
    worker: String,
    kinds: Vec<String>,
    lease: Duration,
    answer: oneshot::Sender<Leased>,
}

impl<K: Keeper> Desk<K> {
    /// Opens the desk.
    pub(crate) fn new(ledger: Ledger, keeper: K, clock: Arc<dyn Clock>) -> Self {
        let next_tick = watch::Sender::new(ledger.next_tick());
        let state =
            State { ledger, keeper, waiting: BTreeMap::new(), next_ticket: 0, closed: false };
        Self { clock, state: Mutex::new(state), next_tick }
    }

    /// Does something with the ledger as it is now, and then hands out what has become ready.
    pub(crate) fn with<R>(
        &self,
        work: impl FnOnce(&mut Ledger, &mut K, Timestamp) -> R,
    ) -> Result<R, QueueError> {
        let mut state = self.lock();
        if state.closed {
            return Err(QueueError::Closed);
        }
        let now = self.clock.now();
        let state = &mut *state;
        state.ledger.tick(now);
        let answer = work(&mut state.ledger, &mut state.keeper, now);
        state.hand_out(now);
        state.keeper.flush();
        self.announce(state.ledger.next_tick());
        Ok(answer)
    }

    /// Waits for a task. Until the answer is kept, dropping it gives the task back.
    pub(crate) async fn claim(
        &self,
        worker: String,
        kinds: Vec<String>,
        lease: Duration,
    ) -> Result<Held<'_, K>, QueueError> {
        let mut next_tick = self.next_tick.subscribe();
        let mut place = self.queue_up(worker, kinds, lease)?;
        loop {
            let at = *next_tick.borrow_and_update();
            let time_comes = async {
                match at {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                answer = &mut place.answer => {
                    return match answer {
                        Ok(leased) => Ok(Held { desk: self, leased: Some(leased) }),
                        Err(_) => Err(QueueError::Closed),
                    };
                }
                () = time_comes => self.with(|_, _, _| ())?,
                _ = next_tick.changed() => {}
            }
        }
    }

    /// Ends every claim that waits, and refuses all further work.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        // The waiting claims see that nobody will answer any more.
        state.waiting.clear();
    }

    /// Looks at the keeper, also when the desk is closed.
    pub(crate) fn keeper<R>(&self, look: impl FnOnce(&mut K) -> R) -> R {
        look(&mut self.lock().keeper)
    }

    /// Queues up behind the claims that wait; the answer comes at once when there is a task.
    fn queue_up(
        &self,
        worker: String,
        kinds: Vec<String>,
        lease: Duration,
    ) -> Result<Place<'_, K>, QueueError> {
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting { worker, kinds, lease, answer: sender };
        let mut state = self.lock();
        if state.closed {
            return Err(QueueError::Closed);
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(ticket, waiting);
        drop(state);
        let place = Place { desk: self, ticket, answer };
        self.with(|_, _, _| ())?;
        Ok(place)
    }

    fn give_back(&self, leased: &Leased) {
        // A closed queue hands nothing out, so there is nobody to give it back for.
        let _ = self.with(|ledger, keeper, now| {
            if let Some(change) = ledger.give_back(&leased.token, now) {
                keeper.note(change);
            }
        });
    }

    fn announce(&self, at: Option<Timestamp>) {
        self.next_tick.send_if_modified(|next| {
            let earlier = match (at, *next) {
                (Some(at), Some(next)) => at < next,
                (at, None) => at.is_some(),
                (None, Some(_)) => false,
            };
            *next = at;
            earlier
        });
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // Nothing below panics while it holds the lock, and a caller's panic elsewhere is not ours.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Keeper> State<K> {
    /// Hands what is ready to the claims that wait, those that came first first.
    fn hand_out(&mut self, now: Timestamp) {
        if !self.ledger.has_ready() {
            return;
        }
        let mut tickets = self.waiting.keys().copied().collect::<Vec<_>>().into_iter();
        while self.ledger.has_ready()
            && let Some(ticket) = tickets.next()
        {
            let Some(waiting) = self.waiting.get(&ticket) else {
                continue;
            };
            let (worker, kinds) = (&waiting.worker, &waiting.kinds);
            let Some(leased) = self.ledger.claim(worker, kinds, waiting.lease, now) else {
                continue;
            };
            self.keeper.note(leased.change.clone());
            let Some(waiting) = self.waiting.remove(&ticket) else {
                continue;
            };
            if let Err(leased) = waiting.answer.send(leased)
                && let Some(change) = self.ledger.give_back(&leased.token, now)
            {
                self.keeper.note(change);
            }
        }
    }
}

/// A waiting claim's place at the desk. Dropping it leaves the queue, and gives back what came.
struct Place<'a, K: Keeper> {
    desk: &'a Desk<K>,
    ticket: u64,
    answer: oneshot::Receiver<Leased>,
}

impl<K: Keeper> Drop for Place<'_, K> {
    fn drop(&mut self) {
        self.desk.lock().waiting.remove(&self.ticket);
        self.answer.close();
        if let Ok(leased) = self.answer.try_recv() {
            self.desk.give_back(&leased);
        }
    }
}

/// A task that was handed out and not yet given to the worker. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Held<'a, K: Keeper> {
    desk: &'a Desk<K>,
    leased: Option<Leased>,
}

impl<K: Keeper> Held<'_, K> {
    /// The order of the task.
    pub(crate) fn order(&self) -> u64 {
        self.leased.as_ref().map_or(0, |leased| leased.order)
    }

    /// Gives it to the worker, unless the lease has ended on the way: another one may have it.
    pub(crate) fn keep(mut self) -> Option<Leased> {
        let leased = self.leased.take()?;
        self.desk.lock().ledger.holds(&leased.token).then_some(leased)
    }
}

impl<K: Keeper> Drop for Held<'_, K> {
    fn drop(&mut self) {
        if let Some(leased) = self.leased.take() {
            self.desk.give_back(&leased);
        }
    }
}
