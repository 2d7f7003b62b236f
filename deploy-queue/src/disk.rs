//! Tasks and facts in one directory on disk.

mod admin;
mod cards;
mod cause;
mod compact;
mod content;
mod directory;
mod error;
mod journal;
mod load;
mod log;
mod mark;
mod names;
mod outbox;
mod pending;
mod row;
mod rows;
mod shared;
mod store;
mod writer;

pub use cause::Cause;
pub use error::{OpenError, SettleError, StoreError};
pub(crate) use log::LIMIT as LOG_LIMIT;
pub use store::DiskStore;
