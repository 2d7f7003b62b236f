//! The contract of a session, clause by clause, held against the local one.

use std::time::Duration;

use deploy_core::model::{HostPath, TaskId};
use deploy_core::{
    CommandIo, Context, Exit, LocalConnector, PipeReader, PipeWriter, Session, pipe,
};

struct Running {
    stdin: Option<PipeWriter>,
    stdout: PipeReader,
    stderr: PipeReader,
}

fn streams(chunks: usize) -> (Running, CommandIo) {
    let (stdin, a) = pipe(chunks);
    let (b, stdout) = pipe(chunks);
    let (c, stderr) = pipe(chunks);
    (Running { stdin: Some(stdin), stdout, stderr }, CommandIo::new(a, b, c))
}

async fn all(mut reader: PipeReader) -> String {
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.read().await {
        bytes.extend(chunk);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn context() -> Context {
    Context::new(TaskId::new("t").unwrap())
}

fn session() -> (tempfile::TempDir, impl Session) {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("local:{}/h1", dir.path().display()).parse().unwrap();
    let session = LocalConnector::new().variable("GREETING", "hi").open(&endpoint).unwrap();
    (dir, session)
}

/// Runs a script to its end without input.
async fn run(script: &str) -> (Exit, String, String) {
    let (_dir, session) = session();
    let (mut running, io) = streams(4);
    running.stdin = None;
    let run = session.run(context(), script.to_owned(), io);
    let (exit, out, err) = tokio::join!(run, all(running.stdout), all(running.stderr));
    (exit.unwrap(), out, err)
}

#[tokio::test]
async fn a_script_reaches_the_shell_word_for_word() {
    let (exit, out, err) = run("printf '%s|' \"a  b\" '$x' \\\"; echo no >&2; exit 7").await;
    assert_eq!((exit, out.as_str(), err.as_str()), (Exit::Exited(7), "a  b|$x|\"|", "no\n"));
}

#[tokio::test]
async fn the_environment_is_a_list_of_what_is_allowed() {
    let (_, out, _) = run("env").await;
    let mut names: Vec<_> = out.lines().map(|l| l.split('=').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["GREETING", "PATH", "PWD"]);
}

#[tokio::test]
async fn a_signal_is_told_from_a_status() {
    let (exit, _, _) = run("kill -KILL $$").await;
    assert_eq!(exit, Exit::Signalled("signal 9".to_owned()));
}

#[tokio::test]
async fn input_comes_in_order_and_ends() {
    let (_dir, session) = session();
    let (mut running, io) = streams(1);
    let stdin = running.stdin.take().unwrap();
    let feed = async move {
        for number in 0..1000 {
            stdin.write(format!("{number}\n").into_bytes()).await.unwrap();
        }
    };
    let run = session.run(context(), "cat".to_owned(), io);
    let (exit, (), out, _) = tokio::join!(run, feed, all(running.stdout), all(running.stderr));
    assert_eq!(exit.unwrap(), Exit::Exited(0));
    let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
    assert_eq!(out, expected);
}

#[tokio::test]
async fn output_that_nobody_takes_holds_the_command_up() {
    let (dir, session) = session();
    let (mut running, io) = streams(1);
    running.stdin = None;
    let script = "i=0; while [ $i -lt 40 ]; do head -c 65536 /dev/zero; i=$((i + 1)); echo $i > count; done; echo done >&2";
    let run = tokio::spawn(async move { session.run(context(), script.to_owned(), io).await });
    let first = running.stdout.read().await.unwrap();
    let count = std::fs::read_to_string(dir.path().join("h1/count")).unwrap_or_default();
    assert!(count.trim().parse::<u32>().unwrap_or(0) < 20, "{count}");
    let (rest, err) = tokio::join!(all(running.stdout), all(running.stderr));
    assert_eq!(first.len() + rest.len(), 40 * 65536);
    assert_eq!(err, "done\n");
    assert_eq!(run.await.unwrap().unwrap(), Exit::Exited(0));
}

#[tokio::test]
async fn output_that_nobody_wants_holds_nothing_up() {
    let (_dir, session) = session();
    let (running, io) = streams(1);
    drop(running);
    let script = "head -c 1000000 /dev/zero && head -c 1000000 /dev/zero >&2";
    assert_eq!(session.run(context(), script.to_owned(), io).await.unwrap(), Exit::Exited(0));
}

#[tokio::test]
async fn what_is_left_behind_holds_nothing_up() {
    let (exit, out, _) =
        run("sleep 600 & echo $!; head -c 30000 /dev/zero | tr '\\0' x; echo").await;
    assert_eq!(exit, Exit::Exited(0));
    let (pid, rest) = out.split_once('\n').unwrap();
    assert_eq!(rest.len(), 30_001);
    assert!(std::process::Command::new("kill").arg(pid).status().unwrap().success());
}

#[tokio::test]
async fn a_cancel_ends_the_input_first() {
    let (_dir, session) = session();
    let (mut running, io) = streams(1);
    let cx = context();
    let cancel = cx.cancel.clone();
    let run = tokio::spawn(async move {
        session.run(cx, "echo ready; cat; echo stopped by myself".to_owned(), io).await
    });
    assert_eq!(running.stdout.read().await.unwrap(), b"ready\n");
    cancel.cancel("enough");
    assert_eq!(all(running.stdout).await, "stopped by myself\n");
    assert_eq!(run.await.unwrap().unwrap(), Exit::Exited(0));
}

#[tokio::test]
async fn a_deadline_ends_the_input_too() {
    let (_dir, session) = session();
    let (running, io) = streams(1);
    let cx = context().with_deadline(std::time::Instant::now() + Duration::from_millis(50));
    let run = session.run(cx, "cat; echo over".to_owned(), io);
    let (exit, out) = tokio::join!(run, all(running.stdout));
    assert_eq!((exit.unwrap(), out.as_str()), (Exit::Exited(0), "over\n"));
    drop(running.stdin);
}

#[tokio::test]
async fn dropping_the_run_kills_the_group() {
    let (_dir, session) = session();
    let (mut running, io) = streams(1);
    let run = tokio::spawn(async move {
        session.run(context(), "trap '' TERM; sleep 600 & echo $!; wait".to_owned(), io).await
    });
    let pid = String::from_utf8(running.stdout.read().await.unwrap()).unwrap();
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    let stat = format!("/proc/{}/stat", pid.trim());
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_directory_of_the_endpoint_is_made_and_is_the_root() {
    let (dir, session) = session();
    assert!(dir.path().join("h1").is_dir());
    let path = session.local_path(&HostPath::new("/srv/app").unwrap());
    assert_eq!(path, Some(dir.path().join("h1/srv/app")));
}
