//! The tests of deploy-ssh against real servers.

mod logins;
mod running;
mod support;
