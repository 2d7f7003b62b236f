//! Hosts reached over SSH, with what the environment says of whoever runs the program.

use std::env;

use deploy_core::Inventory;
use deploy_ssh::{LocalUser, SshFault, SshFaultKind};

pub use deploy_ssh::SshHosts;

use crate::ssh_options::SshOptions;

/// Finds out how the hosts of an inventory are reached over SSH.
///
/// # Errors
///
/// Everything that is missing or wrong, for people, a line each.
pub fn ssh_hosts(inventory: &Inventory, options: &SshOptions) -> Result<SshHosts, String> {
    let home = env::home_dir().unwrap_or_default();
    let user = LocalUser::new(env::var("USER").unwrap_or_default(), home);
    let mut all = deploy_ssh::SshOptions::new()
        .with_identities(&options.identities)
        .with_known_hosts(&options.known_hosts)
        .with_local_user(user);
    if let Some(socket) = env::var_os("SSH_AUTH_SOCK") {
        all = all.with_agent(socket);
    }
    SshHosts::of(inventory, &all).map_err(|unusable| {
        let lines: Vec<_> = unusable.faults.iter().map(line).collect();
        format!("hosts cannot be reached over SSH:{}", lines.concat())
    })
}

/// A fault, with the option that mends it too.
fn line(fault: &SshFault) -> String {
    let option = match fault.kind {
        SshFaultKind::NoKnownHosts => ", or --known-hosts FILE",
        SshFaultKind::NoAuth => ", or --identity FILE",
        _ => "",
    };
    format!("\n  {fault}{option}")
}
