//! The tests of deploy-ssh against OpenSSH's own programs.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod known_hosts;
mod ssh_config;
