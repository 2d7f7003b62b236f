//! Cases of [`Queue`](deploy_core::Queue): claims that wait.

#![allow(clippy::missing_panics_doc)]

use std::time::Duration;

use deploy_core::{Settlement, TaskRecord};
use tokio::task::yield_now;

use super::bench::{LEASE, QueueBench, task};
use crate::samples;

/// How often a test lets the others run, so that a claim that is to wait does. When it were too few,
/// the claim would find its task at once, and the case would show less; it would never fail.
const YIELDS: usize = 20;

/// Lets the other tasks of the runtime run until they wait.
async fn settle_down() {
    for _ in 0..YIELDS {
        yield_now().await;
    }
}

/// Clause 6.
pub async fn a_waiting_claim_is_woken_by_a_push(bench: QueueBench) {
    let claims = [
        bench.begin_claim(),
        bench.begin_claim(),
        bench.begin_claim(),
    ];
    settle_down().await;
    for id in ["a", "b", "c"] {
        bench.push(&task(id)).await;
    }
    for claim in claims {
        claim.await.expect("each claim gets a task");
    }
}

/// Clause 6.
pub async fn a_waiting_claim_is_woken_when_a_task_comes_due(bench: QueueBench) {
    bench.push(&task("later").with_due(bench.later(7200))).await;
    let claim = bench.begin_claim();
    settle_down().await;
    bench
        .push(&task("sooner").with_due(bench.later(3600)))
        .await;
    settle_down().await;
    bench.clock.advance(Duration::from_secs(3600));
    assert_eq!(
        claim.await.expect("it is due").task.id,
        samples::task_id("sooner")
    );
    let claim = bench.begin_claim();
    bench.clock.advance(Duration::from_secs(3600));
    // The lease on the first has run out by then, and the first was due before.
    assert_eq!(
        claim.await.expect("it is due").task.id,
        samples::task_id("sooner")
    );
    assert_eq!(bench.claim().await.task.id, samples::task_id("later"));
}

/// Clause 6.
pub async fn a_waiting_claim_is_woken_when_a_task_is_rescheduled(bench: QueueBench) {
    bench.push(&task("a").with_due(bench.later(3600))).await;
    let claim = bench.begin_claim();
    settle_down().await;
    let rescheduled = bench
        .queue
        .reschedule(samples::task_id("a"), bench.now())
        .await;
    assert!(rescheduled.expect("the queue works"));
    claim.await.expect("it is due now");
}

/// Clauses 4 and 6.
pub async fn a_waiting_claim_is_woken_when_a_key_is_freed(bench: QueueBench) {
    bench.push(&task("a").with_exclusive_key("key")).await;
    bench.push(&task("b").with_exclusive_key("key")).await;
    let first = bench.claim().await;
    let claim = bench.begin_claim();
    settle_down().await;
    bench.settle(&first, Settlement::Done).await;
    assert_eq!(
        claim.await.expect("the key is free").task.id,
        samples::task_id("b")
    );
}

/// Clauses 3 and 6.
pub async fn a_waiting_claim_is_woken_when_a_lease_runs_out(bench: QueueBench) {
    bench.push(&task("a")).await;
    bench.claim().await;
    let claim = bench.begin_claim();
    settle_down().await;
    bench.clock.advance(LEASE);
    assert_eq!(claim.await.expect("the lease has run out").attempt, 2);
}

/// Clause 6.
pub async fn a_waiting_claim_is_woken_by_its_own_kind_only(bench: QueueBench) {
    let begin = |kind: &'static str| {
        let queue = std::sync::Arc::clone(&bench.queue);
        tokio::spawn(async move {
            let claim = queue
                .claim("worker".to_owned(), vec![kind.to_owned()], LEASE)
                .await;
            claim.expect("a claim ends with a task").task.kind
        })
    };
    let (stone, paper) = (begin("stone"), begin("paper"));
    settle_down().await;
    bench
        .push(&TaskRecord::new(samples::task_id("p"), "paper", *b""))
        .await;
    assert_eq!(paper.await.expect("its kind was pushed"), "paper");
    bench
        .push(&TaskRecord::new(samples::task_id("s"), "stone", *b""))
        .await;
    assert_eq!(stone.await.expect("its kind was pushed"), "stone");
}

/// Cancellation: a dropped claim claims nothing, or gives the task back at once.
pub async fn a_dropped_claim_loses_nothing(bench: QueueBench) {
    // Dropped while it waits, while a task is on its way to it, and after it came.
    for round in 0..50 {
        let id = format!("task-{round}");
        let claim = bench.begin_claim();
        for _ in 0..round % 5 {
            yield_now().await;
        }
        let pushed = task(&id);
        if round % 2 == 0 {
            claim.abort();
            bench.push(&pushed).await;
        } else {
            bench.push(&pushed).await;
            claim.abort();
        }
        let claim = match claim.await {
            // The claim had ended: its task is with the worker.
            Ok(claim) => claim,
            Err(_) => bench
                .claim_now()
                .await
                .expect("the task was given back at once"),
        };
        assert_eq!((claim.task.id.as_str(), claim.attempt), (id.as_str(), 1));
        bench.settle(&claim, Settlement::Done).await;
    }
    // A claim that is dropped with a task in its hands, before anybody looked at it.
    let mut waits = Box::pin(bench.claim());
    let pending = std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx)));
    assert!(pending.await.is_pending());
    bench.push(&task("b")).await;
    drop(waits);
    assert_eq!(bench.next().await.as_deref(), Some("b"));
}
