//! The checker against bugs that are planted: a real rollout that ended as it should, and then did not.

use deploy_core::model::{HostResult, HostStatus};
use deploy_core::{Event, Fact, Sequence};

use super::checker::faults;
use super::plan::Plan;
use super::rollout::Site;
use super::seen::{HostSeen, Seen};

/// The place of a host: `host-1` and `host-10` are of the first batch, `host-2`, `host-3` and `host-4`
/// of the second.
fn host(seen: &mut Seen, number: usize) -> &mut HostSeen {
    &mut seen.hosts[number - 1]
}

/// The result of a host in the journal.
fn result<'a>(seen: &'a mut Seen, number: usize) -> &'a mut HostResult {
    let name = seen.hosts[number - 1].name.clone();
    let result = |event: &'a mut Event| match &mut event.fact {
        Fact::HostFinished { result } if result.host == name => Some(result),
        _ => None,
    };
    seen.journal.iter_mut().find_map(result).unwrap()
}

/// The journal says one thing more.
fn record(seen: &mut Seen, fact: Fact) {
    let mut event = seen.journal.last().unwrap().clone();
    event.sequence = Sequence::new(event.sequence.number() + 1);
    event.fact = fact;
    seen.journal.push(event);
}

/// A tampering, and a part of what has to be said of it.
type Planted = (&'static str, fn(&mut Seen));

const PLANTED: [Planted; 23] = [
    ("attempts of at most", |seen| {
        let host = host(seen, 2);
        let again = host.lines.iter().cloned().map(|mut line| {
            line.attempt = 1;
            line
        });
        host.lines = again.chain(host.lines.clone()).chain(host.lines.clone()).collect();
        let first = host.lines[0].attempt;
        host.lines.iter_mut().rev().take(4).for_each(|line| line.attempt = first + 1);
    }),
    ("was done again", |seen| {
        let then = seen.halts.iter_mut().find_map(|halt| halt.finished.values_mut().next());
        *then.unwrap() -= 2;
    }),
    ("attempts of at most 0", |seen| {
        host(seen, 9).lines = host(seen, 1).lines.clone();
    }),
    ("ran beside each other", |seen| {
        let lines = &mut host(seen, 1).lines;
        let mut other = lines[0].clone();
        other.attempt += 1;
        lines.insert(1, other);
    }),
    ("the hooks of an attempt ran as", |seen| host(seen, 1).lines.reverse()),
    ("ended as succeeded, and its hooks ran as", |seen| {
        let lines = &mut host(seen, 10).lines;
        lines.pop();
    }),
    ("no hook ran", |seen| host(seen, 1).lines.clear()),
    ("tell of 9 attempts", |seen| {
        host(seen, 1).history = vec!["succeeded".to_owned(); 9];
    }),
    ("and does not end as", |seen| {
        let history = &mut host(seen, 1).history;
        *history.last_mut().unwrap() = "failed".to_owned();
    }),
    ("a journal has 2 ends", |seen| {
        let end = seen.journal.last().unwrap().fact.clone();
        record(seen, end);
    }),
    ("does not end with the end", |seen| {
        seen.journal.pop();
    }),
    ("have gaps", |seen| {
        seen.journal.remove(3);
    }),
    ("differs from what was recorded", |seen| {
        seen.told.pop();
    }),
    ("the exit status is Some(0) and not 1", |seen| seen.exit = Some(0)),
    ("1 tasks are unfinished", |seen| seen.unfinished = 1),
    ("has the results", |seen| {
        let result = result(seen, 1).clone();
        record(seen, Fact::HostFinished { result });
    }),
    ("ended as succeeded, None", |seen| {
        let result = result(seen, 3);
        result.status = HostStatus::Succeeded;
        result.failure = None;
    }),
    ("no reason is given", |seen| result(seen, 3).failure = None),
    ("is current and not", |seen| host(seen, 1).current = Some("another".to_owned())),
    ("is current and not whole", |seen| host(seen, 5).whole = false),
    ("began outside of its batch", |seen| {
        let begin = |event: &Event| matches!(event.fact, Fact::BatchStarted { batch: 1 });
        let place = seen.journal.iter().position(begin).unwrap();
        let event = seen.journal.remove(place);
        seen.journal.push(event);
    }),
    ("told to stop, a process ended with Some(0)", |seen| {
        let halt = seen.halts.iter_mut().find(|halt| halt.gracefully).unwrap();
        (halt.exit, halt.over) = (Some(0), false);
    }),
    ("a process that was told to stop left", |seen| {
        let name = host(seen, 9).name.clone();
        let halt = seen.halts.iter_mut().find(|halt| halt.gracefully).unwrap();
        halt.in_flight.insert(name);
    }),
];

const LEFT: [Planted; 3] = [
    ("its lock is held", |seen| host(seen, 6).lock = Some("state held".to_owned())),
    ("was left", |seen| host(seen, 6).left.push(".incoming-1".to_owned())),
    ("still run", |seen| host(seen, 6).processes.push(1)),
];

#[test]
fn the_checker_finds_what_is_planted_in_a_rollout_that_ended_as_it_should() {
    let seen = Site::direct().carry_out(Plan::of_every_kind());
    assert_eq!(faults(&seen), [""; 0]);
    assert!(seen.halts.iter().any(|halt| !halt.gracefully && !halt.over), "{:?}", seen.halts);
    for (part, tamper) in PLANTED.into_iter().chain(LEFT) {
        let mut tampered = seen.clone();
        tamper(&mut tampered);
        let found = faults(&tampered);
        assert!(found.iter().any(|fault| fault.contains(part)), "{part}: {found:?}");
    }
}
