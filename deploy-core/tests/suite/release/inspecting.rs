//! Looking at what a host has, and leaving it as it is.

use std::fs;
use std::path::Path;

use deploy_core::Executor;
use deploy_core::model::{
    HostFound, HostStatus, ReleaseAction, ReleaseId, ReleaseState, RollbackTarget,
};

use super::fixture::{Host, Package, Watched, hook, one};
use super::undoing::{undo, undone, with_releases};

async fn inspected(host: &Host) -> HostFound {
    let task = host.task("look", 1, &Package::version("gone")).with_action(ReleaseAction::Inspect);
    let executor = host.executor_without_packages().build();
    let result = one(executor.execute(Watched::new(&task).cx, task).await.unwrap());
    assert_eq!(result.status, HostStatus::Checked, "{result:?}");
    let found = *result.found.unwrap();
    assert_eq!(result.serves, found.current);
    found
}

/// Every path below a directory, with its size and time of change.
fn everything(root: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        all.push(format!("{} {} {:?}", path.display(), meta.len(), meta.modified().unwrap()));
        if meta.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    all.sort();
    all
}

on_every_host! {
    a_host_on_which_the_project_never_was_has_nothing(host) {
        assert_eq!(inspected(&host).await, HostFound::default());
        assert!(!host.root.exists());
    }

    what_is_there_is_found_and_nothing_is_changed(host) {
        with_releases(&host, &["z", "b", "y"]).await;
        let mut task = undo(&host, "y", RollbackTarget::LastGood, 9);
        task.release.hooks.after_switch = vec![hook("true")];
        undone(&host, &task, &Watched::new(&task)).await;
        fs::create_dir(host.root.join("releases/by-hand")).unwrap();
        let before = everything(host.dir.path());
        let found = inspected(&host).await;
        assert_eq!(everything(host.dir.path()), before);
        assert_eq!(found.current.unwrap().as_str(), "b");
        let releases: Vec<_> = found.releases.iter().map(|found| (
            found.release.as_str(), found.state, found.previous.as_ref().map(ReleaseId::as_str),
        )).collect();
        assert_eq!(releases, [
            ("y", ReleaseState::Failed, Some("b")),
            ("b", ReleaseState::Good, Some("z")),
            ("z", ReleaseState::Good, None),
        ]);
        for found in &found.releases {
            let mark = host.read(&format!(".deploy/marks/{}", found.release));
            assert!(mark.contains(&format!("sha256 {}\n", found.sha256.unwrap())), "{mark}");
        }
        assert!(found.free.unwrap() > 0 && found.free.unwrap() < 1 << 60);
        assert_eq!(found.locked, None);
    }

    who_holds_the_lock_is_told_and_not_waited_for(host) {
        with_releases(&host, &["a"]).await;
        let lock = "state held\ntask d9.1\ndeployment d9\nfence 5\nreason shop/checkout\nnode east-1\nsince today\nexpires 9999999999\npid 1\nplace elsewhere\n";
        fs::write(host.root.join(".deploy/lock.77"), lock).unwrap();
        let locked = inspected(&host).await.locked.unwrap();
        assert!(locked.starts_with("deployment d9 (task d9.1, from east-1) since today, for at most "), "{locked}");
        let over = lock.replace("expires 9999999999", "expires 1");
        fs::write(host.root.join(".deploy/lock.77"), over).unwrap();
        assert_eq!(inspected(&host).await.locked, None);
    }

    what_is_not_ours_is_not_believed(host) {
        with_releases(&host, &["a"]).await;
        let marks = host.root.join(".deploy/marks");
        for (name, text) in [
            ("b", "state splendid\n"), ("c", "state good\nsha256 x y\nprevious ../../etc\norder 3\n"),
            ("d", "state good\norder 99999999999999999999999\n"), ("e", ""),
        ] {
            fs::create_dir(host.root.join("releases").join(name)).unwrap();
            fs::write(marks.join(name), text).unwrap();
        }
        fs::write(marks.join("-n odd"), "state good\n").unwrap();
        fs::remove_file(host.root.join("current")).unwrap();
        fs::write(host.root.join("current"), "no link").unwrap();
        let found = inspected(&host).await;
        assert_eq!(found.current, None);
        let names: Vec<_> = found.releases.iter().map(|found| found.release.as_str()).collect();
        assert_eq!(names, ["a"]);
    }
}
