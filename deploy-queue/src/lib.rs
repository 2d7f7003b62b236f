//! Queues and journals of the deployment engine: in memory and on disk.

mod catalog;
mod config;
mod desk;
mod ledger;
mod memory_journal;
mod memory_queue;

pub use config::{Backoff, QueueConfig};
pub use memory_journal::MemoryJournal;
pub use memory_queue::MemoryQueue;
