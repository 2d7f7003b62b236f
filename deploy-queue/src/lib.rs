//! Queues and journals of the deployment engine: tasks and facts in memory, or on a disk where they
//! survive kill -9 and power loss.
//!
//! # What to pick
//!
//! | | queue | journal | for |
//! |---|---|---|---|
//! | memory | [`MemoryQueue`] | [`MemoryJournal`] | tests; work that may be lost with the process |
//! | disk | [`DiskStore`] | [`DiskStore`] | everything else: one directory, one process, no database to run |
//!
//! All keep the contracts of [`Queue`](deploy_core::Queue),
//! [`QueueAdmin`](deploy_core::QueueAdmin) and [`Journal`](deploy_core::Journal), clause by clause:
//! the suites of deploy-testkit run against each of them, and can run against yours. You implement
//! nothing, unless your queue is a broker or a database that you have already.
//!
//! ```text
//!  push, settle, append                                      claim, follow
//!        │                                                        ▲
//!        ▼                                                        │ once it is on disk
//!  index of the tasks, leases, who waits ── rows ──► one thread writes what came meanwhile:
//!                                                    store.log, one fdatasync for all
//!                                                         │ every 8 MiB
//!                                                         ▼
//!                                                    store.redb
//! ```
//!
//! # Quick start
//!
//! ```
//! # #[cfg(feature = "disk")] {
//! use deploy_core::{Queue, Settlement, TaskRecord, model::TaskId};
//! use deploy_queue::{DiskStore, QueueConfig};
//! use std::time::Duration;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("state");
//! let store = DiskStore::open(&path, QueueConfig::new()).await?;
//! store.push(TaskRecord::new(TaskId::new("task-1")?, "note", *b"hello")).await?;
//!
//! let claim = store.claim("worker".to_owned(), vec![], Duration::from_secs(30)).await?;
//! assert_eq!(&claim.task.payload[..], b"hello");
//! store.settle(claim.token, Settlement::Done).await?;
//! store.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! - `disk` (on by default): [`DiskStore`], a log with redb behind it. Without it nothing here touches
//!   a disk.
//! - `failpoints`: for the tests of this crate alone.
//!
//! # Guarantees of the store on disk
//!
//! - What was acknowledged is synced. A commit is one record appended to a log, and one `fdatasync`;
//!   calls that are made at the same time share it.
//! - A task is given to a worker only once its push is on disk.
//! - A settlement and the events of its task can be one commit: `DiskStore::settle_with`.
//! - Every page is checked when the store is opened, and every row when it is read. Damage is named
//!   and stops the store; it is never repaired into an empty or a shorter one. What cannot be opened
//!   stays as it was, unless the database finds damage in the middle of a repair.
//! - A task is never set aside by the queue itself, however often it was attempted: only the worker
//!   that has it says so. One that failed comes back after a pause that doubles each time, apart from
//!   others that failed with it ([`Backoff`]).
//! - After a failed write, or when its files are removed, every call ends with an error until the
//!   store is opened again.
//! - One process at a time has the store open; a second one is told which.
//! - The size on disk is that of what lives in the store: room is used again, and given back when
//!   the store is opened.
//! - The format is documented in `FORMAT.md`, and has a version that is looked at.
//!
//! # What it does not guarantee
//!
//! - Tasks are done at least once, not exactly once: a worker that is killed between its work and
//!   the settlement leaves the task to the next one.
//! - Leases follow the clock they are given. One that jumps ahead ends them early; the token of a
//!   lease that ended is refused. One that is set back lets them, and all pauses, last longer.
//! - The attempt of a worker that kills its process within 100 ms of the claim may not be counted,
//!   unless it recorded something.
//! - A damaged store has to be restored from a backup: there is one copy. A backup is a copy of the
//!   whole directory, made while the store is closed, or of a snapshot of its file system. Files
//!   that are copied one after the other while it is open may not belong together: then they are
//!   not opened.
//! - Damage to the very last commit goes unnoticed when the machine loses power within 200 ms after
//!   it: it looks like a commit that was cut off before it was acknowledged. `FORMAT.md` says why.
//! - Of the files of a store, those that are older than others are noticed, but for one case: a log
//!   and a mark that were both put back, beside a newer database.
//! - Every 8 MiB of changes, commits wait while these are brought from the log into the database:
//!   some tens of milliseconds on a disk that is not busy.
//!
//! # What it costs
//!
//! The index of the tasks is in memory, about 250 bytes for each; payloads and events are on disk.
//! Opening reads the database twice, first to check its pages and then for the index, and takes time
//! in proportion. `benches/RESULTS.md` of the repository has figures, also of the faults that the store
//! was put through.

mod catalog;
mod config;
mod desk;
#[cfg(feature = "disk")]
mod disk;
#[cfg(feature = "disk")]
mod failpoint;
mod ledger;
mod memory_journal;
mod memory_queue;
mod sync;

pub use config::{Backoff, QueueConfig};
#[cfg(feature = "disk")]
pub use disk::{Cause, DiskStore, OpenError, SettleError, StoreError};
#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub use failpoint::{FAIL_POINTS, FailAction, set_fail_point, set_log_limit};
pub use memory_journal::MemoryJournal;
pub use memory_queue::MemoryQueue;
