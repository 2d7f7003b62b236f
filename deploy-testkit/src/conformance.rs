//! Conformance suites: one named case for each clause of a contract. The macros make tests of them.

pub mod admin;
mod bench;
pub mod claiming;
pub mod connecting;
pub mod durable;
pub mod journal;
pub mod limits;
mod macros;
pub mod resolving;
pub mod scripts;
mod session_bench;
pub mod settling;
pub mod stopping;
pub mod streams;
pub mod waiting;

pub use bench::{AdminBench, JournalBench, QueueBench, run};
pub use resolving::ResolverBench;
pub use session_bench::ConnectorBench;
