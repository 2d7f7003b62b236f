//! The tests of deploy-ssh against real servers.

mod conformance;
mod logins;
mod running;
mod shells;
mod stopping;
mod streams;
mod support;
