//! Cases of [`Journal`](deploy_core::Journal).

#![allow(clippy::missing_panics_doc)]

use std::time::Duration;

use deploy_core::model::{Outcome, TaskId, Timestamp, WorkOrder};
use deploy_core::{Clock, Event, JournalError, JournalQuery, Phase, Sequence};

use super::bench::JournalBench;
use crate::samples;
use crate::virtual_clock::VirtualClock;

/// The moment so many seconds after the start of the cases.
fn at(seconds: u64) -> Timestamp {
    VirtualClock::new().now().plus(Duration::from_secs(seconds))
}

/// The first events of a task that was accepted at a moment.
fn events(task: &str, count: u64, accepted: u64) -> Vec<Event> {
    let task = samples::task_id(task);
    let request = samples::request(samples::package(b"bytes"));
    let first = samples::accepted(&task, at(accepted), request);
    let others = (2..=count).map(|number| samples::progress(&task, number, at(accepted + number)));
    std::iter::once(first).chain(others).collect()
}

impl JournalBench {
    async fn append(&self, events: &[Event]) {
        self.journal.append(events.to_vec()).await.expect("the events go on");
    }

    async fn read(&self, task: &str, after: u64, limit: usize) -> Vec<Event> {
        let (task, after) = (samples::task_id(task), Sequence::new(after));
        self.journal.read(task, after, limit).await.expect("the journal works")
    }

    /// Begins to follow on a task of the runtime.
    fn follow(&self, task: &str, after: u64) -> tokio::task::JoinHandle<Vec<Event>> {
        let (task, after) = (samples::task_id(task), Sequence::new(after));
        let journal = std::sync::Arc::clone(&self.journal);
        tokio::spawn(async move {
            let followed = journal.follow(task, after, 100).await;
            followed.expect("the journal works")
        })
    }

    async fn list(&self, query: JournalQuery) -> Vec<String> {
        let list = self.journal.list(query).await.expect("the journal works");
        list.iter().map(|summary| summary.task.as_str().to_owned()).collect()
    }

    async fn conflict(&self, events: Vec<Event>, last: u64) {
        let found = events.first().map(|event| event.sequence);
        let appended = self.journal.append(events).await;
        assert!(
            matches!(&appended, Err(JournalError::Conflict { last: end, .. })
                if *end == Sequence::new(last)),
            "from {found:?}: {appended:?}"
        );
    }
}

/// Clauses 1 and 3.
pub async fn events_are_read_as_they_were_appended(bench: JournalBench) {
    let all = events("a", 20, 0);
    bench.append(&all[..1]).await;
    bench.append(&all[1..7]).await;
    bench.append(&all[7..]).await;
    assert_eq!(bench.read("a", 0, 100).await, all);
}

/// Clause 1.
pub async fn an_empty_append_changes_nothing(bench: JournalBench) {
    bench.append(&[]).await;
    assert_eq!(bench.list(JournalQuery::new()).await, [""; 0]);
}

/// Clause 2.
pub async fn events_that_do_not_go_on_are_a_conflict_and_none_is_kept(bench: JournalBench) {
    let all = events("a", 9, 0);
    bench.conflict(all[1..].to_vec(), 0).await;
    bench.append(&all[..3]).await;
    bench.conflict(all[..1].to_vec(), 3).await;
    bench.conflict(all[2..5].to_vec(), 3).await;
    bench.conflict(all[4..].to_vec(), 3).await;
    bench.conflict(vec![all[3].clone(), all[5].clone()], 3).await;
    bench.conflict(vec![all[3].clone(), all[3].clone()], 3).await;
    let another = samples::progress(&samples::task_id("b"), 5, at(5));
    bench.conflict(vec![all[3].clone(), another], 3).await;
    assert_eq!(bench.read("a", 0, 100).await, all[..3]);
    assert_eq!(bench.read("b", 0, 100).await, []);
    bench.append(&all[3..]).await;
    assert_eq!(bench.read("a", 0, 100).await, all);
}

/// Concurrency.
pub async fn of_two_appends_with_the_same_number_one_is_kept(bench: JournalBench) {
    bench.append(&events("a", 1, 0)).await;
    for number in 2..20 {
        let append = |seconds| {
            let event = samples::progress(&samples::task_id("a"), number, at(seconds));
            let journal = std::sync::Arc::clone(&bench.journal);
            tokio::spawn(async move { journal.append(vec![event]).await })
        };
        let (one, other) = (append(1), append(2));
        let one = one.await.expect("an append ends");
        let other = other.await.expect("an append ends");
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    }
    assert_eq!(bench.read("a", 0, 100).await.len(), 19);
}

/// Clause 2.
pub async fn whoever_is_told_of_a_conflict_can_read_what_came_before(bench: JournalBench) {
    let task = samples::task_id("a");
    bench.append(&events("a", 1, 0)).await;
    for number in 2..20 {
        let append = |seconds| {
            let (bench, event) = (bench.clone(), samples::progress(&task, number, at(seconds)));
            tokio::spawn(async move {
                let appended = bench.journal.append(vec![event]).await;
                if let Err(JournalError::Conflict { last, .. }) = appended {
                    let found = bench.read("a", number - 1, 100).await;
                    assert_eq!(found.last().map(|event| event.sequence), Some(last));
                }
            })
        };
        let (one, other) = (append(1), append(2));
        one.await.expect("an append ends");
        other.await.expect("an append ends");
    }
}

