//! Which releases stay.

use std::fs;

use deploy_core::Fact;
use deploy_core::model::HostStatus;

use super::fixture::{Package, Watched, hook};

on_every_host! {
    what_came_later_is_its_own_programs_to_judge(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        // As another program has begun it, after this one saw for the last time that the lock is its own.
        let begin = "mkdir ../d9; printf 'state unfinished\\nsha256 a\\norder 9\\n' >../../.deploy/marks/d9";
        task.release.hooks.after_switch = vec![hook(begin)];
        let result = host.deploy(&package, &task).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(host.names("releases"), ["d1", "d9"]);
        assert_eq!(host.state("d9"), "unfinished");
    }

    the_newest_good_releases_stay_and_failed_ones_do_not_count(host) {
        let package = Package::version("one");
        // Ids that do not sort by time.
        for (number, id) in ["z", "b", "y", "a", "x"].into_iter().enumerate() {
            let mut task = host.task(id, number as u64 + 1, &package);
            task.release.keep = 2;
            if id == "y" {
                task.release.hooks.after_switch = vec![hook("exit 1")];
            }
            host.deploy(&package, &task).await;
        }
        assert_eq!(host.names("releases"), ["a", "x"]);
        assert_eq!(host.names(".deploy/marks"), ["a", "x"]);
    }

    the_release_before_stays_although_it_is_old(host) {
        let package = Package::version("one");
        for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
            let mut task = host.task(id, number as u64 + 1, &package);
            task.release.keep = 1;
            let result = host.deploy(&package, &task).await;
            assert_eq!(result.status, HostStatus::Succeeded);
        }
        assert_eq!(host.names("releases"), ["b", "c"]);
    }

    what_is_not_ours_is_named_and_left_alone(host) {
        let package = Package::version("one");
        for path in ["releases/by-hand", "releases/odd name", "releases/new\nline"] {
            fs::create_dir_all(host.root.join(path)).unwrap();
        }
        fs::write(host.root.join("releases/README"), "").unwrap();
        let mut last = None;
        for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
            let mut task = host.task(id, number as u64 + 1, &package);
            task.release.keep = 1;
            let watched = Watched::new(&task);
            let result = host.deploy_watched(&package, &task, &watched).await;
            assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
            last = watched.facts().into_iter().rev().find_map(|fact| match fact {
                Fact::StepFinished { note, .. } => note,
                _ => None,
            });
        }
        let note = last.unwrap();
        assert!(note.starts_with("removed 1; left alone:") && note.contains("by-hand") && note.contains("README"), "{note}");
        assert_eq!(host.names("releases"), ["README", "b", "by-hand", "c", "new\nline", "odd name"]);
    }
}
