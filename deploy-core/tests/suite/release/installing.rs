//! Releases that succeed.

use deploy_core::model::HostStatus;

use super::fixture::{Package, Watched, hook};

on_every_host! {
    a_release_is_laid_out_and_served(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        task.release.hooks.before_switch = vec![hook("echo before >> hooks")];
        task.release.hooks.after_switch = vec![hook("echo after >> hooks; cat version")];
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(host.current().as_deref(), Some("d1"));
        assert_eq!(host.read("current/version"), "one");
        assert_eq!(host.read("current/hooks"), "before\nafter\n");
        assert_eq!(watched.output(), "one");
        let steps = "+connect -connect +lock -lock +transfer -transfer +verify -verify +unpack -unpack \
            +before_switch -before_switch +switch -switch +after_switch -after_switch +prune -prune";
        assert_eq!(watched.steps(), steps.split_whitespace().collect::<Vec<_>>());
        host.assert_tidy();
        let history = host.history();
        assert_eq!(history.len(), 1);
        assert_eq!(history[0]["deployment"], "d1");
        assert_eq!(history[0]["outcome"], "succeeded");
        assert_eq!(history[0]["work_order"], "WO-7 \"x\"");
        assert_eq!(history[0]["sha256"], package.digests.sha256.to_string());
    }
}

on_every_host! {
    the_next_release_takes_over_and_the_one_before_stays(host) {
        let (one, two) = (Package::version("one"), Package::version("two"));
        host.deploy(&one, &host.task("d1", 1, &one)).await;
        let mut task = host.task("d2", 2, &two);
        task.release.hooks.before_switch = vec![hook("readlink \"$DEPLOY_ROOT/current\" > seen; cat \"$DEPLOY_PREVIOUS_PATH/version\" >> seen")];
        let result = host.deploy(&two, &task).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(result.serves.unwrap().as_str(), "d2");
        assert_eq!(host.read("current/version"), "two");
        assert_eq!(host.read("current/seen"), "releases/d1\none");
        assert_eq!(host.names("releases"), ["d1", "d2"]);
        assert_eq!(host.history()[1]["previous"], "d1");
        host.assert_tidy();
    }

    the_same_task_again_does_nothing_again(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        task.release.hooks.after_switch = vec![hook("echo ran >> runs")];
        host.deploy(&package, &task).await;
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(host.read("current/runs"), "ran\n");
        assert_eq!(watched.steps(), ["+connect", "-connect", "+lock", "-lock"]);
        assert_eq!(host.history().len(), 1);
        host.assert_tidy();
    }

    what_a_deployment_has_done_is_not_done_again_by_another_of_its_tasks(host) {
        let package = Package::version("one");
        host.deploy(&package, &host.task("d1", 1, &package)).await;
        let mut task = host.task("d1", 2, &package);
        task.id = "d1.2".parse().unwrap();
        task.release.hooks.after_switch = vec![hook("echo ran >> runs")];
        let watched = Watched::new(&task);
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert!(!host.root.join("current/runs").exists());
        assert!(!watched.steps().contains(&"+unpack".to_owned()));
        host.assert_tidy();
    }

    shared_paths_outlive_releases(host) {
        let package = Package::of(&[("log/first", "a"), ("conf/app/settings", "from one"), ("bin/x", "")]);
        let mut task = host.task("d1", 1, &package);
        task.release.shared = ["log", "conf/app/settings", "data/files"].map(|p| p.parse().unwrap()).into();
        task.release.hooks.after_switch = vec![hook("echo hello > data/files/greeting")];
        let result = host.deploy(&package, &task).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        let other = Package::of(&[("log/second", "b"), ("conf/app/settings", "from two")]);
        let mut next = host.task("d2", 2, &other);
        next.release.shared = task.release.shared.clone();
        let result = host.deploy(&other, &next).await;
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(host.read("current/log/first"), "a");
        assert_eq!(host.read("current/conf/app/settings"), "from one");
        assert_eq!(host.read("current/data/files/greeting"), "hello\n");
        let link = std::fs::read_link(host.root.join("current/conf/app/settings")).unwrap();
        assert_eq!(link.to_str(), Some("../../../../shared/conf/app/settings"));
        host.assert_tidy();
    }

    current_is_complete_at_every_moment(host) {
        let package = Package::version("same");
        host.deploy(&package, &host.task("d0", 1, &package)).await;
        let (done, root) = (std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)), host.root.clone());
        let over = done.clone();
        let reader = std::thread::spawn(move || {
            let mut reads = 0_u64;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(std::fs::read_to_string(root.join("current/version")).unwrap(), "same");
                assert!(root.join("current/bin/start").exists());
                reads += 1;
            }
            reads
        });
        // Fifty switches by the quickest way, some by each other.
        let switches = if host.shell == "dash" && host.in_process { 50 } else { 8 };
        for number in 1..=switches {
            let mut task = host.task(&format!("d{number}"), number + 1, &package);
            if number % 3 == 0 {
                task.release.hooks.after_switch = vec![hook("exit 1")];
            }
            host.deploy(&package, &task).await;
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().unwrap() > switches);
        assert_eq!(host.current(), Some(format!("d{switches}")));
    }
}
