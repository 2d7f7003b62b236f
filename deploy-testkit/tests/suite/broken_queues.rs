//! The suite for queues catches, for each clause, a queue that breaks it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{
    Claim, Clock, DeadLetter, Failure, FailureCode, LeaseToken, Pushed, Queue, QueueAdmin,
    QueueError, QueueStatistics, Settlement, TaskPlace, TaskRecord,
};
use deploy_queue::{MemoryQueue, QueueConfig};
use deploy_testkit::VirtualClock;
use deploy_testkit::conformance::limits::{CAPACITY, MAX_PAYLOAD};
use deploy_testkit::conformance::{
    AdminBench, QueueBench, admin, claiming, durable, limits, settling, waiting,
};

/// What a queue does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    LosesPushes,
    TakesTheSameTaskTwice,
    OverlooksConflicts,
    NumbersClaimsAlike,
    MixesKinds,
    IgnoresDue,
    IgnoresKeys,
    IgnoresPriority,
    LastComesFirst,
    LeasesEndAtOnce,
    LeasesNeverEnd,
    IgnoresRenewal,
    AcceptsLateSettlements,
    KeepsWhatIsDone,
    DropsTheDead,
    RetriesAtOnce,
    DefersAsAttempt,
    GivesUpByItself,
    HasNoLimits,
    ForgetsAll,
    ForgetsSettlements,
    IgnoresReschedule,
    NeverWakes,
    LosesDroppedClaims,
    CannotFind,
    WithdrawsNothing,
    ListsNoDead,
    ReplaysNothing,
    CountsWrong,
}

/// A queue with a fault.
#[derive(Debug)]
struct Broken {
    queue: Arc<MemoryQueue>,
    clock: VirtualClock,
    fault: Fault,
}

impl Broken {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

#[async_trait]
impl Queue for Broken {
    async fn push(&self, mut task: TaskRecord) -> Result<Pushed, QueueError> {
        match self.fault {
            Fault::LosesPushes => return Ok(Pushed::New),
            Fault::IgnoresDue => task.due = None,
            Fault::IgnoresKeys => task.exclusive_key = None,
            Fault::IgnoresPriority if task.kind != "last" => task.priority = 0,
            Fault::LastComesFirst if task.kind != "last" => {
                let age = self.clock.now().since(VirtualClock::new().now()).as_secs();
                let wait = task.due.map_or(0, |due| due.since(self.clock.now()).as_secs());
                task.priority += i32::try_from(age + wait).unwrap();
            }
            _ => {}
        }
        match self.queue.push(task.clone()).await {
            Ok(Pushed::Known) if self.has(Fault::TakesTheSameTaskTwice) => Ok(Pushed::New),
            Err(QueueError::Conflict { .. }) if self.has(Fault::OverlooksConflicts) => {
                Ok(Pushed::Known)
            }
            pushed => pushed,
        }
    }

    async fn claim(
        &self,
        worker: String,
        mut kinds: Vec<String>,
        mut lease: Duration,
    ) -> Result<Claim, QueueError> {
        match self.fault {
            Fault::MixesKinds => kinds.clear(),
            Fault::LeasesEndAtOnce => lease = Duration::ZERO,
            Fault::LeasesNeverEnd => lease = Duration::MAX,
            _ => {}
        }
        let queue = Arc::clone(&self.queue);
        let mut claim = Box::pin(async move { queue.claim(worker, kinds, lease).await });
        if self.has(Fault::NeverWakes) {
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(claim.as_mut().poll(cx)));
            return match polled.await {
                std::task::Poll::Ready(claim) => claim,
                std::task::Poll::Pending => std::future::pending().await,
            };
        }
        let mut claim = if self.has(Fault::LosesDroppedClaims) {
            tokio::spawn(claim).await.unwrap()?
        } else {
            claim.await?
        };
        if self.has(Fault::NumbersClaimsAlike) {
            claim.token.number = 1;
        }
        if self.has(Fault::GivesUpByItself) && claim.attempt > 20 {
            let failure = Failure::new(FailureCode::TimedOut, "too many attempts");
            self.queue.settle(claim.token, Settlement::Dead { failure }).await?;
            return std::future::pending().await;
        }
        Ok(claim)
    }

    async fn renew(&self, token: LeaseToken, lease: Duration) -> Result<(), QueueError> {
        match self.fault {
            Fault::IgnoresRenewal => self.queue.renew(token, Duration::ZERO).await,
            _ => self.queue.renew(token, lease).await,
        }
    }

