//! What the queues and journals of this crate promise.

// The helpers of the tests unwrap as the tests do.
#![allow(clippy::unwrap_used)]

mod conformance;
mod crash;
mod damage;
mod limits;
mod reopen;
