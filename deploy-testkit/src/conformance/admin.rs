//! Cases of [`QueueAdmin`](deploy_core::QueueAdmin).

#![allow(clippy::missing_panics_doc)]

use std::time::Duration;

use deploy_core::{Clock, Pushed, QueueStatistics, Settlement, TaskPlace};

use super::bench::{AdminBench, LEASE, failure, task};
use crate::samples;

impl AdminBench {
    /// Pushes a task, claims it, and sets it aside.
    async fn kill(&self, id: &str) {
        self.queue.push(&task(id)).await;
        let claim = self.queue.claim().await;
        assert_eq!(claim.task.id, samples::task_id(id));
        let failure = failure(id);
        self.queue.settle(&claim, Settlement::Dead { failure }).await;
    }

    async fn find(&self, id: &str) -> Option<TaskPlace> {
        self.admin.find(samples::task_id(id)).await.expect("the queue works")
    }

    async fn withdraw(&self, id: &str) -> bool {
        self.admin.withdraw(samples::task_id(id)).await.expect("the queue works")
    }

    async fn replay(&self, id: &str) -> bool {
        self.admin.replay(samples::task_id(id)).await.expect("the queue works")
    }

    async fn dead(&self, after: Option<&str>, limit: usize) -> Vec<String> {
        let after = after.map(samples::task_id);
        let dead = self.admin.dead_letters(after, limit).await.expect("the queue works");
        dead.iter().map(|letter| letter.task.id.as_str().to_owned()).collect()
    }
}

/// Clause 1.
pub async fn a_task_is_found_where_it_is(bench: AdminBench) {
    assert_eq!(bench.find("a").await, None);
    let due = bench.queue.later(60);
    bench.queue.push(&task("a").with_due(due)).await;
    assert_eq!(bench.find("a").await, Some(TaskPlace::Queued { due, attempts: 0 }));
    bench.queue.clock.set(due);
    assert_eq!(bench.find("a").await, Some(TaskPlace::Queued { due, attempts: 0 }));
    let claim = bench.queue.claim().await;
    let (worker, until) = ("worker".to_owned(), due.plus(LEASE));
    assert_eq!(bench.find("a").await, Some(TaskPlace::Claimed { worker, until }));
    let (after, failure) = (Some(Duration::from_secs(5)), failure("not yet"));
    bench.queue.settle(&claim, Settlement::Retry { after, failure: failure.clone() }).await;
    let due = due.plus(Duration::from_secs(5));
    assert_eq!(bench.find("a").await, Some(TaskPlace::Queued { due, attempts: 1 }));
    bench.queue.clock.set(due);
    let claim = bench.queue.claim().await;
    bench.queue.settle(&claim, Settlement::Dead { failure }).await;
    assert_eq!(bench.find("a").await, Some(TaskPlace::Dead));
}

/// Clause 2.
pub async fn a_task_that_no_worker_has_can_be_withdrawn(bench: AdminBench) {
    bench.kill("dead").await;
    bench.queue.push(&task("claimed")).await;
    bench.queue.claim().await;
    bench.queue.push(&task("delayed").with_due(bench.queue.later(60))).await;
    bench.queue.push(&task("ready")).await;
    assert!(!bench.withdraw("unknown").await);
    assert!(!bench.withdraw("claimed").await);
    for id in ["dead", "delayed", "ready"] {
        assert!(bench.withdraw(id).await, "{id}");
        assert_eq!(bench.find(id).await, None, "{id}");
        assert!(!bench.withdraw(id).await, "{id}");
    }
    assert_eq!(bench.queue.next().await, None);
    assert_eq!(bench.queue.push(&task("ready")).await, Pushed::New, "its id is free again");
}

/// Clause 3.
pub async fn dead_tasks_are_listed_in_the_order_of_their_ids(bench: AdminBench) {
    for id in ["c", "a", "d", "b"] {
        bench.kill(id).await;
    }
    bench.queue.push(&task("alive")).await;
    assert_eq!(bench.dead(None, 10).await, ["a", "b", "c", "d"]);
    assert_eq!(bench.dead(None, 2).await, ["a", "b"]);
    assert_eq!(bench.dead(Some("b"), 10).await, ["c", "d"]);
    assert_eq!(bench.dead(Some("bb"), 1).await, ["c"], "the id need not be there");
    assert_eq!(bench.dead(Some("d"), 10).await, [""; 0]);
}

/// Clause 3.
pub async fn a_dead_task_tells_why_and_when(bench: AdminBench) {
    bench.queue.push(&task("a")).await;
    bench.queue.claim().await;
    bench.queue.clock.advance(LEASE);
    bench.kill("a").await;
    let dead = bench.admin.dead_letters(None, 10).await.expect("the queue works");
    let [letter] = &dead[..] else {
        panic!("one task is dead: {dead:?}");
    };
    assert_eq!(letter.task, task("a"));
    assert_eq!(letter.attempts, 2);
    assert_eq!(letter.failure, failure("a"));
    assert_eq!(letter.at, bench.queue.clock.now());
}

/// Clause 4.
pub async fn a_replayed_task_is_due_at_once_and_counts_from_the_start(bench: AdminBench) {
    bench.kill("a").await;
    assert!(bench.replay("a").await);
    assert_eq!(bench.dead(None, 10).await, [""; 0]);
    let claim = bench.queue.claim_now().await.expect("it is due");
    assert_eq!((claim.task, claim.attempt), (task("a"), 1));
}

/// Clause 4.
pub async fn a_waiting_claim_is_woken_by_a_replay(bench: AdminBench) {
    bench.kill("a").await;
    let claim = bench.queue.begin_claim();
    tokio::task::yield_now().await;
    assert!(bench.replay("a").await);
    assert_eq!(claim.await.expect("it is due").task, task("a"));
}

/// Clause 4.
pub async fn only_a_dead_task_is_replayed(bench: AdminBench) {
    assert!(!bench.replay("unknown").await);
    bench.queue.push(&task("a").with_due(bench.queue.later(60))).await;
    assert!(!bench.replay("a").await);
    assert_eq!(bench.queue.next().await, None, "it stays where it was");
}

/// Clause 5.
pub async fn the_statistics_count_each_task_once(bench: AdminBench) {
    bench.kill("dead").await;
    bench.queue.push(&task("claimed").with_exclusive_key("key")).await;
    bench.queue.claim().await;
    bench.queue.push(&task("waits-for-the-key").with_exclusive_key("key")).await;
    bench.queue.push(&task("ready")).await;
    bench.queue.push(&task("delayed").with_due(bench.queue.later(60))).await;
    let found = bench.admin.statistics().await.expect("the queue works");
    let mut expected = QueueStatistics::default();
    (expected.ready, expected.delayed, expected.claimed, expected.dead) = (2, 1, 1, 1);
    assert_eq!(found, expected);
}
