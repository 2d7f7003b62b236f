//! What a session says of a command whose connection broke, and what the command did.

use std::path::Path;
use std::time::Duration;

use deploy_core::{CommandIo, Connector, Exit, PipeReader, SessionError, pipe};
use deploy_testkit::{Direction, Fault, FaultProxy, Faults, SshFleet};

use super::conformance::builder;
use super::site::Site;
use super::support::context;

/// How a run over a faulty line ended: `None` when there was no session.
async fn run_over(
    fleet: &SshFleet,
    faults: Faults,
    file: &Path,
) -> (Option<Result<Exit, SessionError>>, [u64; 2]) {
    let host = &fleet.hosts()[0];
    let proxy = FaultProxy::start(host.address(), faults);
    let target = host.target_at(host.through(proxy.address()), "/srv/app");
    let connector = builder(fleet).retries(0).silence_timeout(Duration::from_secs(4));
    let session = connector.build().unwrap().connect(context(), target).await;
    let ended = match session {
        Err(_) => None,
        Ok(session) => {
            let io = CommandIo::new(PipeReader::empty(), pipe(1).0, pipe(1).0);
            let script = format!(": > '{}'", file.display());
            Some(session.run(context(), script, io).await)
        }
    };
    (ended, Direction::BOTH.map(|direction| proxy.passed(direction)))
}

/// A command that is said not to have started is tried again: it must have done nothing.
#[tokio::test]
async fn a_command_that_is_said_not_to_have_started_has_done_nothing() {
    let fleet = SshFleet::start(1);
    let host = &fleet.hosts()[0];
    let (whole, passed) = run_over(&fleet, Faults::none(), &host.directory().join("whole")).await;
    assert!(matches!(whole, Some(Ok(Exit::Exited(0)))), "{whole:?}");
    let mut seen = [0, 0, 0];
    for (direction, total) in Direction::BOTH.into_iter().zip(passed) {
        // The login is over after some 1,700 bytes; what follows is the command.
        for at in (1_700..total).step_by(24) {
            let file = host.directory().join(format!("{direction:?}-{at}"));
            let faults = Faults::none().at(direction, at, Fault::Reset);
            let (ended, _) = run_over(&fleet, faults, &file).await;
            Site::new(host, "/srv/app").until_nothing_runs().await;
            match ended {
                None | Some(Err(_)) => {
                    seen[0] += 1;
                    assert!(!file.exists(), "{direction:?} {at}: {ended:?}, and it ran");
                }
                Some(Ok(Exit::Exited(status))) => {
                    seen[1] += 1;
                    assert!(status == 0 && file.exists(), "{direction:?} {at}: {ended:?}");
                }
                Some(Ok(_)) => seen[2] += 1,
            }
        }
    }
    println!("not started: {}, ended: {}, lost: {}", seen[0], seen[1], seen[2]);
    assert!(seen[0] > 10 && seen[2] > 0, "the positions show nothing: {seen:?}");
}