/// Clause 3.
pub async fn a_read_begins_after_a_number_and_ends_at_its_limit(bench: JournalBench) {
    let all = events("a", 10, 0);
    bench.append(&all).await;
    assert_eq!(bench.read("a", 3, 4).await, all[3..7]);
    assert_eq!(bench.read("a", 8, 100).await, all[8..]);
    assert_eq!(bench.read("a", 0, 0).await, []);
    assert_eq!(bench.read("a", 10, 100).await, []);
    assert_eq!(bench.read("a", u64::MAX, 100).await, []);
    assert_eq!(bench.read("unknown", 0, 100).await, []);
}

/// Clause 2.
pub async fn the_events_of_each_task_are_its_own(bench: JournalBench) {
    // Names that a store could mix up.
    for name in ["a", "ab", "a-b", "a.b", "b"] {
        bench.append(&events(name, 3, 0)).await;
    }
    for name in ["a", "ab", "a-b", "a.b", "b"] {
        assert_eq!(bench.read(name, 0, 100).await, events(name, 3, 0), "{name}");
    }
}

/// Clause 4.
pub async fn a_follower_gets_what_is_there_at_once(bench: JournalBench) {
    let all = events("a", 5, 0);
    bench.append(&all).await;
    assert_eq!(bench.follow("a", 2).await.expect("there are events"), all[2..]);
}

/// Clause 4.
pub async fn a_follower_waits_for_the_next_event(bench: JournalBench) {
    let all = events("a", 4, 0);
    bench.append(&all[..2]).await;
    let follower = bench.follow("a", 2);
    tokio::task::yield_now().await;
    bench.append(&events("b", 3, 0)).await;
    bench.append(&all[2..]).await;
    assert_eq!(follower.await.expect("there is an event"), all[2..]);
}

/// Clause 4.
pub async fn a_follower_waits_for_a_task_that_is_not_there_yet(bench: JournalBench) {
    let follower = bench.follow("a", 0);
    tokio::task::yield_now().await;
    let all = events("a", 2, 0);
    bench.append(&all).await;
    assert_eq!(follower.await.expect("there is an event"), all);
}

/// Clause 4.
pub async fn every_follower_is_woken(bench: JournalBench) {
    let all = events("a", 30, 0);
    bench.append(&all[..1]).await;
    for number in 1..30 {
        let after = number as u64;
        let followers = [bench.follow("a", after), bench.follow("a", after)];
        let given_up = bench.follow("a", after);
        tokio::task::yield_now().await;
        given_up.abort();
        bench.append(&all[number..=number]).await;
        for follower in followers {
            assert_eq!(follower.await.expect("there is an event"), all[number..=number]);
        }
    }
}

/// Clauses 3 and 4.
pub async fn a_follower_gets_no_more_than_it_asked_for(bench: JournalBench) {
    let all = events("a", 5, 0);
    bench.append(&all).await;
    let followed = bench.journal.follow(samples::task_id("a"), Sequence::new(1), 3).await;
    assert_eq!(followed.expect("there are events"), all[1..4]);
}

/// Clauses 4 and 6.
pub async fn a_follower_of_a_removed_task_waits_until_it_goes_on(bench: JournalBench) {
    let (gone, all) = (events("a", 2, 0), events("a", 3, 9));
    bench.append(&gone).await;
    let follower = bench.follow("a", 2);
    tokio::task::yield_now().await;
    assert!(bench.journal.remove(samples::task_id("a")).await.expect("the journal works"));
    let another = bench.follow("a", 0);
    tokio::task::yield_now().await;
    bench.append(&all[..2]).await;
    assert_eq!(another.await.expect("it is there again"), all[..2]);
    bench.append(&all[2..]).await;
    assert_eq!(follower.await.expect("there is an event"), all[2..]);
}

/// Clause 5.
pub async fn the_list_begins_with_the_task_accepted_last(bench: JournalBench) {
    for (name, accepted) in [("old", 1), ("a", 2), ("c", 2), ("b", 2), ("new", 3)] {
        bench.append(&events(name, 3, accepted)).await;
    }
    let query = JournalQuery::new();
    assert_eq!(bench.list(query).await, ["new", "c", "b", "a", "old"]);
}

/// Clause 5.
pub async fn a_task_that_was_never_accepted_is_kept_and_not_listed(bench: JournalBench) {
    let task = samples::task_id("a");
    let first = samples::progress(&task, 1, at(1));
    bench.append(std::slice::from_ref(&first)).await;
    let request = samples::request(samples::package(b"bytes"));
    let mut second = samples::accepted(&task, at(2), request);
    second.sequence = Sequence::new(2);
    bench.append(std::slice::from_ref(&second)).await;
    assert_eq!(bench.list(JournalQuery::new()).await, [""; 0]);
    assert_eq!(bench.read("a", 0, 100).await, [first, second]);
}

