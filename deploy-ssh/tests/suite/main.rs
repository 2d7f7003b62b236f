//! The tests of deploy-ssh against real servers, and against OpenSSH's own programs.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod conformance;
mod cuts;
mod effects;
mod faults;
mod going_back;
mod hostile;
mod hosts;
mod jumps;
mod known_hosts;
mod logins;
mod other_user;
mod releases;
mod running;
mod scripted;
mod shells;
mod site;
mod ssh_config;
mod stopping;
mod streams;
mod support;
mod users;
