//! Scripts that run as another user than the one who logs in.

use std::path::Path;

use deploy_core::{Exit, Secret};
use deploy_ssh::{Become, SshSession};
use deploy_testkit::{FleetUser, SshFleet};

use crate::conformance::builder;
use crate::site::Site;
use crate::support::{Sshd, context, run};

/// An sshd whose `sudo` is this stand-in: it checks the password as sudo does, byte by byte from its
/// standard input, and runs the command as the user `nobody`.
fn with_sudo(asks: &str) -> Sshd {
    let sshd = Sshd::start();
    let directory = sshd.path("bin");
    std::fs::create_dir(&directory).unwrap();
    let script = format!(
        "#!/bin/sh\n\
         echo \"$@\" >>{0}/calls\n\
         case $1 in\n\
         -n) [ '{asks}' = no ] || {{ echo 'sudo: a password is required' >&2; exit 1; }}; shift ;;\n\
         -S) [ '{asks}' = no ] || {{ IFS= read -r it; [ \"$it\" = 'pa$$ \"word' ] || {{ echo 'sudo: 1 incorrect password attempt' >&2; exit 1; }}; }}; shift 3 ;;\n\
         esac\n\
         [ \"$1 $3\" = '-u --' ] || exit 99\n\
         shift 3\n\
         exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"\n",
        directory.display()
    );
    let sudo = directory.join("sudo");
    std::fs::write(&sudo, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&sudo, mode).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(sshd.path(""), mode).unwrap();
    sshd.add(&format!("SetEnv PATH={}:/usr/bin:/bin", directory.display()));
    sshd
}

fn calls(sshd: &Sshd) -> String {
    std::fs::read_to_string(sshd.path("bin/calls")).unwrap()
}

#[tokio::test]
async fn the_whole_script_runs_as_the_other_user() {
    for asks in ["no", "yes"] {
        let sshd = with_sudo(asks);
        let password = Secret::new("pa$$ \"word");
        let with = Become::sudo("nobody").with_password(password);
        let connector = sshd.builder().run_as(with).build().unwrap();
        let session = connector.open(&context(), &sshd.endpoint()).await.unwrap();
        let ran = run(&session, "id -u; cat; exit 3", b"in".to_vec()).await;
        assert_eq!(ran.exit.as_ref().unwrap(), &Exit::Exited(3), "{asks} {ran:?}");
        assert_eq!(ran.text(), "65534\nin");
        assert!(!calls(&sshd).contains("word"));
    }
}

#[tokio::test]
async fn sudo_without_a_password_needs_none_or_is_quoted() {
    for (asks, works) in [("no", true), ("yes", false)] {
        let sshd = with_sudo(asks);
        let connector = sshd.builder().run_as(Become::sudo("nobody")).build().unwrap();
        let session = connector.open(&context(), &sshd.endpoint()).await.unwrap();
        let ran = run(&session, "id -u", Vec::new()).await;
        assert_eq!(ran.exit.is_ok(), works, "{ran:?}");
        if let Err(error) = ran.exit {
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("a password is required"), "{source}");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_quoted_and_not_shown() {
    let sshd = with_sudo("yes");
    let with = Become::sudo("nobody").with_password(Secret::new("canary"));
    let connector = sshd.builder().run_as(with).build().unwrap();
    let session = connector.open(&context(), &sshd.endpoint()).await.unwrap();
    let error = run(&session, "id -u", Vec::new()).await.exit.unwrap_err();
    let shown = format!("{error:?} {}", std::error::Error::source(&error).unwrap());
    assert!(shown.contains("incorrect password") && !shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn the_systems_own_sudo_runs_a_script() {
    assert!(Path::new("/usr/bin/sudo").exists(), "apt-get install sudo");
    let sshd = Sshd::start();
    let connector = sshd.builder().run_as(Become::sudo("nobody")).build().unwrap();
    let session = connector.open(&context(), &sshd.endpoint()).await.unwrap();
    let ran = run(&session, "id -un; cat; exit 4", vec![b'x'; 1 << 20]).await;
    assert_eq!(ran.exit.as_ref().unwrap(), &Exit::Exited(4), "{ran:?}");
    assert_eq!(ran.stdout.len(), "nobody\n".len() + (1 << 20));
}

/// A host whose users `deployer` and `app` have passwords, and the way in as one of them or as root.
fn with_su() -> SshFleet {
    let deployer = FleetUser::new("deployer").with_password("log in");
    let app = FleetUser::new("app").with_password("pa$$ \"word");
    SshFleet::builder().user(deployer).user(app).start(1).unwrap()
}

async fn session_as(fleet: &SshFleet, login: &str, other: Become) -> SshSession {
    let connector = builder(fleet).run_as(other).build().unwrap();
    connector.open(&context(), &fleet.hosts()[0].endpoint_as(login)).await.unwrap()
}

#[tokio::test]
async fn the_systems_own_su_runs_a_script_with_the_password_of_the_other_user() {
    let fleet = with_su();
    let other = || Become::su("app").with_password(Secret::new("pa$$ \"word"));
    let session = session_as(&fleet, "deployer", other()).await;
    let script = "id -un; cat; cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' ' >&2; exit 3";
    let ran = run(&session, script, vec![b'x'; 1 << 20]).await;
    assert_eq!(ran.exit.as_ref().unwrap(), &Exit::Exited(3), "{ran:?}");
    assert_eq!(ran.stdout.len(), "app\n".len() + (1 << 20));
    assert!(ran.text().starts_with("app\nx"));
    let seen = String::from_utf8_lossy(&ran.stderr);
    assert!(seen.contains("su -s /bin/sh app -c") && !seen.contains("pa$$"), "{seen}");
    // Root is not asked, and what is sent all the same does no harm.
    for other in [Become::su("app"), other()] {
        let session = session_as(&fleet, "root", other).await;
        let ran = run(&session, "id -un; cat", b"in".to_vec()).await;
        assert_eq!((ran.exit.unwrap(), ran.stdout), (Exit::Exited(0), b"app\nin".to_vec()));
    }
}

#[tokio::test]
async fn what_su_refuses_is_quoted_and_shows_no_password() {
    let fleet = with_su();
    for other in [Become::su("app"), Become::su("app").with_password(Secret::new("canary"))] {
        let session = session_as(&fleet, "deployer", other).await;
        let error = run(&session, "id -u", Vec::new()).await.exit.unwrap_err();
        let shown = format!("{error:?} {}", std::error::Error::source(&error).unwrap());
        assert!(shown.contains("su: ") && !shown.contains("canary"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_of_another_user_is_killed_with_what_it_started() {
    let fleet = with_su();
    let other = Become::su("app").with_password(Secret::new("pa$$ \"word"));
    let session = session_as(&fleet, "deployer", other).await;
    let host = &fleet.hosts()[0];
    let begun = host.directory().join("begun");
    let script = format!(
        "trap '' TERM HUP; sh -c 'trap \"\" TERM HUP; sleep 600; :' & echo up >'{}'; cat; wait",
        begun.display()
    );
    tokio::select! {
        ran = run(&session, &script, Vec::new()) => panic!("{ran:?}"),
        () = async {
            while !begun.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        } => {}
    }
    // The run was dropped; the session goes on.
    Site::new(host, "/srv").until_nothing_runs().await;
    assert_eq!(run(&session, "true", Vec::new()).await.exit.unwrap(), Exit::Exited(0));
}
