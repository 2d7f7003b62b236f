//! What is forgotten of a journal, and when.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{Outcome, Timestamp};
use deploy_core::{Clock, ControlNode, Journal, JournalQuery, Phase, Retention};
use deploy_queue::{MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::{FakeVerifier, ScriptedExecutor, StaticResolver, VirtualClock, samples};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn at(clock: &VirtualClock, seconds: u64) -> Timestamp {
    clock.now().plus(Duration::from_secs(seconds))
}

/// A task of each second: those of an even number are finished a second later.
async fn journal_of(clock: &VirtualClock, tasks: u64) -> Arc<MemoryJournal> {
    let journal = Arc::new(MemoryJournal::new());
    for number in 0..tasks {
        let task = samples::task_id(&format!("task-{number}"));
        let request = samples::request(samples::package(b"bytes"));
        let mut events = vec![samples::accepted(&task, at(clock, number), request)];
        if number % 2 == 0 {
            let end = at(clock, number + 1);
            events.push(samples::finished(&task, 2, end, Outcome::Succeeded));
        }
        journal.append(events).await.unwrap();
    }
    journal
}

async fn tasks(journal: &MemoryJournal) -> Vec<String> {
    let list = journal.list(JournalQuery::new()).await.unwrap();
    list.into_iter().map(|summary| summary.task.to_string()).collect()
}

#[tokio::test]
async fn finished_tasks_go_by_age_and_number_and_the_others_stay() {
    let clock = VirtualClock::new();
    let journal = journal_of(&clock, 8).await;
    let now = at(&clock, 10);
    assert_eq!(Retention::new().apply(&*journal, now).await.unwrap(), 0);
    assert_eq!(tasks(&journal).await.len(), 8);

    // task-0 ended at 1, task-2 at 3: 9 s and 7 s ago.
    let age = Retention::new().with_max_age(Duration::from_secs(7));
    assert_eq!(age.apply(&*journal, now).await.unwrap(), 1);
    assert_eq!(
        tasks(&journal).await,
        ["task-7", "task-6", "task-5", "task-4", "task-3", "task-2", "task-1"]
    );

    let number = Retention::new().with_max_tasks(1);
    assert_eq!(number.apply(&*journal, now).await.unwrap(), 2);
    assert_eq!(tasks(&journal).await, ["task-7", "task-6", "task-5", "task-3", "task-1"]);
    assert_eq!(number.apply(&*journal, now).await.unwrap(), 0);
}

#[tokio::test]
async fn more_than_a_page_is_forgotten_at_once() {
    let clock = VirtualClock::new();
    let journal = journal_of(&clock, 4_500).await;
    let retention = Retention::new().with_max_tasks(1_100);
    assert_eq!(retention.apply(&*journal, at(&clock, 0)).await.unwrap(), 2_250 - 1_100);
    let finished = JournalQuery::new().with_phase(Phase::Finished).with_limit(10_000);
    let kept = journal.list(finished).await.unwrap();
    assert_eq!(kept.len(), 1_100);
    assert_eq!(kept[0].task, samples::task_id("task-4498"));
}

#[tokio::test]
async fn a_node_forgets_at_its_start_and_as_the_hours_pass() {
    let clock = Arc::new(VirtualClock::new());
    let journal = journal_of(&clock, 1).await;
    let young = samples::task_id("young");
    let request = samples::request(samples::package(b"bytes"));
    let accepted = samples::accepted(&young, clock.now().plus(HOUR), request);
    let end = samples::finished(&young, 2, clock.now().plus(2 * HOUR), Outcome::Failed);
    journal.append(vec![accepted, end]).await.unwrap();
    let settled = async |left: &[&str]| {
        while tasks(&journal).await != left {
            tokio::task::yield_now().await;
        }
    };

    clock.advance(2 * HOUR);
    let config = QueueConfig::new().with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let node = ControlNode::builder()
        .resolver(StaticResolver::new(samples::fleet(1)))
        .verifier(FakeVerifier::new(*b"package"))
        .executor(ScriptedExecutor::new())
        .queue(MemoryQueue::new(config))
        .journal(Arc::clone(&journal))
        .clock(Arc::clone(&clock))
        .retention(Retention::new().with_max_age(HOUR))
        .build()
        .await
        .unwrap();
    settled(&["young"]).await;
    clock.advance(2 * HOUR);
    settled(&[]).await;
    node.shutdown().await;
}
