//! What the thread of a session does, step by step, and how far a step came.

use std::os::fd::BorrowedFd;
use std::task::Poll;
use std::time::Duration;

use rustix::event::PollFlags;

use super::command::Command;
use super::signal::Kill;
use super::tunnel::Tunnel;
use crate::wire::{Wire, WireError};

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Something was done, and there may be more to do.
    Moved,
    /// It waits for the host, or for this side.
    Waits,
    /// It is done.
    Over,
}

/// What is done over one session.
pub(crate) enum Job {
    Command(Box<Command>),
    Kill(Kill),
    Tunnel(Box<Tunnel>),
}

impl Job {
    pub(crate) fn step(&mut self, wire: &Wire, buffer: &mut [u8]) -> Result<Progress, WireError> {
        match self {
            Self::Command(job) => job.step(wire, buffer),
            Self::Kill(job) => job.step(wire, buffer),
            Self::Tunnel(job) => job.step(wire, buffer),
        }
    }

    /// Whether it waits for its channel: one channel is opened at a time.
    pub(crate) fn is_opening(&self) -> bool {
        match self {
            Self::Command(job) => job.is_opening(),
            Self::Kill(job) => job.is_opening(),
            Self::Tunnel(job) => job.is_opening(),
        }
    }

    /// The connection is lost.
    pub(crate) fn lose(&mut self, why: &str) {
        match self {
            Self::Command(job) => job.lose(why),
            Self::Kill(_) => {}
            Self::Tunnel(job) => job.lose(why),
        }
    }

    /// How long it waits for news at most.
    pub(crate) fn rests(&self) -> Option<Duration> {
        match self {
            Self::Command(job) => job.rests(),
            Self::Kill(_) | Self::Tunnel(_) => None,
        }
    }

    /// What it waits for on this side, beside the news that wake the thread.
    pub(crate) fn waits_for(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match self {
            Self::Tunnel(job) => job.waits_for(),
            Self::Command(_) | Self::Kill(_) => None,
        }
    }
}

/// The value, or `None` when the call is to be repeated.
pub(crate) fn ready<T>(step: Poll<Result<T, WireError>>) -> Result<Option<T>, WireError> {
    match step {
        Poll::Ready(done) => done.map(Some),
        Poll::Pending => Ok(None),
    }
}
