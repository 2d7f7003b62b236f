//! Cases of [`Queue`](deploy_core::Queue): how leases end, and what becomes of the task.

#![allow(clippy::missing_panics_doc)]

use std::time::Duration;

use deploy_core::{Claim, LeaseToken, Pushed, QueueError, Settlement};

use super::bench::{LEASE, QueueBench, failure, task};

/// Pushes a task and claims it.
async fn claimed(bench: &QueueBench) -> Claim {
    bench.push(&task("a")).await;
    bench.claim().await
}

/// Says that a lease has ended, for every method that could use it.
async fn assert_lost(bench: &QueueBench, token: &LeaseToken) {
    let id = &token.task;
    let lost = |result: Result<(), QueueError>| {
        assert!(
            matches!(&result, Err(QueueError::LeaseLost { id: found }) if found == id),
            "{result:?}"
        );
    };
    lost(bench.queue.renew(token.clone(), LEASE).await);
    lost(bench.queue.settle(token.clone(), Settlement::Done).await);
    let failure = failure("too late");
    lost(bench.queue.settle(token.clone(), Settlement::Dead { failure }).await);
    let until = bench.later(60);
    lost(bench.queue.settle(token.clone(), Settlement::Defer { until }).await);
}

/// Clauses 3 and 9.
pub async fn a_lease_that_is_not_renewed_ends_and_the_attempt_was_counted(bench: QueueBench) {
    assert_eq!(claimed(&bench).await.attempt, 1);
    for attempt in 2..=4 {
        assert_eq!(bench.next().await, None);
        bench.clock.advance(LEASE);
        let again = bench.claim_now().await.expect("the lease has ended");
        assert_eq!(again.attempt, attempt);
    }
}

/// Clause 3.
pub async fn a_renewed_lease_lasts(bench: QueueBench) {
    let claim = claimed(&bench).await;
    for _ in 0..5 {
        bench.clock.advance(LEASE - Duration::from_secs(1));
        let renewed = bench.queue.renew(claim.token.clone(), LEASE).await;
        renewed.expect("the lease has not ended");
        assert_eq!(bench.next().await, None);
    }
    bench.clock.advance(LEASE);
    assert_eq!(bench.next().await.as_deref(), Some("a"));
}

/// Clause 7.
pub async fn a_lease_that_ran_out_is_neither_renewed_nor_settled(bench: QueueBench) {
    let claim = claimed(&bench).await;
    bench.clock.advance(LEASE);
    assert_lost(&bench, &claim.token).await;
    let again = bench.claim_now().await.expect("nothing was changed");
    assert_lost(&bench, &claim.token).await;
    bench.settle(&again, Settlement::Done).await;
}

/// Clause 7.
pub async fn a_lease_is_settled_once(bench: QueueBench) {
    let claim = claimed(&bench).await;
    let until = bench.now();
    bench.settle(&claim, Settlement::Defer { until }).await;
    assert_lost(&bench, &claim.token).await;
    let again = bench.claim_now().await.expect("nothing was changed");
    bench.settle(&again, Settlement::Done).await;
    assert_lost(&bench, &again.token).await;
}

/// Clause 7.
pub async fn the_token_of_another_claim_is_refused(bench: QueueBench) {
    let claim = claimed(&bench).await;
    let LeaseToken { task, worker, number, .. } = claim.token.clone();
    assert_lost(&bench, &LeaseToken::new(task.clone(), worker.clone(), number + 1)).await;
    assert_lost(&bench, &LeaseToken::new(task, "another".to_owned(), number)).await;
    let unknown = crate::samples::task_id("unknown");
    assert_lost(&bench, &LeaseToken::new(unknown, worker, number)).await;
    bench.settle(&claim, Settlement::Done).await;
}

/// Clause 8.
pub async fn a_task_that_is_done_is_gone(bench: QueueBench) {
    let claim = claimed(&bench).await;
    bench.settle(&claim, Settlement::Done).await;
    bench.clock.advance(LEASE * 2);
    assert_eq!(bench.next().await, None);
    assert_eq!(bench.push(&task("a")).await, Pushed::New, "its id is free again");
    assert_eq!(bench.claim().await.attempt, 1);
}

