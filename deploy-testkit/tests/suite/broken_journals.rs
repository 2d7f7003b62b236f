//! The suite for journals catches, for each clause, a journal that breaks it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::TaskId;
use deploy_core::{Clock, Event, Journal, JournalError, JournalQuery, Sequence, TaskSummary};
use deploy_queue::MemoryJournal;
use deploy_testkit::conformance::{JournalBench, durable, journal};
use deploy_testkit::{VirtualClock, samples};

/// What a journal does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    LosesTheLastEvent,
    RefusesNothingAsConflict,
    OverlooksConflicts,
    LagsBehind,
    IgnoresAfter,
    MixesTasks,
    FollowsFromTheStart,
    FollowsWithoutLimit,
    FollowsIntoTheVoid,
    NeverWakes,
    ListsTheOldestFirst,
    ListsTheUnaccepted,
    ForgetsOutcomes,
    IgnoresFilters,
    IgnoresPages,
    RemovesNothing,
    ForgetsAll,
}

/// A journal with a fault.
#[derive(Debug)]
struct Broken {
    journal: Arc<MemoryJournal>,
    fault: Fault,
}

#[async_trait]
impl Journal for Broken {
    async fn append(&self, mut events: Vec<Event>) -> Result<(), JournalError> {
        match self.fault {
            Fault::LosesTheLastEvent if events.len() > 5 => drop(events.pop()),
            Fault::RefusesNothingAsConflict if events.is_empty() => {
                return Err(JournalError::Closed);
            }
            _ => {}
        }
        match self.journal.append(events).await {
            Err(JournalError::Conflict { .. }) if self.fault == Fault::OverlooksConflicts => Ok(()),
            appended => appended,
        }
    }

    async fn read(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        match self.fault {
            Fault::LagsBehind => {
                let mut events = self.journal.read(task, after, limit).await?;
                events.pop();
                Ok(events)
            }
            Fault::IgnoresAfter => self.journal.read(task, Sequence::START, limit).await,
            Fault::MixesTasks => {
                let first = task.as_str()[..1].parse().unwrap();
                self.journal.read(first, after, limit).await
            }
            _ => self.journal.read(task, after, limit).await,
        }
    }

    async fn follow(
        &self,
        task: TaskId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        match self.fault {
            Fault::FollowsFromTheStart => {
                return self.journal.follow(task, Sequence::START, limit).await;
            }
            Fault::FollowsWithoutLimit => return self.journal.follow(task, after, 100).await,
            Fault::FollowsIntoTheVoid => return self.journal.read(task, after, limit).await,
            _ => {}
        }
        let mut follow = self.journal.follow(task, after, limit);
        if self.fault == Fault::NeverWakes {
            let polled =
                std::future::poll_fn(|cx| std::task::Poll::Ready(follow.as_mut().poll(cx)));
            return match polled.await {
                std::task::Poll::Ready(events) => events,
                std::task::Poll::Pending => std::future::pending().await,
            };
        }
        follow.await
    }

    async fn list(&self, mut query: JournalQuery) -> Result<Vec<TaskSummary>, JournalError> {
        match self.fault {
            Fault::IgnoresFilters => query = JournalQuery::new(),
            Fault::IgnoresPages => query.after = None,
            _ => {}
        }
        let mut list = self.journal.list(query).await?;
        match self.fault {
            Fault::ListsTheOldestFirst => list.reverse(),
            Fault::ListsTheUnaccepted => {
                let request = samples::request(samples::package(b"bytes"));
                let now = VirtualClock::new().now();
                list.extend(TaskSummary::of(&samples::accepted(
                    &samples::task_id("a"),
                    now,
                    request,
                )));
            }
            Fault::ForgetsOutcomes => list.iter_mut().for_each(|summary| summary.outcome = None),
            _ => {}
        }
        Ok(list)
    }

    async fn remove(&self, task: TaskId) -> Result<bool, JournalError> {
        match self.fault {
            Fault::RemovesNothing => Ok(true),
            _ => self.journal.remove(task).await,
        }
    }
}

fn bench(fault: Fault) -> JournalBench {
    JournalBench::new(Broken { journal: Arc::default(), fault })
}

/// What opens a journal again that outlives whoever opened it, as one on a broker does.
fn reopened(fault: Fault) -> impl AsyncFn(&Path, VirtualClock) -> Broken {
    let kept = Arc::<MemoryJournal>::default();
    async move |_, _| {
        let journal = if fault == Fault::ForgetsAll { Arc::default() } else { Arc::clone(&kept) };
        Broken { journal, fault }
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

/// Makes one test for each case: it passes with a whole journal, and fails with a broken one.
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

catches! { bench:
    journal::events_are_read_as_they_were_appended <- LosesTheLastEvent,
    journal::an_empty_append_changes_nothing <- RefusesNothingAsConflict,
    journal::events_that_do_not_go_on_are_a_conflict_and_none_is_kept <- OverlooksConflicts,
    journal::of_two_appends_with_the_same_number_one_is_kept <- OverlooksConflicts,
    journal::whoever_is_told_of_a_conflict_can_read_what_came_before <- LagsBehind,
    journal::a_read_begins_after_a_number_and_ends_at_its_limit <- IgnoresAfter,
    journal::the_events_of_each_task_are_its_own <- MixesTasks,
    journal::a_follower_gets_what_is_there_at_once <- FollowsFromTheStart,
    journal::a_follower_waits_for_the_next_event <- NeverWakes,
    journal::a_follower_waits_for_a_task_that_is_not_there_yet <- NeverWakes,
    journal::every_follower_is_woken <- NeverWakes,
    journal::a_follower_gets_no_more_than_it_asked_for <- FollowsWithoutLimit,
    journal::a_follower_of_a_removed_task_waits_until_it_goes_on <- FollowsIntoTheVoid,
    journal::the_list_begins_with_the_task_accepted_last <- ListsTheOldestFirst,
    journal::a_task_that_was_never_accepted_is_kept_and_not_listed <- ListsTheUnaccepted,
    journal::the_list_tells_how_far_each_task_has_come <- ForgetsOutcomes,
    journal::the_list_is_filtered_by_every_part_of_a_query <- IgnoresFilters,
    journal::the_list_goes_on_where_the_last_page_ended <- IgnoresPages,
    journal::a_removed_task_is_forgotten_with_all_its_events <- RemovesNothing,
}

catches! { reopened:
    durable::events_are_there_after_a_reopening_and_go_on <- ForgetsAll,
}
