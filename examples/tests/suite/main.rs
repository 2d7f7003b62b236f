//! End to end: the release bot's real processes, on loopback, with real packages.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod api;
mod bot;
mod calls;
mod crash;
mod gates;
#[cfg(feature = "ssh")]
mod killed;
mod on_call;
mod people;
mod plan;
mod rollback;
mod running;
mod socket;
#[cfg(feature = "ssh")]
mod ssh;
mod tls;
#[cfg(not(feature = "ssh"))]
mod without_ssh;
mod world;
