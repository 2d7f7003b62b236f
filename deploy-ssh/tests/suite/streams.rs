//! Much data in all directions, and data that looks like ours.

use deploy_core::{CommandIo, Exit, Session as _, pipe};
use futures_util::future::join_all;

use crate::support::{Sshd, context, run};

/// Bytes of all values, the same in each run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn much_input_and_much_output_arrive_whole_at_the_same_time() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let input = noise(20 << 20);
    let ran = run(&session, "tee /dev/stderr", input.clone()).await;
    assert_eq!(ran.exit.unwrap(), Exit::Exited(0));
    assert!(ran.stdout == input && ran.stderr == input);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_errors_does_not_hold_up_the_input() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let script = "head -c 8000000 /dev/zero >&2 & cat >/dev/null; wait; echo done";
    let ran = run(&session, script, noise(8 << 20)).await;
    assert_eq!(ran.exit.unwrap(), Exit::Exited(0));
    assert_eq!((ran.stdout.as_slice(), ran.stderr.len()), (&b"done\n"[..], 8_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_run_over_one_session_at_the_same_time() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    // Each waits for all: none ends unless all run at once.
    let directory = sshd.path("meeting");
    std::fs::create_dir(&directory).unwrap();
    let runs = (0..8).map(|number| {
        let meeting = directory.display().to_string();
        let session = &session;
        async move {
            let script = format!(
                "touch {meeting}/{number}; while [ $(ls {meeting} | wc -l) -lt 8 ]; do sleep 0.05; done; \
                 cat; exit {number}"
            );
            let input = noise(100_000 + number);
            let ran = run(session, &script, input.clone()).await;
            assert_eq!(ran.exit.unwrap(), Exit::Exited(i32::try_from(number).unwrap()));
            assert!(ran.stdout == input);
        }
    });
    join_all(runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_commands_than_the_host_allows_are_refused_and_harm_no_other() {
    let sshd = Sshd::with("MaxSessions 2");
    let session = sshd.session().await;
    let held = [0, 1].map(|_| {
        let ((hold, stdin), (stdout, said)) = (pipe(1), pipe(1));
        let io = CommandIo::new(stdin, stdout, pipe(1).0);
        (session.run(context(), "echo up; cat".to_owned(), io), hold, said)
    });
    let [(first, hold_first, mut first_said), (second, hold_second, mut second_said)] = held;
    let others = async {
        assert_eq!(first_said.read().await.unwrap(), b"up\n");
        assert_eq!(second_said.read().await.unwrap(), b"up\n");
        let runs = join_all((0..4).map(|_| run(&session, "true", Vec::new()))).await;
        assert!(runs.iter().all(|ran| ran.exit.is_err()), "{runs:?}");
        hold_first.write(b"still here".to_vec()).await.unwrap();
        assert_eq!(first_said.read().await.unwrap(), b"still here");
        drop((hold_first, hold_second));
        while first_said.read().await.is_some() {}
    };
    let (first, second, ()) = tokio::join!(first, second, others);
    assert_eq!((first.unwrap(), second.unwrap()), (Exit::Exited(0), Exit::Exited(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_bounds_what_is_held_for_it() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let counter = sshd.path("written");
    let (_hold, held) = pipe(1);
    let (stdout, mut said) = pipe(1);
    let (stderr, _errors) = pipe(1);
    let script = format!(
        "i=0; while [ $i -lt 64 ]; do head -c 1000000 /dev/zero; i=$((i+1)); echo $i >{}; done",
        counter.display()
    );
    let running = session.run(context(), script, CommandIo::new(held, stdout, stderr));
    let reading = async {
        // The counter stands still once everything between us and the command is full.
        let mut before = String::new();
        let mut still = 0;
        while still < 20 {
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
            let now = std::fs::read_to_string(&counter).unwrap_or_default();
            still = if !now.is_empty() && now == before { still + 1 } else { 0 };
            before = now;
        }
        let megabytes: usize = before.trim().parse().unwrap();
        // The window, sockets and pipes of the host, and our own few chunks.
        assert!(megabytes <= 16, "{megabytes} MB are under way");
        // Other commands are not held up by it.
        assert_eq!(run(&session, "echo", Vec::new()).await.exit.unwrap(), Exit::Exited(0));
        let mut length = 0;
        while let Some(chunk) = said.read().await {
            length += chunk.len();
        }
        length
    };
    let (exit, length) = tokio::join!(running, reading);
    assert_eq!((exit.unwrap(), length), (Exit::Exited(0), 64_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_gone_does_not_hold_the_command_up() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let (_hold, held) = pipe(1);
    let (stdout, said) = pipe(1);
    let (stderr, errors) = pipe(1);
    drop((said, errors));
    let script = "head -c 9000000 /dev/zero; head -c 9000000 /dev/zero >&2; exit 7".to_owned();
    let exit = session.run(context(), script, CommandIo::new(held, stdout, stderr)).await;
    assert_eq!(exit.unwrap(), Exit::Exited(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_look_like_our_marks_pass_unharmed() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let mut input = Vec::new();
    for length in 0..70_u8 {
        input.push(0x1e);
        input.extend(std::iter::repeat_n(b'0' + length % 10, length.into()));
        input.extend_from_slice(b" 0\n\x1e\x1e \0\xff\r\n");
    }
    let ran = run(&session, "cat; cat </dev/null", input.clone()).await;
    assert_eq!((ran.exit.unwrap(), ran.stdout == input), (Exit::Exited(0), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_of_any_text_arrives_word_for_word() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let text: String = (1..0x250_u32)
        .filter_map(char::from_u32)
        .filter(|c| !matches!(c, '\'' | '\r'))
        .chain("\u{81}\u{88}€漢😀".chars())
        .collect();
    let script = format!("printf %s '{text}'\n\n");
    let ran = run(&session, &script, Vec::new()).await;
    assert_eq!((ran.exit.unwrap(), ran.stdout == text.as_bytes()), (Exit::Exited(0), true));
    let script = "cat <<'EOF'\n$HOME `id` \\ \"'\nEOF\n";
    let ran = run(&session, script, Vec::new()).await;
    assert_eq!(ran.text(), "$HOME `id` \\ \"'\n");
    let ran = run(&session, "a\0b", Vec::new()).await;
    assert!(ran.exit.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_may_be_longer_than_any_command_line() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let script =
        format!("cat >/dev/null <<'EOF'\n{}EOF\ncat\n", "0123456789abcdef\n".repeat(250_000));
    let ran = run(&session, &script, b"in".to_vec()).await;
    assert_eq!((ran.exit.unwrap(), ran.stdout.as_slice()), (Exit::Exited(0), &b"in"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_exchanged_again_in_the_middle_change_nothing() {
    let sshd = Sshd::with("RekeyLimit 1M");
    let session = sshd.session().await;
    let input = noise(10 << 20);
    let (one, other) = tokio::join!(
        run(&session, "cat", input.clone()),
        run(&session, "tee /dev/stderr", input.clone())
    );
    assert_eq!((one.exit.unwrap(), other.exit.unwrap()), (Exit::Exited(0), Exit::Exited(0)));
    for (name, got) in [("cat", &one.stdout), ("out", &other.stdout), ("err", &other.stderr)] {
        let differs = got.iter().zip(&input).position(|(got, sent)| got != sent);
        assert!(*got == input, "{name}: {} of {} bytes, {differs:?}", got.len(), input.len());
    }
    assert!(sshd.log().matches("rekey").count() > 5, "{}", sshd.log());
}
