//! Queues and journals of the deployment engine: in memory and on disk.

mod catalog;
mod config;
mod desk;
#[cfg(feature = "disk")]
mod disk;
mod ledger;
mod memory_journal;
mod memory_queue;

pub use config::{Backoff, QueueConfig};
#[cfg(feature = "disk")]
pub use disk::{Cause, DiskStore, OpenError, SettleError, StoreError};
pub use memory_journal::MemoryJournal;
pub use memory_queue::MemoryQueue;