    async fn settle(&self, token: LeaseToken, settlement: Settlement) -> Result<(), QueueError> {
        let now = self.clock.now();
        let settlement = match (self.fault, settlement) {
            (Fault::KeepsWhatIsDone, Settlement::Done) => Settlement::Defer { until: now },
            (Fault::DropsTheDead, Settlement::Dead { .. }) => Settlement::Done,
            (Fault::RetriesAtOnce, Settlement::Retry { failure, .. }) => {
                let after = Some(Duration::ZERO);
                Settlement::Retry { after, failure }
            }
            (Fault::DefersAsAttempt, Settlement::Defer { until }) => {
                let failure = Failure::new(FailureCode::Internal, "");
                let after = Some(until.since(now));
                Settlement::Retry { after, failure }
            }
            (Fault::ForgetsSettlements, _) => return Ok(()),
            (_, settlement) => settlement,
        };
        match self.queue.settle(token, settlement).await {
            Err(QueueError::LeaseLost { .. }) if self.has(Fault::AcceptsLateSettlements) => Ok(()),
            settled => settled,
        }
    }

    async fn reschedule(&self, id: TaskId, due: Timestamp) -> Result<bool, QueueError> {
        match self.fault {
            Fault::IgnoresReschedule => Ok(true),
            _ => self.queue.reschedule(id, due).await,
        }
    }
}

#[async_trait]
impl QueueAdmin for Broken {
    async fn find(&self, id: TaskId) -> Result<Option<TaskPlace>, QueueError> {
        match self.fault {
            Fault::CannotFind => Ok(None),
            _ => self.queue.find(id).await,
        }
    }

    async fn withdraw(&self, id: TaskId) -> Result<bool, QueueError> {
        match self.fault {
            Fault::WithdrawsNothing => Ok(true),
            _ => self.queue.withdraw(id).await,
        }
    }

    async fn dead_letters(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        match self.fault {
            Fault::ListsNoDead => Ok(Vec::new()),
            _ => self.queue.dead_letters(after, limit).await,
        }
    }

    async fn replay(&self, id: TaskId) -> Result<bool, QueueError> {
        match self.fault {
            Fault::ReplaysNothing => Ok(true),
            _ => self.queue.replay(id).await,
        }
    }

    async fn statistics(&self) -> Result<QueueStatistics, QueueError> {
        let mut statistics = self.queue.statistics().await?;
        statistics.ready += u64::from(self.has(Fault::CountsWrong));
        Ok(statistics)
    }
}

/// A queue with a fault, and its clock.
fn broken(fault: Fault, config: QueueConfig) -> (Broken, VirtualClock) {
    let clock = VirtualClock::new();
    let config = config.with_clock(Arc::new(clock.clone()));
    let queue = Arc::new(MemoryQueue::new(config));
    (Broken { queue, clock: clock.clone(), fault }, clock)
}

fn queue_bench(fault: Fault) -> QueueBench {
    let (broken, clock) = broken(fault, QueueConfig::new());
    QueueBench::new(broken, clock)
}

fn admin_bench(fault: Fault) -> AdminBench {
    let (broken, clock) = broken(fault, QueueConfig::new());
    AdminBench::new(broken, clock)
}

fn limited_bench(fault: Fault) -> QueueBench {
    let config = match fault {
        Fault::HasNoLimits => QueueConfig::new(),
        _ => QueueConfig::new().with_capacity(CAPACITY).with_max_payload(MAX_PAYLOAD),
    };
    let (broken, clock) = broken(fault, config);
    QueueBench::new(broken, clock)
}

/// What opens a queue again that outlives whoever opened it, as one on a broker does.
fn reopened(fault: Fault) -> impl AsyncFn(&Path, VirtualClock) -> Broken {
    let kept = OnceLock::new();
    async move |_, clock| {
        let make = || {
            let config = QueueConfig::new().with_clock(Arc::new(clock.clone()));
            Arc::new(MemoryQueue::new(config))
        };
        let queue = match fault {
            Fault::ForgetsAll => make(),
            _ => Arc::clone(kept.get_or_init(make)),
        };
        Broken { queue, clock, fault }
    }
}

/// Runs a case in virtual time; a case that hangs has failed, too.
fn fails(case: impl Future<Output = ()>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), case).await })
    }));
    !matches!(ended, Ok(Ok(())))
}

/// Makes one test for each case: it passes with a whole queue, and fails with a broken one.
macro_rules! catches {
    ($make:ident: $($part:ident::$case:ident <- $fault:ident,)*) => {
        $(
            #[test]
            fn $case() {
                assert!(!fails($part::$case($make(Fault::None))), "fails without a fault");
                let caught = fails($part::$case($make(Fault::$fault)));
                assert!(caught, "does not notice {:?}", Fault::$fault);
            }
        )*
    };
}