/// Clause 8: who works on a task sees how often it was attempted, and says when that is enough. A queue
/// that ended one by itself would leave nobody to record its end.
pub async fn a_task_is_given_out_again_however_often_it_was_attempted(bench: QueueBench) {
    bench.push(&task("a")).await;
    for attempt in 1..=100 {
        let claim = bench.claim_now().await.expect("nobody has ended it");
        assert_eq!((&claim.task, claim.attempt), (&task("a"), attempt));
        if attempt % 2 == 0 {
            let (after, failure) = (Some(Duration::ZERO), failure("not yet"));
            bench.settle(&claim, Settlement::Retry { after, failure }).await;
        } else {
            bench.clock.advance(LEASE);
        }
    }
}

/// Clause 8.
pub async fn a_dead_task_is_not_claimed_and_its_id_stays_taken(bench: QueueBench) {
    let claim = claimed(&bench).await;
    let failure = failure("broken");
    bench.settle(&claim, Settlement::Dead { failure }).await;
    bench.clock.advance(LEASE * 1000);
    assert_eq!(bench.next().await, None);
    assert_eq!(bench.push(&task("a")).await, Pushed::Known);
}

/// Clause 9, and `Retry`.
pub async fn a_retry_comes_after_its_pause_as_the_next_attempt(bench: QueueBench) {
    let claim = claimed(&bench).await;
    let after = Some(Duration::from_secs(10));
    let failure = failure("not yet");
    bench.settle(&claim, Settlement::Retry { after, failure }).await;
    bench.clock.advance(Duration::from_secs(9));
    assert_eq!(bench.next().await, None);
    bench.clock.advance(Duration::from_secs(1));
    let again = bench.claim_now().await.expect("the pause is over");
    assert_eq!(again.attempt, 2);
}

/// Clauses 3 and 4: the last moment that there is is one like others.
pub async fn the_longest_lease_and_the_longest_pause_are_kept(bench: QueueBench) {
    let far = bench.now().plus(Duration::MAX);
    bench.push(&task("far").with_due(far)).await;
    bench.push(&task("a")).await;
    let claim = bench.queue.claim("worker".to_owned(), Vec::new(), Duration::MAX).await;
    let claim = claim.expect("a claim ends with a task");
    assert_eq!(claim.task, task("a"));
    bench.clock.advance(LEASE);
    bench.queue.renew(claim.token.clone(), Duration::MAX).await.expect("the lease lasts");
    let (after, failure) = (Some(Duration::MAX), failure("not yet"));
    bench.settle(&claim, Settlement::Retry { after, failure }).await;
    bench.clock.advance(LEASE);
    assert_eq!(bench.next().await, None);
    for id in ["far", "a"] {
        let moved = bench.queue.reschedule(crate::samples::task_id(id), bench.now()).await;
        assert!(moved.expect("the queue works"), "it is there");
        assert_eq!(bench.next().await.as_deref(), Some(id));
    }
}

/// `Retry` without a pause.
pub async fn a_retry_without_a_pause_comes_after_a_pause_of_the_queues_own(bench: QueueBench) {
    let mut claim = claimed(&bench).await;
    for attempt in 2..=5 {
        let retry = Settlement::Retry { after: None, failure: failure("not yet") };
        bench.settle(&claim, retry).await;
        assert_eq!(bench.next().await, None, "it does not come back at once");
        // Longer than any pause that makes sense.
        bench.clock.advance(Duration::from_secs(3600));
        claim = bench.claim_now().await.expect("the pause is over");
        assert_eq!(claim.attempt, attempt);
    }
}

/// Clause 9, and `Defer`.
pub async fn a_deferred_task_comes_at_its_time_and_counts_no_attempt(bench: QueueBench) {
    let claim = claimed(&bench).await;
    let until = bench.later(3600);
    bench.settle(&claim, Settlement::Defer { until }).await;
    bench.clock.advance(Duration::from_secs(3599));
    assert_eq!(bench.next().await, None);
    bench.clock.advance(Duration::from_secs(1));
    let again = bench.claim_now().await.expect("the time has come");
    assert_eq!(again.attempt, 1);
}
