//! The tests of deploy-ssh against real servers.

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
