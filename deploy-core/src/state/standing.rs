//! Why a deployment does not go on: for now, or any more.

use serde::Serialize;

use super::TaskState;
use crate::event::BatchHold;
use crate::model::{Actor, Timestamp};

/// Why a deployment waits, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Hold {
    /// Why, in words; none where it waits for its scheduled time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when; none where it waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Hold {
    pub(super) fn new(reason: impl Into<Option<String>>, until: Option<Timestamp>) -> Self {
        Self { reason: reason.into(), until }
    }
}

/// A deployment that starts nothing new until a person resumes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pause {
    /// Why, in words.
    pub reason: String,
    /// Who paused it; none where it did so itself, because its failure budget was passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
}

/// A deployment that starts nothing new any more, and ends when what runs has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stop {
    /// Why, in words.
    pub reason: String,
    /// Whether that is because its deadline has passed.
    pub overdue: bool,
    /// Since when.
    pub at: Timestamp,
}

/// The stand before a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Gap {
    /// The batch that comes next.
    pub batch: u32,
    /// Why it waits.
    pub hold: BatchHold,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none where it waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether a person has promoted the canary.
    pub promoted: bool,
}

impl Gap {
    pub(super) fn as_hold(&self) -> Hold {
        Hold::new(self.hold.to_string(), self.until)
    }
}

impl TaskState {
    /// The rollout stands from now on.
    pub(super) fn stands(&mut self, at: Timestamp) {
        if self.began {
            self.lookup.standing.get_or_insert(at);
        }
    }

    /// The rollout goes on, unless something else lets it stand: the time it stood does not count.
    pub(super) fn goes_on(&mut self, at: Timestamp) {
        if self.paused.is_none() && self.gap.is_none() {
            self.runs_again(at);
        }
    }

    /// The deadline runs from now on: also what comes to its end may not take for ever.
    pub(super) fn runs_again(&mut self, at: Timestamp) {
        if let (Some(since), Some(deadline)) = (self.lookup.standing.take(), self.deadline) {
            self.deadline = Some(deadline.plus(at.since(since)));
        }
    }

    pub(super) fn pause(&mut self, pause: Pause, at: Timestamp) {
        self.hold = Some(Hold::new(pause.reason.clone(), None));
        self.paused = Some(pause);
        self.stands(at);
    }

    pub(super) fn resume(&mut self, at: Timestamp) {
        if self.paused.take().is_some() {
            self.hold = self.gap.as_ref().map(Gap::as_hold);
        }
        self.goes_on(at);
    }

    /// The first reason to stop stays; that the deadline has passed comes on top, because then even
    /// what runs is not waited for.
    pub(super) fn stop(&mut self, stop: Stop) {
        self.runs_again(stop.at);
        if self.stopped.as_ref().is_none_or(|stopped| stop.overdue && !stopped.overdue) {
            self.stopped = Some(stop);
        }
    }
}
