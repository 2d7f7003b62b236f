//! What the queues and journals of this crate promise.

// The helpers of the tests unwrap as the tests do.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod conformance;
mod crash;
mod damage;
mod failpoints;
mod full_disk;
mod harness;
mod limits;
mod model;
mod model_reference;
mod power;
mod reopen;
mod sweep;
