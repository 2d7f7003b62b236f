//! The tests of deploy-ssh against real servers.

mod conformance;
mod cuts;
mod faults;
mod hostile;
mod jumps;
mod logins;
mod releases;
mod running;
mod scripted;
mod shells;
mod site;
mod stopping;
mod streams;
mod sudo;
mod support;
