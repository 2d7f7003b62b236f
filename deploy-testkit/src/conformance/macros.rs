//! The macros that make tests of the cases.

/// Makes a module with one test for each clause of the contract of [`Queue`](deploy_core::Queue).
///
/// The expression is called with a [`VirtualClock`](crate::VirtualClock) and gives, in the end, the
/// queue and something that has to live as long: a temporary directory, or `()`.
///
/// ```
/// use deploy_queue::{MemoryQueue, QueueConfig};
///
/// deploy_testkit::queue_conformance!(memory, async |clock| {
///     (MemoryQueue::new(QueueConfig::new().with_clock(clock)), ())
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
            settling::a_task_is_given_out_again_however_often_it_was_attempted,
            settling::a_dead_task_is_not_claimed_and_its_id_stays_taken,
            settling::a_retry_comes_after_its_pause_as_the_next_attempt,
            settling::the_longest_lease_and_the_longest_pause_are_kept,
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

/// Makes a module with one test for each part of clause 10 of the contract of
/// [`Queue`](deploy_core::Queue). The expression is that of
/// [`queue_conformance!`](crate::queue_conformance), and gives a queue that holds
/// [`CAPACITY`](crate::conformance::limits::CAPACITY) tasks at most, with payloads of
/// [`MAX_PAYLOAD`](crate::conformance::limits::MAX_PAYLOAD) bytes at most.
#[macro_export]
macro_rules! queue_limits_conformance {
    ($name:ident, $make:expr) => {
        $crate::conformance_cases!($name, QueueBench, $make, {
            limits::a_task_beyond_the_length_is_refused_and_changes_nothing,
            limits::a_dead_task_takes_its_room,
            limits::a_task_beyond_the_size_is_refused_and_changes_nothing,
        });
    };
}

/// Makes a module with one test for each thing that a durable [`Queue`](deploy_core::Queue) keeps.
///
/// The expression is called with the path of an empty directory and a
/// [`VirtualClock`](crate::VirtualClock), once and again, and opens the queue that is kept there. One
/// that is kept elsewhere makes a name of the path.
///
/// ```
/// use deploy_queue::{DiskStore, QueueConfig};
///
/// deploy_testkit::durable_queue_conformance!(disk, async |path, clock| {
///     let config = QueueConfig::new().with_clock(clock);
///     DiskStore::open(path, config).await.unwrap()
/// });
/// ```
#[macro_export]
macro_rules! durable_queue_conformance {
    ($name:ident, $open:expr) => {
        $crate::durable_cases!($name, $open, {
            a_task_that_was_pushed_is_there_after_a_reopening,
            what_became_of_a_task_is_kept_over_a_reopening,
            a_rescheduled_task_is_due_at_its_new_time_after_a_reopening,
            a_task_that_was_claimed_can_be_claimed_after_a_reopening,
        });
    };
}

/// Makes a module with a test of what a durable [`Journal`](deploy_core::Journal) keeps. The
/// expression is that of [`durable_queue_conformance!`](crate::durable_queue_conformance).
#[macro_export]
macro_rules! durable_journal_conformance {
    ($name:ident, $open:expr) => {
        $crate::durable_cases!($name, $open, { events_are_there_after_a_reopening_and_go_on, });
    };
}

/// Makes a module with one test for each case of a backend that is opened again.
#[doc(hidden)]
#[macro_export]
macro_rules! durable_cases {
    ($name:ident, $open:expr, { $($case:ident,)* }) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::conformance::run(async {
                        $crate::conformance::durable::$case($open).await;
                    });
                }
            )*
        }
    };
}

/// Makes a module with one test for each clause of the contract of [`QueueAdmin`](deploy_core::QueueAdmin). The
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
            admin::a_waiting_claim_is_woken_by_a_replay,
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
            journal::whoever_is_told_of_a_conflict_can_read_what_came_before,
            journal::a_read_begins_after_a_number_and_ends_at_its_limit,
            journal::the_events_of_each_task_are_its_own,
            journal::a_follower_gets_what_is_there_at_once,
            journal::a_follower_waits_for_the_next_event,
            journal::a_follower_waits_for_a_task_that_is_not_there_yet,
            journal::every_follower_is_woken,
            journal::a_follower_gets_no_more_than_it_asked_for,
            journal::a_follower_of_a_removed_task_waits_until_it_goes_on,
            journal::the_list_begins_with_the_task_accepted_last,
            journal::a_task_that_was_never_accepted_is_kept_and_not_listed,
            journal::the_list_tells_how_far_each_task_has_come,
            journal::the_list_is_filtered_by_every_part_of_a_query,
            journal::the_list_goes_on_where_the_last_page_ended,
            journal::a_removed_task_is_forgotten_with_all_its_events,
        });
    };
}

