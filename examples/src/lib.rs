//! What the example programs share: putting nodes together from an inventory and a state directory,
//! and showing what happens. Both are as short as a host application of your own would have them.

pub mod show;
#[cfg(feature = "ssh")]
mod ssh;
mod ssh_options;
pub mod wiring;
#[cfg(not(feature = "ssh"))]
mod without_ssh;

#[cfg(feature = "ssh")]
pub use ssh::{SshHosts, ssh_hosts};
pub use ssh_options::SshOptions;
#[cfg(not(feature = "ssh"))]
pub use without_ssh::{SshHosts, ssh_hosts};

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
