//! Hooks of other users over SSH, by a rule in sudoers that allows no more than it has to.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use deploy_core::FailureCode;
use deploy_core::model::{HookPoint, HostStatus, ReleaseTask};
use deploy_testkit::{FakeVerifier, FleetUser, SshFleet};

use super::conformance::builder;
use super::site::{Site, Watched, deploy, deploy_watched, hook, package, task};

/// A fleet whose user `deployer` may run a shell as `app`, and nothing else.
fn fleet() -> SshFleet {
    let deployer = FleetUser::new("deployer").with_sudo("ALL=(app) NOPASSWD: /bin/sh");
    let users = SshFleet::builder().user(deployer).user(FleetUser::new("app"));
    let fleet = users.user(FleetUser::new("other")).start(1).unwrap();
    let drop = fleet.hosts()[0].directory().join("drop");
    fs::create_dir(&drop).unwrap();
    fs::set_permissions(&drop, fs::Permissions::from_mode(0o777)).unwrap();
    fleet
}

fn with_hook(fleet: &SshFleet, package: &FakeVerifier, user: &str, run: &str) -> ReleaseTask {
    let host = &fleet.hosts()[0];
    let target = host.target_at(host.endpoint_as("deployer"), "/srv/app");
    let run = run.replace("DROP", host.directory().join("drop").to_str().unwrap());
    let hook = hook(&run).with_user(user.parse().unwrap());
    let mut task = task(1, package, vec![target]);
    task.release = task.release.with_hook(HookPoint::BeforeSwitch, hook);
    task
}

fn dropped(fleet: &SshFleet, name: &str) -> String {
    fs::read_to_string(fleet.hosts()[0].directory().join("drop").join(name)).unwrap()
}

fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_runs_as_another_user_by_a_rule_for_a_shell_alone() {
    let fleet = fleet();
    let package = package("one", 1000);
    let run =
        "id -un >DROP/who; echo \"$DEPLOY_PROJECT $HOME\" >DROP/facts; cat version >DROP/version";
    let task = with_hook(&fleet, &package, "app", run);
    let result = deploy(builder(&fleet).build().unwrap(), &package, &task).await.remove(0);
    assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
    assert_eq!(
        (dropped(&fleet, "who"), dropped(&fleet, "version")),
        ("app\n".into(), "one".into())
    );
    assert!(dropped(&fleet, "facts").starts_with(task.project.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whom_sudo_refuses_us_is_named_before_anything_is_done() {
    let fleet = fleet();
    let package = package("one", 1000);
    let task = with_hook(&fleet, &package, "other", "true");
    let result = deploy(builder(&fleet).build().unwrap(), &package, &task).await.remove(0);
    let failure = result.failure.unwrap();
    assert_eq!(failure.code, FailureCode::HostRejected, "{failure:?}");
    let message = "sudo does not let deployer run hooks as other: sudo: a password is required";
    assert_eq!(failure.message, message);
    assert!(!Site::new(&fleet.hosts()[0], "/srv/app").root().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_another_user_is_ended_with_all_it_started() {
    let stubborn =
        "sh -c 'trap \"\" TERM; echo $$ >DROP/pid; echo begun; while :; do sleep 1; done' & wait";
    for by in ["time", "cancel"] {
        let fleet = fleet();
        let package = package("one", 1000);
        let mut task = with_hook(&fleet, &package, "app", stubborn);
        if by == "time" {
            task.release.hooks.before_switch[0].timeout = Duration::from_secs(1);
        }
        let watched = Watched::new(&task);
        let connector = builder(&fleet).build().unwrap();
        let cancel = async {
            if by == "cancel" {
                watched.until_output("begun\n").await;
                watched.cx.cancel.cancel("enough");
            }
        };
        let (results, ()) =
            tokio::join!(deploy_watched(connector, &package, &task, &watched), cancel);
        let code = results[0].failure.as_ref().unwrap().code;
        let expected =
            if by == "time" { FailureCode::HookTimedOut } else { FailureCode::Cancelled };
        assert_eq!(code, expected, "{results:?}");
        assert!(!runs(&dropped(&fleet, "pid")), "{by}");
    }
}
