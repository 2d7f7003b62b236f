//! The behaviour of the test kit.

// The helpers of the tests unwrap as the tests do.
#![allow(clippy::unwrap_used)]

mod broken_journals;
mod broken_queues;
mod fakes;
mod virtual_clock;
