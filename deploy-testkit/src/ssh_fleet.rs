//! A fleet of hosts on loopback, each reached through a real sshd of its own.

mod builder;
mod config;
mod disk;
mod door;
mod fleet;
mod host;
mod keys;
mod login;
mod processes;
mod tools;

pub use builder::SshFleetBuilder;
pub use fleet::SshFleet;
pub use host::SshHost;
pub use login::FleetUser;
