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
