//! End to end: the release bot's real processes, on loopback, with real packages.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod bot;
mod crash;
mod gates;
#[cfg(feature = "ssh")]
mod killed;
mod people;
mod running;
mod socket;
#[cfg(feature = "ssh")]
mod ssh;
#[cfg(not(feature = "ssh"))]
mod without_ssh;
mod world;
