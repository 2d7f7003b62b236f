//! The tests of deploy-ssh against real servers.
