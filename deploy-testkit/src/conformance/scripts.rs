//! Cases of [`Session`](deploy_core::Session): what a script is, and how it ends.

#![allow(clippy::missing_panics_doc)]

use deploy_core::Exit;

use super::session_bench::{ConnectorBench, begin, context};

/// Everything that something on the way might take for its own.
const HOSTILE: &str = "a  b\t$HOME `id` $(id) ${x} \\ \\\\ \" \"\" ! !! # ~ * ? [a] {a,b} ; & && | < > << \
    %s %% \r \u{1} \u{7f} \u{fc} \u{4e16}\u{754c} -n -e\n\n  two lines \n";

/// A word of the shell that stands for the text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Clause 1.
pub async fn a_script_reaches_the_shell_word_for_word(bench: ConnectorBench) {
    let text = format!("{HOSTILE}it's {HOSTILE}");
    let ended = bench.run(&format!("printf %s {}", quoted(&text))).await;
    assert_eq!((ended.exit, ended.stdout), (Exit::Exited(0), text));
}

/// Clause 1.
pub async fn a_here_document_of_a_script_is_its_own(bench: ConnectorBench) {
    let script = format!("cat <<'END'\n{HOSTILE}END\necho after");
    assert_eq!(bench.run(&script).await.stdout, format!("{HOSTILE}after\n"));
}

/// Clause 1.
pub async fn a_script_needs_no_last_newline_and_may_have_many(bench: ConnectorBench) {
    assert_eq!(bench.run("echo one # and a comment").await.stdout, "one\n");
    assert_eq!(bench.run("\n\necho two\\\n\\\n\n\n").await.stdout, "two\n");
    assert_eq!(bench.run("").await.exit, Exit::Exited(0));
}

/// Clause 1.
pub async fn a_script_may_be_long(bench: ConnectorBench) {
    let long = "0123456789abcde\n".repeat(200 * 1024 / 16);
    let session = bench.session().await;
    let script = format!("long={}\nprintf %s \"$long\" | wc -c; cat", quoted(&long));
    let running = begin(&session, context(), &script);
    running.write("its input").await;
    let ended = running.end().await;
    let (count, rest) = ended.stdout.split_once('\n').expect("two lines");
    assert_eq!((count.trim(), rest), ("204800", "its input"));
    assert_eq!(ended.exit, Exit::Exited(0));
}

/// Clause 1: who reads it is `/bin/sh`, whatever the login's shell is.
pub async fn a_script_is_read_by_bin_sh(bench: ConnectorBench) {
    // The shell that was started as `sh -c`: the same program as the one that reads the script.
    let script = "readlink \"/proc/$$/exe\"; sh -c 'readlink \"/proc/$$/exe\"; :'";
    let ended = bench.run(script).await;
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.first(), lines.last(), "{ended:?}");
}

/// Clause 5.
pub async fn the_exit_status_is_the_scripts_own(bench: ConnectorBench) {
    for status in [0, 1, 7, 126, 127, 128, 255] {
        let ended = bench.run(&format!("exit {status}")).await;
        assert_eq!(ended.exit, Exit::Exited(status));
    }
    assert_eq!(bench.run("false").await.exit, Exit::Exited(1));
    assert_eq!(bench.run("there-is-no-such-command").await.exit, Exit::Exited(127));
    assert_eq!(bench.run("(exit 9)").await.exit, Exit::Exited(9));
}

/// Clause 5: a connector that cannot tell a signal gives the status that a shell gives for it.
pub async fn a_signal_is_no_success_and_no_status_of_the_scripts_own(bench: ConnectorBench) {
    for signal in ["KILL", "TERM", "SEGV"] {
        match bench.run(&format!("kill -{signal} $$")).await.exit {
            Exit::Signalled(_) => {}
            Exit::Exited(status) if status > 128 => {}
            other => panic!("{signal}: {other:?}"),
        }
    }
}

/// Clause 4.
pub async fn a_run_ends_with_its_command_and_not_with_what_that_left_behind(bench: ConnectorBench) {
    let ended = bench.run("sleep 600 & echo $!; head -c 30000 /dev/zero | tr '\\0' x; echo").await;
    assert_eq!(ended.exit, Exit::Exited(0));
    let (process, rest) = ended.stdout.split_once('\n').expect("two lines");
    assert_eq!(rest.len(), 30_001, "what the command had written has come");
    assert!(bench.lives(process).await, "what it left behind lives on");
    assert_eq!(bench.run(&format!("kill {process}")).await.exit, Exit::Exited(0));
}

/// Clause 4: also what keeps writing holds nothing up.
pub async fn what_is_left_behind_may_go_on_writing(bench: ConnectorBench) {
    // It stops when nobody is there to take what it writes.
    let script = "(while echo more; do :; done) & echo $! >&2; exit 4";
    let ended = bench.run(script).await;
    assert_eq!(ended.exit, Exit::Exited(4));
    bench.run(&format!("kill {} 2>/dev/null", ended.stderr.trim())).await;
}

/// `Session`: one after another.
pub async fn a_session_runs_one_command_after_another(bench: ConnectorBench) {
    let session = bench.session().await;
    for number in 0..5 {
        let script = format!("cat; echo {number}; exit {number}");
        let ended = begin(&session, context(), &script).end().await;
        assert_eq!((ended.exit, ended.stdout), (Exit::Exited(number), format!("{number}\n")));
    }
}

/// `Session`: at once, each with streams of its own.
pub async fn a_session_runs_several_commands_at_once(bench: ConnectorBench) {
    let session = bench.session().await;
    let mut running = Vec::new();
    for number in 0..4 {
        let mut one = begin(&session, context(), &format!("echo begun; cat; exit {number}"));
        assert_eq!(one.line().await, "begun");
        running.push(one);
    }
    for (number, one) in (0..4).zip(running).rev() {
        one.write(format!("input {number}")).await;
        let ended = one.end().await;
        assert_eq!((ended.exit, ended.stdout), (Exit::Exited(number), format!("input {number}")));
    }
}
