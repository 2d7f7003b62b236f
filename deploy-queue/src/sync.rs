//! The locks of the desk. In the unit tests they are shuttle's, which chooses who goes next.
//!
//! So a unit test that uses a desk, or a queue in memory, runs under shuttle.

#[cfg(test)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(test))]
pub(crate) use std::sync::{Mutex, MutexGuard};
