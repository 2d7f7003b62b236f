use std::fs;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, any, prop_oneof, proptest};

use super::*;

fn me() -> LocalUser {
    LocalUser::new("me", "/home/me")
}

fn resolve(text: &str, alias: &str) -> HostSettings {
    SshConfig::parse(text.as_bytes(), me()).unwrap().resolve(alias).unwrap()
}

fn refused(error: &SshConfigError) -> Vec<String> {
    match error {
        SshConfigError::Malformed { faults } | SshConfigError::Unsupported { faults, .. } => {
            faults.iter().map(ToString::to_string).collect()
        }
        SshConfigError::Unreadable { .. } => panic!("{error}"),
    }
}

#[test]
fn the_first_value_counts_and_identities_add_up() {
    let text = "IdentityFile /k/all\n\
        Host web-* !web-9\n  Port 2200\n  User deploy\n  HostName %h.example.ORG\n  IdentityFile /k/web\n\
        Host *\n  Port 22\n  User nobody\n  ConnectTimeout 1m30s\n  IdentityFile /k/all\n";
    let web = resolve(text, "web-1");
    assert_eq!(web.host, "web-1.example.org");
    assert_eq!((web.user.as_deref(), web.port), (Some("deploy"), Some(2200)));
    assert_eq!(web.identities, [Path::new("/k/all"), Path::new("/k/web")]);
    assert_eq!(web.connect_timeout, Some(Duration::from_secs(90)));
    let other = resolve(text, "web-9");
    assert_eq!((other.host.as_str(), other.port), ("web-9", Some(22)));
    assert_eq!(other.user.as_deref(), Some("nobody"));
}

#[test]
fn paths_are_filled_in_from_what_is_known_of_the_host() {
    let text = "Host w\n HostName web.example\n User deploy\n Port 2200\n HostKeyAlias key\n\
        IdentityFile ~/.ssh/%r@%h:%p-%n-%u-%%\nIdentityFile %d/id\nIdentityFile none\n\
        UserKnownHostsFile ~/known-%k \"/with a/space\"\nGlobalKnownHostsFile /etc/%h\n";
    let settings = resolve(text, "w");
    let identities = ["/home/me/.ssh/deploy@web.example:2200-w-me-%", "/home/me/id"];
    assert_eq!(settings.identities, identities.map(PathBuf::from));
    let known = ["/home/me/known-key", "/with a/space"].map(PathBuf::from);
    assert_eq!(settings.user_known_hosts.as_deref(), Some(&known[..]));
    assert_eq!(settings.global_known_hosts, Some(vec![PathBuf::from("/etc/%h")]));
    assert_eq!(settings.host_key_alias.as_deref(), Some("key"));
}

#[test]
fn a_config_that_says_nothing_leaves_everything_open() {
    let settings = resolve("", "Web-1");
    assert_eq!(settings.host, "web-1");
    assert_eq!((settings.user, settings.port, settings.connect_timeout), (None, None, None));
    assert!(settings.identities.is_empty() && settings.jumps.is_none());
    assert_eq!((settings.user_known_hosts, settings.global_known_hosts), (None, None));
}

#[test]
fn jump_hosts_are_read_in_every_form() {
    let text =
        "ProxyJump a,deploy@b:2022, ssh://c@[::1]:22/,[fe80::1],fe80::2,%r@gate.%h\nUser joe";
    let jumps = resolve(text, "web").jumps.unwrap();
    let shown: Vec<_> =
        jumps.iter().map(|j| (j.user.as_deref(), j.host.as_str(), j.port)).collect();
    let expected = [
        (None, "a", None),
        (Some("deploy"), "b", Some(2022)),
        (Some("c"), "::1", Some(22)),
        (None, "fe80::1", None),
        (None, "fe80::2", None),
        (Some("joe"), "gate.web", None),
    ];
    assert_eq!(shown, expected);
    assert!(
        resolve("Host a\nProxyJump none\nMatch all\nProxyJump b", "a").jumps == Some(Vec::new())
    );
}

#[test]
fn what_leads_elsewhere_is_an_error_for_the_hosts_it_applies_to_alone() {
    let text = "Host a\n ProxyCommand nc %h %p\n RevokedHostKeys /krl\n IdentityFile ~joe/id\n\
        IdentityFile /%C\n IdentityFile ${HOME}/id\nHost b\n ProxyJump c\n ProxyCommand nc\n\
        Host c\n ProxyCommand none\n ProxyJump d\n HostName %p\n";
    let config = SshConfig::parse(text.as_bytes(), me()).unwrap();
    let error = config.resolve("a").unwrap_err();
    let faults = refused(&error);
    let lines: Vec<_> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["line 4", "line 5", "line 6", "line 2", "line 3"], "{faults:#?}");
    assert!(error.to_string().contains("ProxyCommand is not supported"), "{error}");
    assert_eq!(config.resolve("b").unwrap().jumps.unwrap().len(), 1);
    assert_eq!(refused(&config.resolve("c").unwrap_err()).len(), 1);
    assert!(config.resolve("d").is_ok());
}

