//! The tests of deploy-ssh against real servers, and against OpenSSH's own programs.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod known_hosts;
mod logins;
mod running;
mod shells;
mod ssh_config;
mod stopping;
mod streams;
mod support;
