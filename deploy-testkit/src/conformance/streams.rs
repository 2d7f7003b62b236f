//! Cases of [`Session`](deploy_core::Session): a command's three streams.

#![allow(clippy::missing_panics_doc)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use deploy_core::Exit;

use super::session_bench::{ConnectorBench, all, begin, context, until_it_stands};

/// More than pipes, windows and sockets hold on any way to a host.
const MUCH: u64 = 24 * 1024 * 1024;

/// How much a case writes at once.
const CHUNK: u64 = 64 * 1024;

/// Clause 2.
pub async fn input_comes_in_order_and_ends(bench: ConnectorBench) {
    let mut running = begin(&bench.session().await, context(), "cat; echo over");
    let stdin = running.stdin.take().expect("it has an input");
    let feed = async move {
        for number in 0..1000 {
            stdin.write(format!("{number}\n").into_bytes()).await.expect("it is read");
        }
    };
    let (ended, ()) = tokio::join!(running.end(), feed);
    let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
    assert_eq!((ended.exit, ended.stdout), (Exit::Exited(0), expected + "over\n"));
}

/// Clauses 1 and 2: nothing of the input is taken for the script, or lost with it.
pub async fn input_begins_with_its_first_byte(bench: ConnectorBench) {
    let script = "read -r first; echo \"<$first>\"; cat";
    let running = begin(&bench.session().await, context(), script);
    running.write("echo not a script\nexit 9\n").await;
    let ended = running.end().await;
    assert_eq!(ended.stdout, "<echo not a script>\nexit 9\n");
    assert_eq!(ended.exit, Exit::Exited(0));
}

/// Clause 2.
pub async fn input_may_hold_any_byte(bench: ConnectorBench) {
    let every: Vec<u8> = (0..=255).collect();
    let hex: String = every.iter().map(|byte| format!("{byte:02x}")).collect();
    let script = "od -An -v -tx1 | tr -d ' \\n'";
    let running = begin(&bench.session().await, context(), script);
    running.write(every.repeat(40)).await;
    assert_eq!(running.end().await.stdout, hex.repeat(40));
}

/// Clause 2.
pub async fn input_is_read_only_as_fast_as_the_command_takes_it(bench: ConnectorBench) {
    let script = "trap go=yes USR1; echo $$
        while [ -z \"$go\" ]; do sleep 1 & wait $!; done
        wc -c";
    let mut running = begin(&bench.session().await, context(), script);
    let process = running.line().await;
    let stdin = running.stdin.take().expect("it has an input");
    let taken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&taken);
    let feed = async move {
        while count.load(Ordering::SeqCst) < MUCH {
            let chunk = vec![b'x'; usize::try_from(CHUNK).unwrap_or_default()];
            stdin.write(chunk).await.expect("it is read");
            count.fetch_add(CHUNK, Ordering::SeqCst);
        }
    };
    let feed = tokio::spawn(feed);
    until_it_stands(|| taken.load(Ordering::SeqCst)).await;
    assert!(taken.load(Ordering::SeqCst) < MUCH, "all was taken, though nobody reads it");
    bench.run(&format!("kill -USR1 {process}")).await;
    let ended = running.end().await;
    feed.await.expect("all was taken");
    assert_eq!(ended.stdout.trim(), MUCH.to_string());
}

/// Clause 2.
pub async fn a_command_need_not_read_its_input(bench: ConnectorBench) {
    let mut running = begin(&bench.session().await, context(), "head -c 1; exit 5");
    let stdin = running.stdin.take().expect("it has an input");
    let feed = async move { while stdin.write(vec![b'x'; 1 << 16]).await.is_ok() {} };
    let (ended, ()) = tokio::join!(running.end(), feed);
    assert_eq!((ended.exit, ended.stdout.as_str()), (Exit::Exited(5), "x"));
}

/// Clause 3.
pub async fn output_comes_in_order_and_apart(bench: ConnectorBench) {
    let script = "i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i + 1)); done";
    let ended = bench.run(script).await;
    let lines = |word: &str| (0..500).map(|i| format!("{word} {i}\n")).collect::<String>();
    assert_eq!(ended.stdout, lines("out"));
    assert_eq!(ended.stderr, lines("err"));
}

/// Clause 3.
pub async fn output_comes_while_the_command_runs(bench: ConnectorBench) {
    let script = "echo first; read -r go; echo \"$go\" >&2; read -r go; echo last";
    let mut running = begin(&bench.session().await, context(), script);
    assert_eq!(running.line().await, "first");
    running.write("go\n").await;
    assert_eq!(running.stderr.read().await.expect("it comes"), b"go\n");
    running.write("go\n").await;
    assert_eq!(running.end().await.stdout, "last\n");
}

/// Clause 3.
pub async fn much_output_on_both_streams_at_once_comes_whole(bench: ConnectorBench) {
    let script = "head -c 4000000 /dev/zero & head -c 3000000 /dev/zero >&2 & wait";
    let ended = bench.run(script).await;
    assert_eq!((ended.stdout.len(), ended.stderr.len()), (4_000_000, 3_000_000));
    assert_eq!(ended.exit, Exit::Exited(0));
}

/// Clause 3.
pub async fn a_full_writer_holds_the_command_up(bench: ConnectorBench) {
    let count = MUCH / CHUNK;
    let script = format!(
        "i=0; while [ $i -lt {count} ]; do head -c {CHUNK} /dev/zero; i=$((i + 1)); echo >&2; done"
    );
    let mut running = begin(&bench.session().await, context(), &script);
    running.stdin = None;
    let lines = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&lines);
    let mut stderr = running.stderr;
    let progress = tokio::spawn(async move {
        while let Some(chunk) = stderr.read().await {
            seen.fetch_add(chunk.len() as u64, Ordering::SeqCst);
        }
    });
    let first = running.stdout.read().await.expect("it writes").len();
    until_it_stands(|| lines.load(Ordering::SeqCst)).await;
    assert!(lines.load(Ordering::SeqCst) < count, "it wrote all, though nobody takes it");
    let rest = all(running.stdout).await.len();
    assert_eq!((first + rest) as u64, MUCH, "what was held up comes in the end");
    progress.await.expect("the progress was read");
    assert_eq!(lines.load(Ordering::SeqCst), count);
    let exit = running.run.await.expect("run does not panic");
    assert_eq!(exit.expect("it started"), Exit::Exited(0));
}

/// Clause 3.
pub async fn a_closed_writer_does_not_hold_the_command_up(bench: ConnectorBench) {
    let script = "head -c 9000000 /dev/zero && head -c 9000000 /dev/zero >&2 && exit 6";
    let session = bench.session().await;
    let running = begin(&session, context(), script);
    drop((running.stdout, running.stderr));
    let exit = running.run.await.expect("run does not panic");
    assert_eq!(exit.expect("it started"), Exit::Exited(6));
    // One closed alone does not close the other.
    let script = "head -c 9000000 /dev/zero && echo done >&2";
    let running = begin(&session, context(), script);
    drop(running.stdout);
    assert_eq!(all(running.stderr).await, "done\n");
}
