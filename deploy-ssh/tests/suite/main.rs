//! The tests of deploy-ssh against real servers.

mod conformance;
mod cuts;
mod faults;
mod logins;
mod release;
mod running;
mod shells;
mod stopping;
mod streams;
mod support;
