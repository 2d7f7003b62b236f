//! What a child puts into a store: everything follows from an id, so that it can be checked.

use std::time::Duration;

use deploy_core::model::{Outcome, TaskId, Timestamp};
use deploy_core::{Event, TaskRecord};
use deploy_testkit::samples;

/// What happens to a task after its push. It is the last part of the task's id.
pub(super) const FATES: [&str; 8] =
    ["done", "both", "dead", "retry", "later", "defer", "lapse", "done"];

/// The task of an id: one that is to come `later` is due in a far year.
pub(super) fn task(id: &str) -> TaskRecord {
    let fate = fate(id);
    let size = if id.len().is_multiple_of(5) { 6_000 } else { 300 };
    let payload = id.bytes().cycle().take(size).collect::<Vec<_>>();
    let kind = if fate == "lapse" { "lapse" } else { "work" };
    let task = TaskRecord::new(samples::task_id(id), kind, payload);
    match fate {
        "later" => task.with_due(far(1)),
        "retry" => task.with_priority(1),
        _ => task,
    }
}

/// What happens to the task of an id.
pub(super) fn fate(id: &str) -> &str {
    id.rsplit('-').next().unwrap()
}

/// A moment that comes after every test.
pub(super) fn far(step: u64) -> Timestamp {
    moment(100 * 365 * 24 * 3600 + step)
}

/// The event of a number in a journal that goes on.
pub(super) fn event(journal: &TaskId, number: u64) -> Event {
    if number == 1 {
        samples::accepted(journal, moment(1), samples::request(samples::package(b"bytes")))
    } else {
        samples::progress(journal, number, moment(number))
    }
}

/// The two events that a task's settlement brings with it.
pub(super) fn both_events(id: &TaskId) -> Vec<Event> {
    vec![event(id, 1), samples::finished(id, 2, moment(2), Outcome::Succeeded)]
}

fn moment(seconds: u64) -> Timestamp {
    let start = Timestamp::from_unix_micros(1_767_225_600_000_000).unwrap();
    start.plus(Duration::from_secs(seconds))
}
