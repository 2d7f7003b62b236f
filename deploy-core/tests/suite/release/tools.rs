//! Hosts that have little, and environments that are odd.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use deploy_core::model::{HostResult, HostStatus};
use deploy_core::{Fact, FailureCode, LocalConnector};
use tempfile::TempDir;

use super::fixture::{Host, Package, Watched, hook};

/// What every host needs.
pub(crate) const NEEDED: &[&str] = &[
    "cat", "chmod", "cut", "date", "dd", "df", "gzip", "head", "ln", "ls", "mkdir", "mv",
    "readlink", "rm", "setsid", "sh", "sleep", "sync", "tail", "tar", "wc",
];

/// A directory with these tools of this machine, and no others.
pub(crate) fn tools(names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
        let tool = places.iter().map(|place| Path::new(place).join(name)).find(|t| t.exists());
        let tool = tool.unwrap_or_else(|| panic!("{name} is missing; apt-get install {name}"));
        symlink(tool, dir.path().join(name)).unwrap();
    }
    dir
}

/// A program of the test's own among the tools.
pub(crate) fn add(tools: &TempDir, name: &str, text: &str) {
    let path = tools.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Puts a program in the place of dd, which is a link.
fn replace_dd(tools: &TempDir, text: &str) {
    fs::remove_file(tools.path().join("dd")).unwrap();
    add(tools, "dd", text);
}

/// A release on a host that finds no tools but these; the note of its step `verify`.
async fn released_with(tools: &TempDir) -> (HostResult, Option<String>, Host) {
    released(&Package::version("one"), tools).await
}

/// The same of another package.
async fn released(package: &Package, tools: &TempDir) -> (HostResult, Option<String>, Host) {
    let mut host = Host::new("dash", false);
    host.connector = LocalConnector::new().variable("PATH", tools.path());
    let task = host.task("d1", 1, package);
    let watched = Watched::new(&task);
    let result = host.deploy_watched(package, &task, &watched).await;
    let note = watched.facts().into_iter().find_map(|fact| match fact {
        Fact::StepFinished { step, note, .. } if step.to_string() == "verify" => note,
        _ => None,
    });
    (result, note, host)
}

#[tokio::test]
async fn any_tool_for_sha_256_will_do() {
    for tool in ["sha256sum", "shasum", "openssl", "busybox"] {
        let (result, note, host) = released_with(&tools(&[NEEDED, &[tool]].concat())).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{tool}: {result:?}");
        assert_eq!(note, None);
        assert_eq!(host.names(".deploy/packages").len(), 1);
        host.assert_tidy();
    }
}

#[tokio::test]
async fn what_is_large_goes_through_openssl_where_that_works() {
    let text = "x".repeat(5 << 20);
    let package = Package::packed("app.tar", &[("large", &text)], "tar -cf \"$1\" *");
    for (works, used) in [("exec /usr/bin/openssl \"$@\"", true), ("exit 1", false)] {
        let tools = tools(NEEDED);
        for (name, rest) in [("openssl", works), ("sha256sum", "exec /usr/bin/sha256sum \"$@\"")] {
            add(&tools, name, &format!("#!/bin/sh\n: >\"${{0%/*}}/used-{name}\"\n{rest}\n"));
        }
        let (result, note, host) = released(&package, &tools).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{works}: {result:?}");
        assert_eq!(note, None);
        assert!(tools.path().join("used-openssl").exists());
        assert_eq!(tools.path().join("used-sha256sum").exists(), !used);
        host.assert_tidy();
    }
}

#[tokio::test]
async fn what_a_tool_says_beside_a_digest_is_none() {
    let text = "x".repeat(5 << 20);
    let package = Package::packed("app.tar", &[("large", &text)], "tar -cf \"$1\" *");
    let works =
        "echo 'WARNING: can not open config file: openssl.cnf' >&2\nexec /usr/bin/openssl \"$@\"";
    for openssl in [works, "echo 'unknown option -r'", "true"] {
        let tools = tools(&[NEEDED, &["sha256sum"]].concat());
        add(&tools, "openssl", &format!("#!/bin/sh\n{openssl}\n"));
        let (result, _, host) = released(&package, &tools).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{openssl}: {result:?}");
        host.assert_tidy();
    }
    // Nor is what all of them say.
    let tools = tools(NEEDED);
    add(&tools, "sha256sum", "#!/bin/sh\necho 'sha256sum: not today'\n");
    let (result, _, host) = released(&package, &tools).await;
    let failure = result.failure.unwrap();
    assert_eq!(failure.code, FailureCode::HostFailed, "{failure}");
    assert_eq!(failure.message, "sha256sum: sha256sum: not today");
    host.assert_tidy();
}

#[tokio::test]
async fn what_is_free_is_read_beside_names_with_blanks() {
    for (line, free) in [
        ("//nas/our share 900000 100 7 1% /srv/an app", Some("and 7 KiB are free")),
        ("a 5% share 900000 100 7 1% /srv", None),
        ("nothing", None),
    ] {
        let names: Vec<_> = NEEDED.iter().copied().filter(|name| *name != "df").collect();
        let tools = tools(&[&names[..], &["sha256sum"]].concat());
        add(&tools, "df", &format!("#!/bin/sh\necho Filesystem\necho '{line}'\n"));
        let (result, _, host) = released_with(&tools).await;
        let message = result.failure.map(|failure| failure.message);
        match free {
            Some(free) => assert!(message.as_ref().unwrap().ends_with(free), "{message:?}"),
            None => assert_eq!(message, None, "{line}"),
        }
        host.assert_tidy();
    }
}

#[tokio::test]
async fn a_login_that_has_options_for_unzip_gets_all_that_is_in_the_package() {
    let package = Package::packed("app.zip", &[("version", "one")], "zip -q \"$1\" *");
    let mut host = Host::new("dash", false);
    for name in ["UNZIP", "UNZIPOPT"] {
        host.connector = host.connector.variable(name, "-t");
    }
    let result = host.deploy(&package, &host.task("d1", 1, &package)).await;
    assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
    assert_eq!(host.read("current/version"), "one");
}

#[tokio::test]
async fn a_login_that_is_thrown_out_when_it_is_idle_stops_no_release() {
    let package = Package::version("one");
    let mut host = Host::new("bash", false);
    host.connector = host.connector.variable("TMOUT", "1");
    let mut task = host.task("d1", 1, &package);
    // Longer than the shell lets anybody read from the node.
    task.release.hooks.before_switch = vec![hook("sleep 2.5")];
    let result = host.deploy(&package, &task).await;
    assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
}

#[tokio::test]
async fn with_md5_alone_that_and_the_size_are_compared_and_it_is_said() {
    let expected = Some("by MD5 and size: the host has no tool for SHA-256".to_owned());
    let plain = tools(&[NEEDED, &["md5sum"]].concat());
    // A busybox that was built without SHA-256.
    let small = tools(NEEDED);
    add(&small, "busybox", "#!/bin/sh\n[ \"$1\" = md5sum ] || exit 127\nexec /usr/bin/\"$@\"\n");
    for tools in [plain, small] {
        let (result, note, host) = released_with(&tools).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(note, expected);
        // What only its MD5 proves is not used a second time.
        assert_eq!(host.names(".deploy/packages"), [""; 0]);
    }
}

#[tokio::test]
async fn md5_refuses_other_bytes_too() {
    let tools = tools(&[NEEDED, &["md5sum"]].concat());
    // As if the bytes were changed on the way, behind the digest of what came.
    replace_dd(&tools, "#!/bin/sh\n/usr/bin/dd \"$@\" | /usr/bin/tr '\\0' '\\1'\n");
    let (result, _, host) = released_with(&tools).await;
    let failure = result.failure.unwrap();
    assert_eq!(failure.code, FailureCode::DigestMismatch);
    assert!(failure.message.contains("the MD5"), "{failure}");
    assert_eq!(host.current(), None);
    host.assert_tidy();
}

#[tokio::test]
async fn a_dd_that_cannot_count_bytes_leaves_it_to_head() {
    let tools = tools(&[NEEDED, &["sha256sum"]].concat());
    let dd = "#!/bin/sh\ncase \"$*\" in *iflag=*) echo 'dd: what is iflag?' >&2; exit 1 ;; esac\n\
        exec /usr/bin/dd \"$@\"\n";
    replace_dd(&tools, dd);
    let (result, _, host) = released_with(&tools).await;
    assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
    host.assert_tidy();
}

#[tokio::test]
async fn a_dd_that_was_ended_is_not_followed_by_head() {
    let tools = tools(&[NEEDED, &["sha256sum"]].concat());
    replace_dd(&tools, "#!/bin/sh\nkill -TERM $$\n");
    let (result, _, host) = released_with(&tools).await;
    assert_eq!(result.failure.unwrap().code, FailureCode::HostFailed);
    assert_eq!(host.current(), None);
    host.assert_tidy();
}

#[tokio::test]
async fn what_dd_says_in_another_language_is_as_good() {
    let tools = tools(&[NEEDED, &["sha256sum"]].concat());
    let dd = "#!/bin/sh\n/usr/bin/dd \"$@\" 2>/dev/null\nstatus=$?\necho 'es waren 7' >&2\nexit $status\n";
    replace_dd(&tools, dd);
    let (result, _, host) = released_with(&tools).await;
    assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
    host.assert_tidy();
}

#[tokio::test]
async fn without_any_digest_tool_the_host_is_left_alone() {
    let (result, _, host) = released_with(&tools(NEEDED)).await;
    let failure = result.failure.unwrap();
    assert_eq!(failure.code, FailureCode::ToolMissing);
    assert_eq!(failure.message, "the host lacks sha256sum, shasum, openssl and md5sum");
    assert!(!host.root.exists());
}

#[tokio::test]
async fn every_tool_that_is_needed_is_asked_for_first() {
    for tool in NEEDED.iter().filter(|tool| **tool != "sh") {
        let names: Vec<_> =
            NEEDED.iter().copied().filter(|name| name != tool).chain(["sha256sum"]).collect();
        let (result, _, host) = released_with(&tools(&names)).await;
        let failure = result.failure.unwrap();
        assert_eq!(failure.code, FailureCode::ToolMissing, "{tool}: {failure}");
        assert_eq!(failure.message, format!("the host lacks {tool}"));
        assert!(!host.root.exists());
    }
}

on_every_host! {
    an_odd_environment_changes_nothing(host) {
        let program = match host.shell {
            // The one that its tools' PATH leads to.
            "busybox" => "sh",
            shell => shell,
        };
        // A login whose umask takes everything away, and variables that shells and tools listen to.
        let login = format!("umask 0777; exec {program} \"$@\"");
        let connector = host.connector.clone().shell(["/bin/sh", "-c", login.as_str(), "login"]);
        let connector = [
            ("CDPATH", "/:/tmp"), ("IFS", "/e1"), ("LC_ALL", "de_DE.ISO-8859-1"), ("POSIXLY_CORRECT", "1"),
            ("TAR_OPTIONS", "--bogus"), ("GZIP", "--bogus"), ("ENV", "/nowhere"), ("TMPDIR", "/nowhere"),
            ("SUDO_USER", "root"), ("nonce", "x"), ("present", "good"), ("served", "yes"), ("stopped", "yes"),
            ("hurry", "yes"), ("failing", "yes"), ("spool", "/etc/passwd"), ("reusable", "yes"),
        ].into_iter().fold(connector, |connector, (name, value)| connector.variable(name, value));
        let host = Host { connector, ..host };
        let package = Package::version("one");
        for number in 1..=2 {
            let mut task = host.task(&format!("d{number}"), number, &package);
            task.release.hooks.after_switch = vec![hook("cat version; umask; echo \"$GZIP$TAR_OPTIONS\"")];
            let watched = Watched::new(&task);
            let result = host.deploy_watched(&package, &task, &watched).await;
            assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
            assert_eq!(watched.output(), "one0022\n\n");
            host.assert_tidy();
        }
    }
}
