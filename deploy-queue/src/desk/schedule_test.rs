//! Lease, settlement, cancellation and closing, in thousands of orders that shuttle chooses.
//!
//! What is interleaved is whoever calls a queue in memory, whose every step is one of the desk's:
//! at each lock and at each wait another caller may go first. The channels are tokio's, and count as
//! one step each. The store on disk shares the desk; its writer is not part of this.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::TaskId;
use deploy_core::{Clock, Queue, QueueAdmin, QueueError, Settlement, TaskRecord};
use deploy_testkit::VirtualClock;
use shuttle::future::{block_on, spawn};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Mutex;
use shuttle::{Config, Runner};
use tokio::sync::{Notify, oneshot};

use crate::{MemoryQueue, QueueConfig};

/// How many orders each scheduler tries; `DEPLOY_QUEUE_SCHEDULES` says another number.
const SCHEDULES: usize = 3_000;

const LEASE: Duration = Duration::from_secs(30);

/// Tries a scene in many orders: at random, and with three changes of mind at most (PCT, Burckhardt
/// and others, 2010), which finds what needs a rare order.
fn in_many_orders(scene: impl Fn() + Send + Sync + Clone + 'static) {
    let schedules = std::env::var("DEPLOY_QUEUE_SCHEDULES");
    let schedules = schedules.map_or(SCHEDULES, |number| number.parse().unwrap());
    let mut config = Config::new();
    // Unoptimised futures are large.
    config.stack_size = 1024 * 1024;
    Runner::new(RandomScheduler::new(schedules), config.clone()).run(scene.clone());
    Runner::new(PctScheduler::new(3, schedules), config).run(scene);
}

fn task(id: &str) -> TaskRecord {
    TaskRecord::new(TaskId::new(id).unwrap(), "work", *b"")
}

fn queue() -> (Arc<MemoryQueue>, VirtualClock) {
    let clock = VirtualClock::new();
    let config = QueueConfig::new().with_clock(Arc::new(clock.clone()));
    (Arc::new(MemoryQueue::new(config)), clock)
}

/// What a scene needs of a queue, so that broken ones can be shown to fail it.
#[async_trait]
trait Line: Send + Sync + 'static {
    async fn push(&self, id: &str);
    async fn claim(&self) -> String;
}

#[async_trait]
impl Line for MemoryQueue {
    async fn push(&self, id: &str) {
        Queue::push(self, task(id)).await.unwrap();
    }

    async fn claim(&self) -> String {
        let claim = Queue::claim(self, "worker".to_owned(), vec![], LEASE).await.unwrap();
        claim.token.task.as_str().to_owned()
    }
}

/// Two push and two claim: each claim gets its own task, and none waits for ever.
fn pushes_and_claims(queue: Arc<dyn Line>) {
    block_on(async move {
        let pushes: Vec<_> = ["a", "b"].map(|id| (Arc::clone(&queue), id)).into();
        let pushes: Vec<_> = pushes
            .into_iter()
            .map(|(queue, id)| spawn(async move { queue.push(id).await }))
            .collect();
        let claims =
            [Arc::clone(&queue), queue].map(|queue| spawn(async move { queue.claim().await }));
        let mut claimed = Vec::new();
        for claim in claims {
            claimed.push(claim.await.unwrap());
        }
        for push in pushes {
            push.await.unwrap();
        }
        claimed.sort();
        assert_eq!(claimed, ["a", "b"]);
    });
}

#[test]
fn each_claim_gets_its_own_task_and_none_waits_for_ever() {
    in_many_orders(|| pushes_and_claims(queue().0));
}

#[test]
fn a_claim_that_is_dropped_at_any_moment_leaves_the_task_to_the_next() {
    in_many_orders(|| {
        block_on(async {
            let (queue, clock) = queue();
            let (stop, stopped) = oneshot::channel::<()>();
            let (one, other, pushing) =
                (Arc::clone(&queue), Arc::clone(&queue), Arc::clone(&queue));
            let first = spawn(async move {
                tokio::select! {
                    biased;
                    _ = stopped => None,
                    claim = Queue::claim(&*one, "first".to_owned(), vec![], LEASE) => Some(claim.unwrap()),
                }
            });
            let next = spawn(async move { Line::claim(&*other).await });
            let push = spawn(async move { Line::push(&*pushing, "a").await });
            let cancel = spawn(async move { stop.send(()) });
            if let Some(claim) = first.await.unwrap() {
                // It was faster than its cancellation, and hands the task on.
                let later = Settlement::Defer { until: clock.now() };
                queue.settle(claim.token, later).await.unwrap();
            }
            assert_eq!(next.await.unwrap(), "a");
            push.await.unwrap();
            // The first claim may have ended before, and with it whoever listens.
            let _ = cancel.await.unwrap();
            assert_eq!(queue.statistics().await.unwrap().claimed, 1);
        });
    });
}