/// Makes a module with one test for each clause of the contracts of
/// [`Connector`](deploy_core::Connector) and [`Session`](deploy_core::Session).
///
/// The expression is called with a [`VirtualClock`](crate::VirtualClock), of which a connector has no
/// use, and gives a [`ConnectorBench`](crate::conformance::ConnectorBench) and something that has to
/// live as long.
///
/// ```
/// use deploy_testkit::conformance::ConnectorBench;
/// use deploy_testkit::{ScriptedConnector, samples};
///
/// // Yours comes here, and a host that it reaches.
/// deploy_testkit::connector_conformance!(mine, async |_clock| {
///     let connector = ScriptedConnector::new(|_call| async { deploy_core::Exit::Unknown });
///     (ConnectorBench::new(connector, samples::target(1)), ())
/// });
/// ```
///
/// That a host is the one that was asked for (clause 2 of `Connector`) and that a lost connection is
/// told as such (clause 5 of `Session`) takes hosts that lie and lines that break: test that with
/// [`SshFleet`](crate::SshFleet) and [`FaultProxy`](crate::FaultProxy), or with what you have.
#[macro_export]
macro_rules! connector_conformance {
    ($name:ident, $make:expr) => {
        $crate::conformance_cases!($name, ConnectorBench, $make, {
            connecting::a_session_that_is_given_runs_a_command,
            connecting::several_sessions_are_open_at_once,
            connecting::an_endpoint_of_another_kind_is_unsupported,
            connecting::a_connect_after_the_deadline_ends,
            connecting::a_connect_after_the_cancel_ends,
            scripts::a_script_reaches_the_shell_word_for_word,
            scripts::a_here_document_of_a_script_is_its_own,
            scripts::a_script_needs_no_last_newline_and_may_have_many,
            scripts::a_script_may_be_long,
            scripts::a_script_is_read_by_bin_sh,
            scripts::the_exit_status_is_the_scripts_own,
            scripts::a_signal_is_no_success_and_no_status_of_the_scripts_own,
            scripts::a_run_ends_with_its_command_and_not_with_what_that_left_behind,
            scripts::what_is_left_behind_may_go_on_writing,
            scripts::a_session_runs_one_command_after_another,
            scripts::a_session_runs_several_commands_at_once,
            streams::input_comes_in_order_and_ends,
            streams::input_begins_with_its_first_byte,
            streams::input_may_hold_any_byte,
            streams::input_is_read_only_as_fast_as_the_command_takes_it,
            streams::a_command_need_not_read_its_input,
            streams::output_comes_in_order_and_apart,
            streams::output_comes_while_the_command_runs,
            streams::much_output_on_both_streams_at_once_comes_whole,
            streams::a_full_writer_holds_the_command_up,
            streams::a_closed_writer_does_not_hold_the_command_up,
            stopping::a_cancel_ends_the_input_and_lets_the_command_stop,
            stopping::a_deadline_ends_the_input_too,
            stopping::a_cancel_stops_its_own_command_alone,
            stopping::dropping_the_run_kills_the_process_group,
            stopping::dropping_a_run_leaves_the_session_of_use,
        });
    };
}

/// Makes a module with the cases of [`connector_conformance!`](crate::connector_conformance) that
/// wait for [`SESSION_GRACE`](deploy_core::SESSION_GRACE): half a minute each, in which nothing
/// computes. The expression is the same. Once for each way in which processes are killed is enough.
#[macro_export]
macro_rules! connector_patience_conformance {
    ($name:ident, $make:expr) => {
        $crate::conformance_cases!($name, ConnectorBench, $make, {
            stopping::a_command_that_does_not_stop_gets_term_with_its_group,
            stopping::a_command_that_ignores_term_is_killed_with_its_group,
        });
    };
}

/// Makes a module with the cases of a connector whose hosts are elsewhere: the bench has a
/// [silent](crate::conformance::ConnectorBench::with_silent) one.
#[macro_export]
macro_rules! remote_connector_conformance {
    ($name:ident, $make:expr) => {
        $crate::conformance_cases!($name, ConnectorBench, $make, {
            connecting::a_host_that_says_nothing_is_given_up_at_the_deadline,
            connecting::a_host_that_says_nothing_is_given_up_at_a_cancel,
            connecting::a_host_that_says_nothing_holds_no_other_up,
        });
    };
}

/// Makes a module with one test for each clause of the contract of
/// [`AgentResolver`](deploy_core::AgentResolver).
///
/// The expression is called with a [`VirtualClock`](crate::VirtualClock), of which a resolver has no
/// use, and gives a [`ResolverBench`](crate::conformance::ResolverBench) and something that has to
/// live as long.
///
/// ```
/// use deploy_testkit::conformance::ResolverBench;
/// use deploy_testkit::{StaticResolver, samples};
///
/// // Yours comes here, with a project that it knows, and the hosts of that.
/// deploy_testkit::resolver_conformance!(mine, async |_clock| {
///     let (business, project) = (samples::business(), samples::project("checkout"));
///     let fleet = samples::fleet(1);
///     let resolver =
///         StaticResolver::empty().with_project(business.clone(), project.clone(), fleet);
///     (ResolverBench::new(resolver, business, project, vec![samples::host(1)]), ())
/// });
/// ```
///
/// That a project without hosts is `NoHosts` (clause 2) takes one: test that where you can have one.
#[macro_export]
macro_rules! resolver_conformance {
    ($name:ident, $make:expr) => {
        $crate::conformance_cases!($name, ResolverBench, $make, {
            resolving::every_host_of_a_project_is_there_once_in_its_order,
            resolving::a_project_that_is_not_known_is_unknown,
            resolving::a_project_of_another_business_is_unknown,
            resolving::asking_changes_nothing,
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
    (ConnectorBench, $backend:ident, $clock:ident) => {{
        drop($clock);
        $backend
    }};
    (ResolverBench, $backend:ident, $clock:ident) => {{
        drop($clock);
        $backend
    }};
    ($bench:ident, $backend:ident, $clock:ident) => {
        $crate::conformance::$bench::new($backend, $clock)
    };
}