/// Clause 5.
pub async fn the_list_tells_how_far_each_task_has_come(bench: JournalBench) {
    bench.append(&events("a", 4, 0)).await;
    let task: TaskId = samples::task_id("a");
    let summary = async || {
        let list = bench.journal.list(JournalQuery::new()).await.expect("the journal works");
        list.first().cloned().expect("the task is there")
    };
    let before = summary().await;
    assert_eq!((&before.task, before.project.as_str()), (&task, "checkout"));
    assert_eq!((before.last, before.outcome), (Sequence::new(4), None));
    assert_eq!((before.accepted_at, before.updated_at), (at(0), at(4)));
    bench.append(&[samples::finished(&task, 5, at(9), Outcome::Failed)]).await;
    let after = summary().await;
    assert_eq!((after.last, after.outcome), (Sequence::new(5), Some(Outcome::Failed)));
    assert_eq!((before.phase, after.phase), (Phase::Preparing, Phase::Finished));
    assert_eq!((after.accepted_at, after.updated_at), (at(0), at(9)));
}

/// Clause 5.
pub async fn the_list_is_filtered_by_every_part_of_a_query(bench: JournalBench) {
    let order = WorkOrder::new("WO-7").expect("a work order");
    let package = samples::package(b"bytes");
    let mut search = samples::request(package.clone()).with_work_order(order.clone());
    search.project = samples::project("search");
    let mut other = samples::request(package);
    other.business = deploy_core::model::BusinessName::new("bank").expect("a business");
    bench.append(&events("checkout", 2, 10)).await;
    bench.append(&[samples::accepted(&samples::task_id("search"), at(20), search)]).await;
    bench.append(&[samples::accepted(&samples::task_id("bank"), at(30), other)]).await;
    let finished = samples::finished(&samples::task_id("bank"), 2, at(40), Outcome::Succeeded);
    bench.append(&[finished]).await;

    let new = JournalQuery::new;
    let project = new().with_project(samples::business(), samples::project("checkout"));
    assert_eq!(bench.list(project).await, ["checkout"]);
    assert_eq!(bench.list(new().with_work_order(order)).await, ["search"]);
    assert_eq!(bench.list(new().with_finished(true)).await, ["bank"]);
    assert_eq!(bench.list(new().with_finished(false)).await, ["search", "checkout"]);
    assert_eq!(bench.list(new().with_phase(Phase::Finished)).await, ["bank"]);
    assert_eq!(bench.list(new().with_phase(Phase::Preparing)).await, ["search", "checkout"]);
    assert_eq!(bench.list(new().with_outcome(Outcome::Succeeded)).await, ["bank"]);
    assert_eq!(bench.list(new().with_outcome(Outcome::Failed)).await, [""; 0]);
    assert_eq!(bench.list(new().with_limit(2)).await, ["bank", "search"]);
    let mut query = new();
    query.business = Some(samples::business());
    assert_eq!(bench.list(query).await, ["search", "checkout"]);
    assert_eq!(bench.list(new().with_accepted(at(20)..at(30))).await, ["search"]);
}

/// Clause 5.
pub async fn the_list_goes_on_where_the_last_page_ended(bench: JournalBench) {
    for number in 0..10 {
        bench.append(&events(&format!("task-{number}"), 1, number / 3)).await;
    }
    let whole = bench.list(JournalQuery::new()).await;
    let mut pages = bench.list(JournalQuery::new().with_limit(3)).await;
    while let Some(last) = pages.last() {
        let query = JournalQuery::new().with_after(samples::task_id(last)).with_limit(3);
        let mut page = bench.list(query).await;
        if page.is_empty() {
            break;
        }
        pages.append(&mut page);
        assert!(pages.len() <= whole.len(), "a page begins anew: {pages:?}");
    }
    assert_eq!(pages, whole);
    for number in 10..=JournalQuery::LIMIT as u64 {
        bench.append(&events(&format!("task-{number}"), 1, number)).await;
    }
    assert_eq!(bench.list(JournalQuery::new()).await.len(), JournalQuery::LIMIT);
    let unknown = JournalQuery::new().with_after(samples::task_id("unknown"));
    assert_eq!(bench.list(unknown).await, [""; 0]);
}

/// Clause 6.
pub async fn a_removed_task_is_forgotten_with_all_its_events(bench: JournalBench) {
    let remove = async || {
        let removed = bench.journal.remove(samples::task_id("a")).await;
        removed.expect("the journal works")
    };
    assert!(!remove().await);
    bench.append(&events("a", 5, 0)).await;
    bench.append(&events("ab", 2, 1)).await;
    assert!(remove().await);
    assert!(!remove().await);
    assert_eq!(bench.read("a", 0, 100).await, []);
    assert_eq!(bench.list(JournalQuery::new()).await, ["ab"]);
    assert_eq!(bench.read("ab", 0, 100).await, events("ab", 2, 1));
    // It can be there again, from the start.
    bench.append(&events("a", 1, 2)).await;
    assert_eq!(bench.read("a", 0, 100).await, events("a", 1, 2));
}
