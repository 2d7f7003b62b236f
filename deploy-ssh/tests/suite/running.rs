//! Running scripts: what goes in, what comes out, how they end.

use deploy_core::Exit;

use crate::support::{Sshd, run};

#[tokio::test]
async fn a_script_is_run_word_for_word_with_its_input_and_output() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let ran = run(&session, "echo out; echo err >&2; cat; exit 3\n\n", b"in\n".to_vec()).await;
    assert_eq!(ran.exit.as_ref().unwrap(), &Exit::Exited(3), "{ran:?}\n{}", sshd.log());
    assert_eq!(ran.text(), "out\nin\n");
    assert_eq!(ran.stderr, b"err\n");
}

#[tokio::test]
async fn success_failure_and_signals_are_told_apart() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    for (script, exit) in [
        ("true", Exit::Exited(0)),
        ("exit 1", Exit::Exited(1)),
        ("exit 255", Exit::Exited(255)),
        ("nosuchcommand", Exit::Exited(127)),
        ("kill -TERM $$", Exit::Signalled("TERM".to_owned())),
        ("kill -KILL $$", Exit::Signalled("KILL".to_owned())),
        ("exec sleep 0", Exit::Exited(0)),
        ("", Exit::Exited(0)),
    ] {
        let ran = run(&session, script, Vec::new()).await;
        assert_eq!(ran.exit.unwrap(), exit, "{script}");
    }
}
