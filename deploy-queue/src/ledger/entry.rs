//! What the ledger knows of a task, and what it says became of one.

use std::cmp::Reverse;

use deploy_core::model::{Sha256Digest, TaskId, Timestamp};
use deploy_core::{Failure, LeaseToken, TaskRecord};

use super::moment::Moment;
use super::ready::{Name, Rank};

/// What the ledger knows of a task: everything but its content. 88 bytes, because there may be a
/// million.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: TaskId,
    pub(super) kind: Name,
    pub(super) key: Option<Name>,
    pub(super) priority: i32,
    pub(super) due: Moment,
    /// How often it was claimed.
    pub(super) attempts: u32,
    pub(super) fingerprint: Fingerprint,
    pub(super) place: Place,
}

impl Entry {
    /// The task's place in the order of claims.
    pub(super) fn rank(&self, order: u64) -> Rank {
        (Reverse(self.priority), self.due, order)
    }
}

/// Where a task is.
#[derive(Debug)]
pub(super) enum Place {
    Ready,
    Delayed,
    Claimed(Box<Lease>),
    Dead(Box<Death>),
}

/// A worker's time-limited claim.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) number: u64,
    pub(super) worker: String,
    pub(super) until: Timestamp,
}

/// Why and when a task was set aside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Death {
    pub(crate) failure: Failure,
    pub(crate) at: Timestamp,
}

/// What tells a task from another with the same id: half of a SHA-256 over its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of a task.
    pub(crate) fn of(task: &TaskRecord) -> Self {
        let due = task.due.map(Timestamp::unix_micros);
        let head = (&task.kind, due, &task.exclusive_key, task.priority);
        // `Debug` of text and numbers is unambiguous, and nothing of it is kept.
        let mut content = format!("{head:?}\n").into_bytes();
        content.extend_from_slice(&task.payload);
        let mut half = [0; 16];
        half.copy_from_slice(&Sha256Digest::of(&content).as_bytes()[..16]);
        Self(half)
    }
}

/// A task that was handed to a worker.
#[derive(Debug)]
pub(crate) struct Leased {
    pub(crate) order: u64,
    pub(crate) token: LeaseToken,
    pub(crate) attempt: u32,
    /// What became of the task by it.
    pub(crate) change: Change,
}

/// What became of a task, for whoever keeps it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// It waits until `due`; when a worker has it, that is how it is found after a restart.
    Waits { order: u64, due: Timestamp, attempts: u32 },
    /// It is set aside.
    Dies { order: u64, due: Timestamp, attempts: u32, death: Death },
    /// It is gone.
    Goes { order: u64 },
}
