//! The behaviour of the test kit, and of the engine over it.

// The helpers of the tests unwrap as the tests do.
#![allow(clippy::unwrap_used)]

mod broken_journals;
mod broken_queues;
mod engine;
mod fakes;
mod line;
mod people;
mod retention;
mod rollout;
mod support;
mod virtual_clock;
