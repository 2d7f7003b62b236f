//! What the queues and journals of this crate promise.
//!
//! The fault tests print what they did: cycles, acknowledged, lost, duplicated, wrong. These variables
//! make them longer:
//!
//! | variable | what it sets |
//! |---|---|
//! | `DEPLOY_QUEUE_KILLS` | children that are killed with -9 |
//! | `DEPLOY_QUEUE_POWER_LOSSES` | power losses in each test of them |
//! | `DEPLOY_QUEUE_TORN_COMMITS` | commits that are cut off in each way |
//! | `DEPLOY_QUEUE_FLIPS` | flipped bits in each test of them; 1000000 are all |
//! | `DEPLOY_QUEUE_MODEL_CASES` | cases of each comparison with the simple queue, in the unit tests too |
//! | `DEPLOY_QUEUE_SCHEDULES` | orders that each scheduler of shuttle tries, in the unit tests |
//!
//! nextest ends a test after three minutes; longer runs are those of
//! `cargo test -p deploy-queue --release --test suite -- --nocapture <name>`.
//!
//! Power losses need root and loop devices, the sweeps strace. Where one is missing, its tests fail.

// The helpers of the tests unwrap as the tests do.
#![allow(clippy::unwrap_used)]

mod backoff;
mod bad_input;
mod commits;
mod conformance;
mod crash;
mod damage;
mod debug;
mod failpoints;
mod full_disk;
mod harness;
mod journal_model;
mod model;
mod model_reference;
mod power;
mod races;
mod reopen;
mod size;
mod sweep;
mod torn;
mod upgrade;
mod waiting;
