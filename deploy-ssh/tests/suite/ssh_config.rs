//! Configs, held against what `ssh -G` makes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use deploy_ssh::{ConfiguredJump, HostSettings, LocalUser, SshConfig};
use proptest::prelude::{ProptestConfig, Strategy, prop_oneof};
use proptest::proptest;
use proptest::sample::select;

/// What ssh says of a host, by keyword, in its order.
fn asked(config: &Path, alias: &str) -> BTreeMap<String, Vec<String>> {
    let mut ssh = Command::new("ssh");
    ssh.arg("-G").arg("-F").arg(config).arg(alias).stdin(Stdio::null());
    let output = ssh.output().expect("ssh runs: apt-get install openssh-client installs it");
    assert!(output.status.success(), "{output:?}\n{}", std::fs::read_to_string(config).unwrap());
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        found.entry(keyword.to_owned()).or_default().push(value.to_owned());
    }
    found
}

fn jump(jump: &ConfiguredJump) -> String {
    let user = jump.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let port = jump.port.map(|port| format!(":{port}")).unwrap_or_default();
    let bare = !jump.host.contains(':');
    let host = if bare { jump.host.clone() } else { format!("[{}]", jump.host) };
    format!("{user}{host}{port}")
}

fn joined(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(" ") }
}

/// Holds what we say of a host against what ssh says.
fn compare(config: &Path, alias: &str) {
    let text = std::fs::read_to_string(config).unwrap();
    let theirs = asked(config, alias);
    let one = |keyword: &str| theirs.get(keyword).map(|values| values[0].clone());
    let ours = SshConfig::load(config, LocalUser::new("me", "/home/me")).unwrap().resolve(alias);
    let ours: HostSettings = match (one("proxycommand"), ours) {
        (Some(_), ours) => {
            assert!(ours.is_err(), "a ProxyCommand is left out for {alias}:\n{text}");
            return;
        }
        (None, ours) => ours.unwrap(),
    };
    let said = |ours: Option<String>, keyword: &str| {
        // What we leave open, ssh gives a default.
        if ours.is_some() {
            assert_eq!(ours, one(keyword), "{keyword} of {alias} in\n{text}");
        }
    };
    assert_eq!(Some(&ours.host), one("hostname").as_ref(), "{alias} in\n{text}");
    said(ours.user.clone(), "user");
    assert_eq!(ours.port.unwrap_or(22).to_string(), one("port").unwrap(), "{alias} in\n{text}");
    if text.to_lowercase().contains("identityfile") && !ours.identities.is_empty() {
        let shown: Vec<_> = ours.identities.iter().map(|p| p.display().to_string()).collect();
        assert_eq!(Some(&shown), theirs.get("identityfile"), "{alias} in\n{text}");
    }
    let only = if ours.identities_only { "yes" } else { "no" };
    assert_eq!(one("identitiesonly").as_deref(), Some(only), "{alias} in\n{text}");
    let jumps: Vec<_> = ours.jumps.iter().flatten().map(jump).collect();
    let their_jumps = one("proxyjump").filter(|jump| jump != "none").unwrap_or_default();
    assert_eq!(jumps.join(","), their_jumps, "{alias} in\n{text}");
    said(ours.user_known_hosts.as_deref().map(joined), "userknownhostsfile");
    said(ours.global_known_hosts.as_deref().map(joined), "globalknownhostsfile");
    assert_eq!(ours.host_key_alias, one("hostkeyalias"), "{alias} in\n{text}");
    let timeout = one("connecttimeout").filter(|timeout| timeout != "none");
    let timeout = timeout.map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    assert_eq!(ours.connect_timeout, timeout, "{alias} in\n{text}");
}

const ALIASES: [&str; 5] = ["web-1", "web-9", "WEB-1", "db.example.org", "10.0.0.7"];

#[test]
fn a_config_as_people_write_it_means_what_it_means_to_ssh() {
    let directory = tempfile::tempdir().unwrap();
    let included = directory.path().join("included");
    std::fs::write(&included, "User in\nHost web-9\n Port 99\nMatch all\n ConnectTimeout 3\n")
        .unwrap();
    let config = directory.path().join("config");
    let text = format!(
        "# the fleet\nHost web-* !web-9 # not the ninth\n  HostName=%h.example.org\n\
         \tPort = 2200\r\n  IdentityFile \"/k/with space\"\n  IdentityFile /k/two\n\
         UserKnownHostsFile /a /b\\ c\n\nhost db.*\n  PROXYJUMP joe@gate:2022,[::1]:22\n\
         Include {}\nHost web-9 10.0.0.?\n  ProxyJump none\n  HostKeyAlias nine\n  User nine\n\
         Include {} /nowhere/none\nHost *\n  ConnectTimeout 1m\n  ProxyJump last\n\
         IdentitiesOnly yes\n  GlobalKnownHostsFile none\n",
        included.display(),
        included.display(),
    );
    std::fs::write(&config, text).unwrap();
    for alias in ALIASES {
        compare(&config, alias);
    }
}

/// Lines that ssh understands.
fn a_line() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        select(vec![
            "Host web-*",
            "Host * !web-9",
            "Host !web-1",
            "Host web-? db.*",
            "Host 10.0.0.*",
            "Host web-1 web-9",
            "Host WEB-1",
            "Match all",
        ]),
        select(vec![
            "HostName %h.example.org",
            "HostName Fixed.Example",
            "HostName %%h",
            "User joe",
            "User \"two words\"",
            "Port 2200",
            "port=22",
            "IdentityFile /k/one",
            "IdentityFile '/k/t w o'",
            "IdentitiesOnly yes",
            "IdentitiesOnly no",
        ]),
        select(vec![
            "ProxyJump gate",
            "ProxyJump none",
            "ProxyJump joe@a:22,b",
            "ProxyCommand nc %h %p",
            "ProxyCommand none",
            "UserKnownHostsFile /a /b",
            "UserKnownHostsFile none",
            "GlobalKnownHostsFile /g",
            "HostKeyAlias key",
            "ConnectTimeout 7",
            "ConnectTimeout 1h2m3",
            "StrictHostKeyChecking no",
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_is_configured_means_what_it_means_to_ssh(
        lines in proptest::collection::vec(a_line(), 0..25), alias in select(&ALIASES[..]),
    ) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines.join("\n")).unwrap();
        compare(file.path(), alias);
    }
}
