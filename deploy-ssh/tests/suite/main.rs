//! The tests of deploy-ssh against real servers, and against OpenSSH's own programs.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod known_hosts;
mod logins;
mod running;
mod ssh_config;
mod support;