catches! { queue_bench:
    claiming::a_task_that_was_pushed_can_be_claimed <- LosesPushes,
    claiming::the_same_task_pushed_again_is_known_and_queued_once <- TakesTheSameTaskTwice,
    claiming::the_same_id_with_another_content_is_a_conflict <- OverlooksConflicts,
    claiming::a_claimed_task_is_not_claimed_again <- LeasesEndAtOnce,
    claiming::many_workers_claim_each_task_once <- LeasesEndAtOnce,
    claiming::each_claim_has_a_number_of_its_own <- NumbersClaimsAlike,
    claiming::a_claim_takes_only_the_kinds_it_asked_for <- MixesKinds,
    claiming::a_task_is_not_claimed_before_it_is_due <- IgnoresDue,
    claiming::a_task_is_not_claimed_while_another_of_its_key_is <- IgnoresKeys,
    claiming::the_highest_priority_comes_first <- IgnoresPriority,
    claiming::of_equals_the_one_due_the_longest_comes_first <- LastComesFirst,
    claiming::a_rescheduled_task_is_due_at_its_new_time <- IgnoresReschedule,
    claiming::a_claimed_or_unknown_task_is_not_rescheduled <- IgnoresReschedule,
    settling::a_lease_that_is_not_renewed_ends_and_the_attempt_was_counted <- LeasesNeverEnd,
    settling::a_renewed_lease_lasts <- IgnoresRenewal,
    settling::a_lease_that_ran_out_is_neither_renewed_nor_settled <- AcceptsLateSettlements,
    settling::a_lease_is_settled_once <- AcceptsLateSettlements,
    settling::the_token_of_another_claim_is_refused <- AcceptsLateSettlements,
    settling::a_task_that_is_done_is_gone <- KeepsWhatIsDone,
    settling::a_task_is_given_out_again_however_often_it_was_attempted <- GivesUpByItself,
    settling::a_dead_task_is_not_claimed_and_its_id_stays_taken <- DropsTheDead,
    settling::a_retry_comes_after_its_pause_as_the_next_attempt <- RetriesAtOnce,
    settling::the_longest_lease_and_the_longest_pause_are_kept <- RetriesAtOnce,
    settling::a_retry_without_a_pause_comes_after_a_pause_of_the_queues_own <- RetriesAtOnce,
    settling::a_deferred_task_comes_at_its_time_and_counts_no_attempt <- DefersAsAttempt,
    waiting::a_waiting_claim_is_woken_by_a_push <- NeverWakes,
    waiting::a_waiting_claim_is_woken_when_a_task_comes_due <- NeverWakes,
    waiting::a_waiting_claim_is_woken_when_a_task_is_rescheduled <- NeverWakes,
    waiting::a_waiting_claim_is_woken_when_a_key_is_freed <- NeverWakes,
    waiting::a_waiting_claim_is_woken_when_a_lease_runs_out <- NeverWakes,
    waiting::a_waiting_claim_is_woken_by_its_own_kind_only <- MixesKinds,
    waiting::a_dropped_claim_loses_nothing <- LosesDroppedClaims,
}

catches! { admin_bench:
    admin::a_task_is_found_where_it_is <- CannotFind,
    admin::a_task_that_no_worker_has_can_be_withdrawn <- WithdrawsNothing,
    admin::dead_tasks_are_listed_in_the_order_of_their_ids <- ListsNoDead,
    admin::a_dead_task_tells_why_and_when <- ListsNoDead,
    admin::a_replayed_task_is_due_at_once_and_counts_from_the_start <- ReplaysNothing,
    admin::a_waiting_claim_is_woken_by_a_replay <- ReplaysNothing,
    admin::only_a_dead_task_is_replayed <- ReplaysNothing,
    admin::the_statistics_count_each_task_once <- CountsWrong,
}

catches! { limited_bench:
    limits::a_task_beyond_the_length_is_refused_and_changes_nothing <- HasNoLimits,
    limits::a_dead_task_takes_its_room <- DropsTheDead,
    limits::a_task_beyond_the_size_is_refused_and_changes_nothing <- HasNoLimits,
}

catches! { reopened:
    durable::a_task_that_was_pushed_is_there_after_a_reopening <- ForgetsAll,
    durable::what_became_of_a_task_is_kept_over_a_reopening <- ForgetsSettlements,
    durable::a_rescheduled_task_is_due_at_its_new_time_after_a_reopening <- IgnoresReschedule,
    durable::a_task_that_was_claimed_can_be_claimed_after_a_reopening <- AcceptsLateSettlements,
}
