//! Conformance suites: one named case for each clause of a contract. The macros make tests of them.

pub mod admin;
mod bench;
pub mod claiming;
pub mod journal;
mod macros;
pub mod settling;
pub mod waiting;

pub use bench::{AdminBench, JournalBench, QueueBench, run};
