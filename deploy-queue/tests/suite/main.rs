//! What the queues and journals of this crate promise.

// The helpers of the tests unwrap as the tests do.
#![allow(clippy::unwrap_used)]

mod conformance;
mod crash;
mod damage;
mod full_disk;
mod limits;
mod reopen;
mod size;
