//! The behaviour of the test kit.

mod broken_journals;
mod broken_queues;
mod fakes;
mod virtual_clock;
