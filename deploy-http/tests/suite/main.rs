//! Behaviour of the HTTP parts over real sockets on the loopback interface.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees tests where they are marked, and not what they share"
)]

mod actions;
mod agent_api;
mod connections;
mod control_api;
mod downloads;
mod executor;
mod golden;
mod package_cache;
mod prober;
mod redirects;
mod resolver;
mod support;
mod tls;
mod url_policy;
