//! The tests of deploy-ssh against real servers.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod hostile;
mod jumps;
mod logins;
mod releases;
mod running;
mod scripted;
mod shells;
mod stopping;
mod streams;
mod sudo;
mod support;
