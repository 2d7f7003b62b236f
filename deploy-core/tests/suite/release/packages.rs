//! Packages of every format, and packages that are not what they should be.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

use deploy_core::model::HostStatus;
use deploy_core::{ExecuteError, Executor, FailureCode};

use super::fixture::{Host, Package, Watched, hook, one};

/// Packs a small tree: a program with odd modes, a link, an empty directory.
fn packed(name: &str, pack: &str) -> Package {
    let prepare = "chmod 6777 bin/start; chmod 640 conf/x; ln -s ../conf/x bin/x; mkdir -p empty;";
    let files = [("bin/start", "#!/bin/sh\n"), ("conf/x", "x"), ("a b/ü", "y")];
    Package::packed(name, &files, &format!("{prepare} {pack}"))
}

/// Paths, modes and targets of everything in the release.
fn listing(host: &Host) -> Vec<String> {
    fn walk(dir: &std::path::Path, prefix: &str, into: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            let data = entry.path().symlink_metadata().unwrap();
            if data.is_symlink() {
                into.push(format!("{name} -> {}", fs::read_link(entry.path()).unwrap().display()));
            } else {
                into.push(format!("{name} {:o}", data.permissions().mode() & 0o7777));
            }
            if data.is_dir() {
                walk(&entry.path(), &format!("{name}/"), into);
            }
        }
    }
    let mut found = Vec::new();
    walk(&host.root.join("current").canonicalize().unwrap(), "", &mut found);
    found.sort();
    found
}

async fn lays_out(host: Host, package: Package) {
    let result = host.deploy(&package, &host.task("d1", 1, &package)).await;
    assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
    let expected = [
        "a b 755",
        "a b/ü 644",
        "bin 755",
        "bin/start 755",
        "bin/x -> ../conf/x",
        "conf 755",
        "conf/x 640",
        "empty 755",
    ];
    assert_eq!(listing(&host), expected);
    host.assert_tidy();
}

on_every_host! {
    a_tar_is_laid_out(host) { lays_out(host, packed("app.tar", "tar -cf \"$1\" *")).await; }

    modes_that_are_plain_are_laid_out_as_they_are(host) {
        let files = [("bin/start", "#!/bin/sh\n"), ("conf/x", "x"), ("conf/y", "y")];
        let pack = "chmod 755 bin bin/start; chmod 700 conf; chmod 640 conf/x; chmod 644 conf/y; tar -czf \"$1\" *";
        let package = Package::packed("app.tar.gz", &files, pack);
        let result = host.deploy(&package, &host.task("d1", 1, &package)).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        let conf = if host.in_process { "conf 755" } else { "conf 700" };
        assert_eq!(listing(&host), ["bin 755", "bin/start 755", conf, "conf/x 640", "conf/y 644"]);
    }

    a_tar_gz_is_laid_out(host) { lays_out(host, packed("app.tar.gz", "tar -czf \"$1\" *")).await; }

    a_tar_xz_is_laid_out(host) { lays_out(host, packed("app.tar.xz", "tar -cJf \"$1\" *")).await; }

    a_zip_is_laid_out(host) { lays_out(host, packed("app.zip", "zip -qry \"$1\" .")).await; }

    a_tar_zst_is_laid_out(host) {
        // Busybox has no zstd: see what is said about missing tools.
        let host = if host.shell == "busybox" && !host.in_process { Host::new("dash", false) } else { host };
        lays_out(host, packed("app.tar.zst", "tar -cf - * | zstd -q > \"$1\"")).await;
    }

    a_single_file_keeps_its_name(host) {
        let package = Package::packed("app-1.jar", &[("x", "PK\u{3}\u{4}..")], "cp x \"$1\"");
        let result = host.deploy(&package, &host.task("d1", 1, &package)).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(listing(&host), ["app-1.jar 755"]);
    }

    an_archive_that_leaves_the_release_is_refused_before_anything(host) {
        let package = Package::packed("app.tar.gz", &[("x", "")], "tar -czPf \"$1\" --transform 's,^,../../,' x");
        let task = host.task("d1", 1, &package);
        let executor = host.executor(&package).build();
        let error = executor.execute(Watched::new(&task).cx, task).await.unwrap_err();
        let ExecuteError::Package { failure } = error else { panic!("{error}") };
        assert_eq!(failure.code, FailureCode::PackageRefused);
        assert!(!host.root.exists());
    }

    bytes_that_changed_after_the_check_are_never_unpacked(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        // The host before it changes the package that the second one gets.
        let mut other = task.hosts[0].clone();
        other.host = "h0".parse().unwrap();
        other.root = host.dir.path().join("other").to_str().unwrap().parse().unwrap();
        task.hosts.insert(0, other);
        task.max_parallel = 1;
        task.release.hooks.before_switch = vec![hook(&format!("printf x | dd of='{}' bs=1 seek=40 conv=notrunc", package.path.display()))];
        let executor = host.executor(&package).build();
        let report = executor.execute(Watched::new(&task).cx, task).await.unwrap();
        assert_eq!(report.hosts[0].status, HostStatus::Succeeded, "{report:?}");
        let result = report.hosts[1].clone();
        assert_eq!(result.status, HostStatus::Failed, "{result:?}");
        assert_eq!(result.failure.unwrap().code, FailureCode::DigestMismatch);
        assert_eq!(host.current(), None);
        assert_eq!(host.names("releases"), [""; 0]);
        host.assert_tidy();
    }

    a_package_of_many_megabytes_arrives_whole(host) {
        let package = Package::packed("app.tar", &[("x", "")], "head -c 20000000 /dev/urandom > x; tar -cf \"$1\" x");
        let mut task = host.task("d1", 1, &package);
        task.release.hooks.after_switch = vec![hook("wc -c < x")];
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(watched.output().trim(), "20000000");
    }
}

#[tokio::test]
async fn bytes_other_than_those_asked_for_reach_no_host() {
    let host = Host::new("dash", true);
    let (asked, given) = (Package::version("one"), Package::version("two"));
    let task = host.task("d1", 1, &asked);
    let executor = host.executor(&given).build();
    let error = executor.execute(Watched::new(&task).cx, task).await.unwrap_err();
    let ExecuteError::Package { failure } = error else { panic!("{error}") };
    assert_eq!(failure.code, FailureCode::DigestMismatch);
    assert!(!host.root.exists());
}

#[tokio::test]
async fn a_package_that_shrinks_while_it_is_sent_fails_the_host() {
    let host = Host::new("dash", false);
    let package = Package::version("one");
    let task = host.task("d1", 1, &package);
    let executor = host.executor(&package).build();
    let watched = Watched::new(&task);
    let path = package.path.clone();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    // Past inspection, which needs it whole: truncated when the host is being connected to.
    let truncate = async {
        watched.until(|f| f.name() == "host_started").await;
        file.set_len(10).unwrap();
        let _ = file.write_at(b"", 0);
    };
    let (report, ()) = tokio::join!(executor.execute(watched.cx.clone(), task), truncate);
    let result = one(report.unwrap());
    assert_eq!(result.status, HostStatus::Failed, "{result:?}");
    assert_eq!(result.failure.unwrap().code, FailureCode::Storage);
    host.assert_tidy();
}