#[test]
fn a_lease_that_ends_while_it_is_settled_goes_to_one_of_both() {
    in_many_orders(|| {
        block_on(async {
            let (queue, clock) = queue();
            Line::push(&*queue, "a").await;
            let held = Queue::claim(&*queue, "first".to_owned(), vec![], LEASE).await.unwrap();
            let (one, other) = (Arc::clone(&queue), Arc::clone(&queue));
            let next = spawn(async move { Line::claim(&*other).await });
            let settle = spawn(async move { one.settle(held.token, Settlement::Done).await });
            let time = spawn(async move { clock.advance(LEASE) });
            time.await.unwrap();
            match settle.await.unwrap() {
                Ok(()) => Line::push(&*queue, "b").await,
                Err(QueueError::LeaseLost { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
            let claimed = next.await.unwrap();
            let known = queue.find(TaskId::new("a").unwrap()).await.unwrap();
            // Who was told that it is done is right: it is not given out again.
            assert_eq!(known.is_some(), claimed == "a", "{claimed}");
        });
    });
}

#[test]
fn a_task_that_comes_due_is_handed_out_whoever_waits_first() {
    in_many_orders(|| {
        block_on(async {
            let (queue, clock) = queue();
            let due = clock.now().plus(LEASE);
            // The waiting claim sleeps for this one first.
            let far = task("far").with_due(clock.now().plus(LEASE * 9));
            Queue::push(&*queue, far).await.unwrap();
            let (one, other) = (Arc::clone(&queue), Arc::clone(&queue));
            let claim = spawn(async move { Line::claim(&*one).await });
            let push =
                spawn(async move { Queue::push(&*other, task("a").with_due(due)).await.unwrap() });
            let time = spawn(async move { clock.advance(LEASE) });
            assert_eq!(claim.await.unwrap(), "a");
            push.await.unwrap();
            time.await.unwrap();
        });
    });
}

#[test]
fn a_renewal_and_the_end_of_the_lease_agree_on_who_has_the_task() {
    in_many_orders(|| {
        block_on(async {
            let (queue, clock) = queue();
            Line::push(&*queue, "a").await;
            let held = Queue::claim(&*queue, "first".to_owned(), vec![], LEASE).await.unwrap();
            let (one, token) = (Arc::clone(&queue), held.token.clone());
            let renew = spawn(async move { one.renew(token, LEASE * 3).await });
            let time = spawn(async move { clock.advance(LEASE) });
            let renewed = renew.await.unwrap().is_ok();
            time.await.unwrap();
            let settled = queue.settle(held.token, Settlement::Done).await;
            assert_eq!(renewed, settled.is_ok(), "{settled:?}");
        });
    });
}

#[test]
fn closing_ends_every_claim_and_loses_none() {
    in_many_orders(|| {
        block_on(async {
            let (queue, _) = queue();
            let claims = ["first", "other"].map(|name| {
                let queue = Arc::clone(&queue);
                spawn(async move { Queue::claim(&*queue, name.to_owned(), vec![], LEASE).await })
            });
            let (one, other) = (Arc::clone(&queue), Arc::clone(&queue));
            let push = spawn(async move { Queue::push(&*one, task("a")).await });
            let close = spawn(async move { other.close() });
            let mut given = 0;
            for claim in claims {
                match claim.await.unwrap() {
                    Ok(_) => given += 1,
                    Err(QueueError::Closed) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            let pushed = push.await.unwrap().is_ok();
            close.await.unwrap();
            assert!(given <= u32::from(pushed), "{given} of {pushed}");
        });
    });
}

/// Looks whether there is a task, and only then begins to listen for one: a wake-up gets lost.
#[derive(Default)]
struct Forgetful {
    tasks: Mutex<VecDeque<String>>,
    pushed: Notify,
}

#[async_trait]
impl Line for Forgetful {
    async fn push(&self, id: &str) {
        self.tasks.lock().unwrap().push_back(id.to_owned());
        self.pushed.notify_waiters();
    }

    async fn claim(&self) -> String {
        loop {
            let found = self.tasks.lock().unwrap().pop_front();
            match found {
                Some(id) => return id,
                None => {
                    shuttle::future::yield_now().await;
                    self.pushed.notified().await;
                }
            }
        }
    }
}

/// Looks at the first task in one step and takes it in another: two workers get the same.
#[derive(Default)]
struct Hasty(Forgetful);

#[async_trait]
impl Line for Hasty {
    async fn push(&self, id: &str) {
        self.0.push(id).await;
    }

    async fn claim(&self) -> String {
        loop {
            let found = self.0.tasks.lock().unwrap().front().cloned();
            match found {
                Some(id) => {
                    self.0.tasks.lock().unwrap().retain(|task| *task != id);
                    return id;
                }
                None => shuttle::future::yield_now().await,
            }
        }
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_wake_up_that_gets_lost_is_found() {
    in_many_orders(|| pushes_and_claims(Arc::new(Forgetful::default())));
}

#[test]
#[should_panic(expected = "left")]
fn a_task_that_is_given_out_twice_is_found() {
    in_many_orders(|| pushes_and_claims(Arc::new(Hasty::default())));
}
