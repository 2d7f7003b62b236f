//! The macros that make tests of the cases.

/// Makes a module with one test for each clause of the contract of [`Queue`](deploy_core::Queue).
///
/// The expression is called with a [`VirtualClock`](crate::VirtualClock) and gives, in the end, the
/// queue and something that has to live as long: a temporary directory, or `()`.
///
/// ```
/// use deploy_queue::{MemoryQueue, QueueConfig};
/// use std::sync::Arc;
///
/// deploy_testkit::queue_conformance!(memory, async |clock| {
///     (MemoryQueue::new(QueueConfig::new().with_clock(Arc::new(clock))), ())
/// });
/// ```
#[macro_export]
macro_rules! queue_conformance {
    ($name:ident, $make:expr) => {
        $crate::conformance_cases!($name, QueueBench, $make, {
            claiming::a_task_that_was_pushed_can_be_claimed,
            claiming::the_same_task_pushed_again_is_known_and_queued_once,
            claiming::the_same_id_with_another_content_is_a_conflict,
            claiming::a_claimed_task_is_not_claimed_again,
            claiming::many_workers_claim_each_task_once,
            claiming::each_claim_has_a_number_of_its_own,
            claiming::a_claim_takes_only_the_kinds_it_asked_for,
            claiming::a_task_is_not_claimed_before_it_is_due,
            claiming::a_task_is_not_claimed_while_another_of_its_key_is,
            claiming::the_highest_priority_comes_first,
            claiming::of_equals_the_one_due_the_longest_comes_first,
            claiming::a_rescheduled_task_is_due_at_its_new_time,
            claiming::a_claimed_or_unknown_task_is_not_rescheduled,
            settling::a_lease_that_is_not_renewed_ends_and_the_attempt_was_counted,
            settling::a_renewed_lease_lasts,
            settling::a_lease_that_ran_out_is_neither_renewed_nor_settled,
            settling::a_lease_is_settled_once,
            settling::the_token_of_another_claim_is_refused,
            settling::a_task_that_is_done_is_gone,
            settling::a_dead_task_is_not_claimed_and_its_id_stays_taken,
            settling::a_retry_comes_after_its_pause_as_the_next_attempt,
            settling::a_retry_without_a_pause_comes_after_a_pause_of_the_queues_own,
            settling::a_deferred_task_comes_at_its_time_and_counts_no_attempt,
            waiting::a_waiting_claim_is_woken_by_a_push,
            waiting::a_waiting_claim_is_woken_when_a_task_comes_due,
            waiting::a_waiting_claim_is_woken_when_a_task_is_rescheduled,
            waiting::a_waiting_claim_is_woken_when_a_key_is_freed,
            waiting::a_waiting_claim_is_woken_when_a_lease_runs_out,
            waiting::a_waiting_claim_is_woken_by_its_own_kind_only,
            waiting::a_dropped_claim_loses_nothing,
        });
    };
}

/// Makes a module with one test for each promise of [`QueueAdmin`](deploy_core::QueueAdmin). The
/// expression is that of [`queue_conformance!`](crate::queue_conformance).
#[macro_export]
macro_rules! queue_admin_conformance {
    ($name:ident, $make:expr) => {
        $crate::conformance_cases!($name, AdminBench, $make, {
            admin::a_task_is_found_where_it_is,
            admin::a_task_that_no_worker_has_can_be_withdrawn,
            admin::dead_tasks_are_listed_in_the_order_of_their_ids,
            admin::a_dead_task_tells_why_and_when,
            admin::a_replayed_task_is_due_at_once_and_counts_from_the_start,
            admin::only_a_dead_task_is_replayed,
            admin::the_statistics_count_each_task_once,
        });
    };
}

/// Makes a module with one test for each clause of the contract of
/// [`Journal`](deploy_core::Journal). The expression is that of
/// [`queue_conformance!`](crate::queue_conformance); a journal needs no clock.
#[macro_export]
macro_rules! journal_conformance {
    ($name:ident, $make:expr) => {
        $crate::conformance_cases!($name, JournalBench, $make, {
            journal::events_are_read_as_they_were_appended,
            journal::an_empty_append_changes_nothing,
            journal::events_that_do_not_go_on_are_a_conflict_and_none_is_kept,
            journal::of_two_appends_with_the_same_number_one_is_kept,
            journal::a_read_begins_after_a_number_and_ends_at_its_limit,
            journal::the_events_of_each_task_are_its_own,
            journal::a_follower_gets_what_is_there_at_once,
            journal::a_follower_waits_for_the_next_event,
            journal::a_follower_waits_for_a_task_that_is_not_there_yet,
            journal::every_follower_is_woken,
            journal::the_list_begins_with_the_task_accepted_last,
            journal::the_list_tells_how_far_each_task_has_come,
            journal::the_list_is_filtered_by_every_part_of_a_query,
            journal::the_list_goes_on_where_the_last_page_ended,
            journal::a_removed_task_is_forgotten_with_all_its_events,
        });
    };
}

/// Makes a module with one test for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($name:ident, $bench:ident, $make:expr, { $($part:ident::$case:ident,)* }) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::conformance::run(async {
                        let clock = $crate::VirtualClock::new();
                        let (backend, _keep) = $crate::conformance_backend!($make, clock);
                        let bench = $crate::conformance_bench!($bench, backend, clock);
                        $crate::conformance::$part::$case(bench).await;
                    });
                }
            )*
        }
    };
}

/// Makes a backend.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_backend {
    ($make:expr, $clock:ident) => {{
        async fn make<B, F: AsyncFnOnce($crate::VirtualClock) -> B>(
            make: F,
            clock: $crate::VirtualClock,
        ) -> B {
            make(clock).await
        }
        make($make, $clock.clone()).await
    }};
}

/// Sets up a bench.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_bench {
    (JournalBench, $backend:ident, $clock:ident) => {{
        drop($clock);
        $crate::conformance::JournalBench::new($backend)
    }};
    ($bench:ident, $backend:ident, $clock:ident) => {
        $crate::conformance::$bench::new($backend, $clock)
    };
}
