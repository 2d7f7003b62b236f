//! Putting together what applies to one host: the first value of each setting, filled in.

use std::path::PathBuf;
use std::time::Duration;

use super::expand::{Tokens, host_name};
use super::reader::Entry;
use super::setting::Setting;
use super::{ConfiguredJump, HostSettings, LocalUser, SshConfigError};
use crate::place::LineFault;

/// The first value of each setting that applies to a host, before anything is filled in.
#[derive(Debug, Default)]
struct Found<'a> {
    host_name: Option<&'a Entry>,
    user: Option<&'a str>,
    port: Option<u16>,
    identities: Vec<&'a Entry>,
    identities_only: Option<bool>,
    jumps: Option<(&'a Entry, &'a [String])>,
    command: Option<&'a Entry>,
    user_known_hosts: Option<&'a Entry>,
    global_known_hosts: Option<&'a [String]>,
    host_key_alias: Option<&'a str>,
    connect_timeout: Option<Option<Duration>>,
    strict: Option<&'a Entry>,
    localhost: Option<&'a Entry>,
    revoked: Option<&'a Entry>,
}

impl<'a> Found<'a> {
    fn take(&mut self, entry: &'a Entry) {
        match &entry.setting {
            Setting::HostName(_) => first(&mut self.host_name, entry),
            Setting::User(user) => first(&mut self.user, user),
            Setting::Port(port) => first(&mut self.port, *port),
            Setting::IdentityFile(_) => self.identities.push(entry),
            Setting::IdentitiesOnly(only) => first(&mut self.identities_only, *only),
            // Whichever of the two comes first counts; but after `ProxyJump none`, ssh(1) still takes
            // a ProxyCommand.
            Setting::ProxyJump(hosts) if self.command.is_none() => {
                first(&mut self.jumps, (entry, hosts));
            }
            Setting::ProxyCommand(_) if self.jumps.is_none_or(|(_, hosts)| hosts.is_empty()) => {
                first(&mut self.command, entry);
            }
            Setting::ProxyJump(_) | Setting::ProxyCommand(_) => {}
            Setting::UserKnownHostsFiles(_) => first(&mut self.user_known_hosts, entry),
            Setting::GlobalKnownHostsFiles(files) => first(&mut self.global_known_hosts, files),
            Setting::HostKeyAlias(alias) => first(&mut self.host_key_alias, alias),
            Setting::ConnectTimeout(timeout) => first(&mut self.connect_timeout, *timeout),
            Setting::StrictHostKeyChecking(_) => first(&mut self.strict, entry),
            Setting::NoHostAuthenticationForLocalhost(_) => first(&mut self.localhost, entry),
            Setting::RevokedHostKeys(_) => first(&mut self.revoked, entry),
        }
    }
}

/// The first value counts.
fn first<T>(slot: &mut Option<T>, value: T) {
    if slot.is_none() {
        *slot = Some(value);
    }
}

/// Puts together what applies to a host.
pub(super) fn resolve(
    entries: &[Entry],
    local: &LocalUser,
    alias: &str,
) -> Result<HostSettings, SshConfigError> {
    let mut found = Found::default();
    entries.iter().filter(|entry| entry.applies_to(alias)).for_each(|entry| found.take(entry));
    let mut faults = Vec::new();
    let mut note = |entry: &Entry, reason: String| {
        faults.push(LineFault { place: entry.place.clone(), reason });
    };

    let mut host = alias.to_owned();
    if let Some(entry) = found.host_name
        && let Setting::HostName(template) = &entry.setting
    {
        match host_name(template, alias) {
            Ok(name) => host = name,
            Err(reason) => note(entry, reason),
        }
    }
    host.make_ascii_lowercase();
    let tokens = Tokens {
        alias,
        host: &host,
        key_alias: found.host_key_alias.unwrap_or(alias),
        port: found.port.unwrap_or(22),
        user: found.user.unwrap_or(&local.name),
        local,
    };
    let mut identities = Vec::new();
    for entry in &found.identities {
        if let Setting::IdentityFile(file) = &entry.setting
            && !file.eq_ignore_ascii_case("none")
        {
            match tokens.path(file) {
                Ok(path) if identities.contains(&path) => {}
                Ok(path) => identities.push(path),
                Err(reason) => note(entry, reason),
            }
        }
    }
    let mut jumps = None;
    if let Some((entry, hosts)) = found.jumps {
        let jump = |text: &String| {
            let jump = tokens.jump(text).and_then(|text| ConfiguredJump::parse(&text));
            jump.map_err(|reason| note(entry, reason)).ok()
        };
        jumps = Some(hosts.iter().filter_map(jump).collect());
    }
    if let Some(entry) = found.command.filter(|e| e.setting == Setting::ProxyCommand(true)) {
        note(entry, "ProxyCommand is not supported: use ProxyJump".to_owned());
    }
    let mut user_known_hosts = None;
    if let Some(entry) = found.user_known_hosts
        && let Setting::UserKnownHostsFiles(files) = &entry.setting
    {
        let path = |file: &String| tokens.path(file).map_err(|reason| note(entry, reason)).ok();
        user_known_hosts = Some(files.iter().filter_map(path).collect());
    }
    if let Some(entry) = found.revoked.filter(|e| e.setting == Setting::RevokedHostKeys(true)) {
        let reason = "RevokedHostKeys is not supported: put @revoked lines into a known hosts file";
        note(entry, reason.to_owned());
    }
    if !faults.is_empty() {
        return Err(SshConfigError::Unsupported { host: alias.to_owned(), faults });
    }

    let weak = [
        (found.strict, Setting::StrictHostKeyChecking(false), "StrictHostKeyChecking"),
        (
            found.localhost,
            Setting::NoHostAuthenticationForLocalhost(true),
            "NoHostAuthenticationForLocalhost",
        ),
    ];
    let not_followed = weak.into_iter().filter_map(|(entry, weak, keyword)| {
        let entry = entry.filter(|entry| entry.setting == weak)?;
        let reason = format!("{keyword} is not followed: the key of every host must be known");
        Some(LineFault { place: entry.place.clone(), reason })
    });
    Ok(HostSettings {
        user: found.user.map(str::to_owned),
        port: found.port,
        identities,
        identities_only: found.identities_only.unwrap_or(false),
        jumps,
        user_known_hosts,
        // No placeholder counts in these.
        global_known_hosts: found
            .global_known_hosts
            .map(|files| files.iter().map(PathBuf::from).collect()),
        host_key_alias: found.host_key_alias.map(str::to_owned),
        connect_timeout: found.connect_timeout.flatten(),
        not_followed: not_followed.collect(),
        host,
    })
}
