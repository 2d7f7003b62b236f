//! What the node does about each word, without a host.

use proptest::prelude::*;

use super::*;

fn run(in_process: bool) -> HostRun {
    let host = HostName::new("h1").unwrap();
    HostRun::new(
        host,
        Aim::Install { release: ReleaseId::new("r1").unwrap(), in_process, confirm: true },
    )
}

fn word(line: &str) -> Input {
    Input::Heard(Heard::Marker(Marker::parse(line).unwrap()))
}

fn said(run: &mut HostRun, lines: &[&str]) -> Vec<Effect> {
    lines.iter().flat_map(|line| run.take(word(line))).collect()
}

fn names(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Report(Fact::StepStarted { step, .. }) => format!("+{step}"),
            Effect::Report(Fact::StepFinished { step, .. }) => format!("-{step}"),
            Effect::Report(Fact::Output { text, .. }) => format!("{text:?}"),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_package_is_sent_or_placed_when_the_host_asks() {
    let mut sent = run(false);
    let effects = said(&mut sent, &["step transfer begin", "need package"]);
    assert_eq!(names(&effects), ["+transfer", "Send"]);
    let mut placed = run(true);
    let mut effects = said(&mut placed, &["step transfer begin", "need package"]);
    effects.extend(placed.take(Input::Verified));
    effects.extend(placed.take(Input::Placed(Ok(()))));
    let expected = [
        "+transfer",
        "-transfer",
        "+verify",
        "Place",
        "-verify",
        "+unpack",
        "-unpack",
        "Say(\"placed\\n\")",
    ];
    assert_eq!(names(&effects), expected);
}

#[test]
fn success_needs_the_last_word_and_the_exit() {
    let succeeded = |lines: &[&str], exit| {
        let mut run = run(false);
        said(&mut run, lines);
        run.end(exit, "").status == HostStatus::Succeeded
    };
    let end: &[&str] = &["end 0 succeeded"];
    assert!(succeeded(end, Ok(Exit::Exited(0))));
    assert!(!succeeded(end, Ok(Exit::Exited(1))));
    assert!(!succeeded(end, Ok(Exit::Lost(String::new()))));
    assert!(!succeeded(end, Ok(Exit::Unknown)));
    assert!(!succeeded(end, Ok(Exit::Signalled(String::new()))));
    assert!(!succeeded(&[], Ok(Exit::Exited(0))));
    assert!(!succeeded(&["end 0 failed"], Ok(Exit::Exited(0))));
    assert!(!succeeded(&["fail host_failed lock x", "end 0 succeeded"], Ok(Exit::Exited(0))));
    assert!(!succeeded(end, Err(SessionError::Closed)));
}

#[test]
fn only_the_first_failure_is_the_reason() {
    let mut run = run(false);
    run.take(Input::Judged(Err(Failure::new(FailureCode::Unhealthy, "it was not healthy"))));
    said(
        &mut run,
        &["fail unhealthy probe the node said so", "further hook_failed rollback oh", "tail 3"],
    );
    run.take(Input::Heard(Heard::Bytes(b"abc".to_vec())));
    said(&mut run, &["serves r0", "end 1 rolled_back"]);
    let result = run.end(Ok(Exit::Exited(1)), "");
    assert_eq!(result.status, HostStatus::RolledBack);
    assert_eq!(result.failure.unwrap().message, "it was not healthy");
    assert_eq!(result.further[0].output.as_deref(), Some("abc"));
    assert_eq!(result.serves.unwrap().as_str(), "r0");
}

#[test]
fn a_host_that_was_told_to_stop_has_the_reason_that_it_was_stopped_for() {
    let stop = Failure::new(FailureCode::TimedOut, "too long");
    let mut stopped = run(false);
    let effects = stopped.take(Input::Stop(stop));
    assert_eq!(effects, [Effect::Drop, Effect::HangUp]);
    said(&mut stopped, &["fail cancelled unpack told to stop", "end 1 failed"]);
    let result = stopped.end(Ok(Exit::Exited(1)), "");
    assert_eq!(result.status, HostStatus::Failed);
    assert_eq!(result.failure.unwrap().code, FailureCode::TimedOut);
    // Nobody of ours stopped this one.
    let mut other = run(false);
    said(&mut other, &["fail cancelled unpack told to stop", "end 1 failed"]);
    assert_eq!(other.end(Ok(Exit::Exited(1)), "").failure.unwrap().code, FailureCode::HostFailed);
}

#[test]
fn each_step_begins_and_ends_once_whatever_the_host_says() {
    let mut run = run(false);
    let lines =
        ["step lock end", "step lock begin", "step lock begin", "step lock end", "step lock end"];
    assert_eq!(names(&said(&mut run, &lines)), ["+lock", "-lock"]);
}

#[test]
fn output_is_whole_lines_over_frames_and_stops_at_the_limit() {
    let mut run = run(false);
    said(&mut run, &["step after_switch begin", "out after_switch 3"]);
    assert_eq!(run.take(Input::Heard(Heard::Bytes(b"one".to_vec()))), []);
    said(&mut run, &["out after_switch 5"]);
    let effects = run.take(Input::Heard(Heard::Bytes(b" two\n".to_vec())));
    assert_eq!(names(&effects), ["\"one two\\n\""]);
    let flood = vec![b'\n'; 1000];
    said(&mut run, &["out after_switch 1000000"]);
    let passed: usize = (0..200)
        .flat_map(|_| run.take(Input::Heard(Heard::Bytes(flood.clone()))))
        .map(|effect| match effect {
            Effect::Report(Fact::Output { text, .. }) => text.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(passed, LIVE_OUTPUT - 8);
}

#[test]
fn from_the_switch_on_a_stop_is_said_in_band_where_a_confirmation_is_awaited() {
    let stop = || Input::Stop(Failure::new(FailureCode::Cancelled, "enough"));
    let mut before = run(false);
    said(&mut before, &["step before_switch begin"]);
    assert_eq!(before.take(stop()), [Effect::Drop, Effect::HangUp]);
    let mut after = run(false);
    assert_eq!(
        names(&said(&mut after, &["step switch begin", "step confirm begin"])),
        ["+switch", "+confirm", "Confirm"]
    );
    assert_eq!(after.take(stop()), [Effect::Drop, Effect::Say("stop\n"), Effect::HangUp]);
}

#[test]
fn what_another_connection_has_proved_is_success_unless_the_first_one_knew_better() {
    let ended = |confirmed, lines: &[&str], exit| {
        let mut run = run(false);
        run.take(Input::Confirmed(confirmed));
        said(&mut run, lines);
        run.end(Ok(exit), "").status
    };
    let lost = || Exit::Lost(String::new());
    assert_eq!(ended(true, &[], lost()), HostStatus::Succeeded);
    assert_eq!(ended(false, &[], lost()), HostStatus::Unknown);
    assert_eq!(ended(true, &["fail host_failed prune x"], lost()), HostStatus::Unknown);
    assert_eq!(ended(true, &[], Exit::Exited(3)), HostStatus::Unknown);
}

proptest! {
    #[test]
    fn no_bytes_without_the_nonce_are_ever_success(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut reader = super::super::reader::MarkerReader::new("nonce");
        let mut run = run(false);
        for heard in reader.take(&bytes) {
            run.take(Input::Heard(heard));
        }
        prop_assert_eq!(run.end(Ok(Exit::Exited(0)), "").status, HostStatus::Unknown);
    }
}
