//! What the queues and journals of this crate promise.

mod conformance;
mod crash;
mod damage;