#[test]
fn what_checks_less_is_told_and_not_followed() {
    let text = "Host a\n StrictHostKeyChecking yes\nHost *\n StrictHostKeyChecking accept-new\n\
        NoHostAuthenticationForLocalhost yes\n";
    let notes = |alias| -> Vec<_> {
        resolve(text, alias).not_followed.iter().map(|note| note.place.line).collect()
    };
    assert_eq!(notes("a"), [5]);
    assert_eq!(notes("b"), [4, 5]);
}

#[test]
fn every_line_that_cannot_be_understood_is_named_at_once() {
    let text = b"Port 0\nHost\nMatch host a\n Port 70000\nMatch exec true\nMatch ALL\nUser \"a\n\
        IdentitiesOnly maybe\nConnectTimeout soon\nProxyJump a,,b\nUnknown \xff\nHostName\n\
        Include\nGSSAPIAuthentication yes\n# \xff\n";
    let error = SshConfig::parse(text, me()).unwrap_err();
    let lines: Vec<_> =
        refused(&error).iter().map(|f| f.split(':').next().unwrap().to_owned()).collect();
    let expected = [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13].map(|line| format!("line {line}"));
    assert_eq!(lines, expected, "{error}");
}

#[test]
fn included_files_stand_where_they_are_included() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    let config = file(
        "config",
        "Host a\n Include in-a missing\n Port 1\nInclude d/*.conf \"~/e?f\"\nHost *\n User last\n",
    );
    file("in-a", "User first\nHost b\n Port 2\nHost a\n Port 3\n");
    file("d/1.conf", "Host c\n Port 4\n");
    file("d/2.conf", "Host c\n Port 5\n User c\n");
    file("d/.hidden.conf", "Host c\n Port 6\n");
    file("d/other", "Port 7\n");
    file("e f", "Host e\n Port 8");
    let local = LocalUser::new("me", home.path());
    let config = SshConfig::load(&config, local).unwrap();
    let of = |alias: &str| {
        let settings = config.resolve(alias).unwrap();
        (settings.port, settings.user.unwrap())
    };
    assert_eq!(of("a"), (Some(3), "first".to_owned()));
    // Within the block of a, nothing is about b.
    assert_eq!(of("b"), (None, "last".to_owned()));
    // All of line 4 stands in the block of a as well.
    assert_eq!(of("c"), (None, "last".to_owned()));

    let config = file("top", "Include d/*.conf \"~/e?f\"\n");
    let config = SshConfig::load(&config, LocalUser::new("me", home.path())).unwrap();
    assert_eq!(config.resolve("c").unwrap().port, Some(4));
    assert_eq!(config.resolve("e").unwrap().port, Some(8));
}

#[test]
fn files_that_include_each_other_end() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config");
    fs::write(&path, "Include config\nInclude config\n").unwrap();
    let error = SshConfig::load(&path, LocalUser::new("me", home.path())).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("deeper than 16") && text.len() < 8_000, "{text}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = SshConfig::load(Path::new("/nowhere/config"), me()).unwrap_err();
    assert!(error.to_string().contains("/nowhere/config"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(config) = SshConfig::parse(&bytes, me()) {
            let _ = config.resolve("web-1");
        }
    }

    #[test]
    fn anything_like_a_config_is_read_or_refused(parts in vec(prop_oneof![
        Just("Host"), Just("Match"), Just("all"), Just(" "), Just("\n"), Just("="), Just("\""),
        Just("*"), Just("!"), Just("HostName"), Just("Port"), Just("22"), Just("%h"), Just("%"),
        Just("ProxyJump"), Just("@"), Just(":"), Just("["), Just("]"), Just("ssh://"), Just(","),
        Just("ConnectTimeout"), Just("99999999999999999999"), Just("w"), Just("IdentityFile"),
        Just("~"), Just("/"), Just("\\"), Just("'"), Just("none"), Just("UserKnownHostsFile"),
    ], 0..60)) {
        if let Ok(config) = SshConfig::parse(parts.concat().as_bytes(), me()) {
            let _ = config.resolve("web-1");
        }
    }
}
