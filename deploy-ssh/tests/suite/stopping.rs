//! Commands that must stop, that leave something behind, or whose connection is lost.

use std::path::Path;
use std::time::Duration;

use deploy_core::{CancelToken, CommandIo, Exit, Session as _, SessionError, pipe};

use crate::support::{Sshd, context, run, run_with};

/// The process whose number stands in a file, once it stands there.
async fn number_in(path: &Path) -> u32 {
    for _ in 0..1000 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let (true, Ok(number)) = (text.ends_with('\n'), text.trim().parse()) {
            return number;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} never came", path.display());
}

fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

async fn until_gone(pid: u32) {
    for _ in 0..1000 {
        if !lives(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {pid} lives on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_told_to_stop_sees_the_end_of_its_input() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let cancel = CancelToken::new();
    let (_hold, held) = pipe(1);
    let (stdout, mut said) = pipe(1);
    let (stderr, _errors) = pipe(1);
    let cx = context().with_cancel(cancel.clone());
    let script = "echo up; cat; echo stopped; exit 9".to_owned();
    let running = session.run(cx, script, CommandIo::new(held, stdout, stderr));
    let stopping = async {
        assert_eq!(said.read().await.unwrap(), b"up\n");
        cancel.cancel("enough");
        said.read().await
    };
    let (exit, last) = tokio::join!(running, stopping);
    assert_eq!((exit.unwrap(), last.unwrap()), (Exit::Exited(9), b"stopped\n".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_nobody_takes_does_not_hold_up_its_end() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let cancel = CancelToken::new();
    let cx = context().with_cancel(cancel.clone());
    let begun = sshd.path("begun");
    // It reads nothing until it is told to stop, and then to the end.
    let script =
        format!("echo $$ >{0}; while [ ! -e {0}.go ]; do sleep 0.05; done; cat", begun.display());
    let running = run_with(&session, cx, &script, vec![7; 30 << 20]);
    let stopping = async {
        number_in(&begun).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel("enough");
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::fs::write(sshd.path("begun.go"), "").unwrap();
    };
    let (ran, ()) = tokio::join!(running, stopping);
    assert_eq!(ran.exit.unwrap(), Exit::Exited(0));
    assert!(ran.stdout.len() < 30 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_command_kills_it_and_its_children() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let (own, child) = (sshd.path("own"), sshd.path("child"));
    let script = format!(
        "trap '' TERM; echo $$ >{}; sh -c 'trap \"\" TERM; sleep 1000 & echo $! >{}; wait'; cat",
        own.display(),
        child.display()
    );
    let running = run(&session, &script, Vec::new());
    let (own, child) = tokio::select! {
        ran = running => panic!("{ran:?}"),
        numbers = async { (number_in(&own).await, number_in(&child).await) } => numbers,
    };
    until_gone(own).await;
    until_gone(child).await;
    // The session goes on.
    assert_eq!(run(&session, "true", Vec::new()).await.exit.unwrap(), Exit::Exited(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_session_with_its_command_kills_it_all_the_same() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let own = sshd.path("own");
    let script = format!("trap '' TERM HUP; echo $$ >{}; sleep 1000", own.display());
    let number = {
        let running = run(&session, &script, Vec::new());
        tokio::select! {
            ran = running => panic!("{ran:?}"),
            number = number_in(&own) => number,
        }
    };
    drop(session);
    until_gone(number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_leaves_behind_holds_nothing_and_lives_on() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let daemon = sshd.path("daemon");
    let script =
        format!("sleep 1000 & echo $! >{}; echo all; echo all >&2; exit 4", daemon.display());
    let ran = run(&session, &script, Vec::new()).await;
    assert_eq!(ran.exit.unwrap(), Exit::Exited(4));
    assert_eq!((ran.stdout.as_slice(), ran.stderr.as_slice()), (&b"all\n"[..], &b"all\n"[..]));
    let daemon = number_in(&daemon).await;
    assert!(lives(daemon));
    crate::support::signal(daemon, "KILL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_is_a_lost_connection_and_no_success() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let own = sshd.path("own");
    let script = format!("echo $$ >{}; cat", own.display());
    let (_hold, held) = pipe(1);
    let (stdout, _said) = pipe(1);
    let (stderr, _errors) = pipe(1);
    let running = session.run(context(), script, CommandIo::new(held, stdout, stderr));
    let killing = async {
        let number = number_in(&own).await;
        sshd.kill();
        number
    };
    let (exit, number) = tokio::join!(running, killing);
    assert!(matches!(exit, Ok(Exit::Lost(_))), "{exit:?}");
    // The end of its input is what ends it.
    until_gone(number).await;
    let after = run(&session, "true", Vec::new()).await;
    assert!(matches!(after.exit, Err(SessionError::Closed)), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_frozen_is_given_up() {
    let sshd = Sshd::start();
    let builder = sshd.builder().silence_timeout(Duration::from_secs(4));
    let session = builder.build().unwrap().open(&context(), &sshd.endpoint()).await.unwrap();
    // A command that is silent for longer than that is not given up.
    assert_eq!(run(&session, "sleep 5", Vec::new()).await.exit.unwrap(), Exit::Exited(0));
    let own = sshd.path("own");
    let script = format!("echo $$ >{}; cat", own.display());
    let (_hold, held) = pipe(1);
    let (stdout, _said) = pipe(1);
    let (stderr, _errors) = pipe(1);
    let running = session.run(context(), script, CommandIo::new(held, stdout, stderr));
    let freezing = async {
        number_in(&own).await;
        sshd.signal("STOP");
    };
    let (exit, ()) = tokio::join!(running, freezing);
    assert!(matches!(exit, Ok(Exit::Lost(_))), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_dropped_while_it_starts_is_killed_once_it_has_begun() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    // It begins late, and would never end by itself.
    let own = sshd.path("own");
    sshd.add(&format!(
        "ForceCommand echo $$ >{}; sleep 0.3; eval \"$SSH_ORIGINAL_COMMAND\"",
        own.display()
    ));
    let session = {
        drop(session);
        sshd.session().await
    };
    let script = "trap '' TERM HUP; sleep 1000";
    let number = tokio::select! {
        ran = run(&session, script, Vec::new()) => panic!("{ran:?}"),
        number = number_in(&own) => number,
    };
    until_gone(number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_nothing_runs_closes_the_session() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    sshd.kill();
    let ran = run(&session, "true", Vec::new()).await;
    assert!(ran.exit.is_err(), "{ran:?}");
}
