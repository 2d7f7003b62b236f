//! Whether a rollout ended as it should: one checker for all of them, pure.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::model::{HostName, HostResult, HostStatus, Outcome};
use deploy_core::{Event, Fact};

use super::seen::{HostSeen, Line, Seen};

/// Everything that is not as it should be.
pub(crate) fn faults(seen: &Seen) -> Vec<String> {
    let mut faults = Vec::new();
    ending(seen, &mut faults);
    for journal in &seen.tasks {
        one_end(journal, &mut faults);
    }
    order(seen, &mut faults);
    halts(seen, &mut faults);
    let results = results(&seen.journal);
    let ends = seen.plan.ends(batches(&seen.journal));
    for host in &seen.hosts {
        let name = &host.name;
        let mut found = Vec::new();
        match results.get(name).map(Vec::as_slice) {
            Some([result]) => {
                if !ends.get(name).is_some_and(|ends| ends.contains(&result.status)) {
                    found.push(format!("ended as {}, {:?}", result.status, result.failure));
                }
                serves(seen, host, result, &mut found);
                hooks(seen, host, result, &mut found);
            }
            other => found.push(format!("has the results {other:?}")),
        }
        at_rest(host, &mut found);
        faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    faults
}

/// One terminal state, recorded once, told as it was recorded, with the right exit status.
fn ending(seen: &Seen, faults: &mut Vec<String>) {
    one_end(&seen.journal, faults);
    let expected = seen.plan.outcome();
    match seen.journal.last().map(|event| &event.fact) {
        Some(Fact::Finished { outcome, .. }) if *outcome == expected => {}
        other => faults.push(format!("it should have ended as {expected}, and did as {other:?}")),
    }
    if seen.told != seen.journal {
        faults.push("what was told differs from what was recorded".to_owned());
    }
    let exit = i32::from(expected != Outcome::Succeeded);
    if seen.exit != Some(exit) {
        faults.push(format!("the exit status is {:?} and not {exit}", seen.exit));
    }
    if seen.unfinished > 0 {
        faults.push(format!("{} tasks are unfinished", seen.unfinished));
    }
}

/// A journal has every number once, and one end, which is its last event.
fn one_end(journal: &[Event], faults: &mut Vec<String>) {
    let numbers = journal.iter().map(|event| event.sequence.number());
    if !numbers.eq(1..=journal.len() as u64) {
        faults.push("the numbers of a journal have gaps".to_owned());
    }
    let ends = journal.iter().filter(|event| matches!(event.fact, Fact::Finished { .. })).count();
    if ends != 1 {
        faults.push(format!("a journal has {ends} ends"));
    }
    if !matches!(journal.last().map(|event| &event.fact), Some(Fact::Finished { .. })) {
        faults.push("a journal does not end with the end".to_owned());
    }
}

fn batches(journal: &[Event]) -> &[Vec<HostName>] {
    let found = journal.iter().find_map(|event| match &event.fact {
        Fact::RolloutStarted { batches, .. } => Some(batches.as_slice()),
        _ => None,
    });
    found.unwrap_or_default()
}

fn results(journal: &[Event]) -> BTreeMap<&HostName, Vec<&HostResult>> {
    let mut results: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in journal {
        if let Fact::HostFinished { result } = &event.fact {
            results.entry(&result.host).or_default().push(result);
        }
    }
    results
}

/// No host begins before its batch, no batch before the one before has ended.
fn order(seen: &Seen, faults: &mut Vec<String>) {
    let batches = batches(&seen.journal);
    let (mut begun, mut ended) = (0, 0);
    for event in &seen.journal {
        match &event.fact {
            Fact::BatchStarted { batch } => {
                if *batch != begun || *batch != ended {
                    faults.push(format!("batch {batch} began after {ended} others had ended"));
                }
                begun += 1;
            }
            Fact::BatchFinished { .. } => ended += 1,
            Fact::HostStarted { host } => {
                let now = begun.checked_sub(1).and_then(|now| batches.get(now as usize));
                if !now.is_some_and(|hosts| hosts.contains(host)) {
                    faults.push(format!("{host} began outside of its batch"));
                }
            }
            _ => {}
        }
    }
}

/// A process that was told to stop let its hosts come to their end, those aside that it had found in flight
/// and not taken up yet, and said by its exit status whether the deployment was over.
fn halts(seen: &Seen, faults: &mut Vec<String>) {
    for (number, halt) in seen.halts.iter().enumerate().filter(|(_, halt)| halt.gracefully) {
        let allowed: &[i32] = match (halt.of_agent, halt.over) {
            (true, _) => &[0],
            (false, true) => &[0, 1, 3],
            (false, false) => &[3],
        };
        if !halt.exit.is_some_and(|exit| allowed.contains(&exit)) {
            faults.push(format!("told to stop, a process ended with {:?}", halt.exit));
        }
        let earlier = seen.halts[..number].iter().rfind(|other| other.of_agent == halt.of_agent);
        let found = earlier.map(|halt| halt.in_flight.clone()).unwrap_or_default();
        let left: Vec<_> = halt.in_flight.difference(&found).collect();
        if halt.installs && !left.is_empty() {
            faults.push(format!("a process that was told to stop left {left:?}"));
        }
    }
}

/// What the host serves is whole, and what the result says.
fn serves(seen: &Seen, host: &HostSeen, result: &HostResult, faults: &mut Vec<String>) {
    let expected = match result.status {
        HostStatus::Succeeded => Some(&seen.plan.id),
        _ => host.before.as_ref(),
    };
    if host.current.as_ref() != expected {
        faults.push(format!("{:?} is current and not {expected:?}", host.current));
    }
    // A host that was not asked is not known to serve what it does.
    let asked = !matches!(result.status, HostStatus::NotStarted | HostStatus::Cancelled);
    let said = result.serves.as_ref().map(ToString::to_string);
    if (asked || said.is_some()) && said != host.current {
        faults.push(format!("{:?} is current and not {:?}", host.current, result.serves));
    }
    if !host.whole {
        faults.push(format!("{:?} is current and not whole", host.current));
    }
    if result.status != HostStatus::Succeeded && result.failure.is_none() {
        faults.push("no reason is given".to_owned());
    }
}

/// Hooks ran as often as they may: a host has one attempt, and one more for each time that the process
/// which did it was killed while the host was in flight. A host that had ended is not done again.
fn hooks(seen: &Seen, host: &HostSeen, result: &HostResult, faults: &mut Vec<String>) {
    let name = &host.name;
    let hit = |halt: &&super::seen::Halt| halt.installs && halt.in_flight.contains(name);
    let allowed = match result.status {
        HostStatus::NotStarted => 0,
        _ => 1 + seen.halts.iter().filter(hit).count(),
    };
    let attempts: BTreeSet<u32> = host.lines.iter().map(|line| line.attempt).collect();
    for (what, count) in [("hooks", attempts.len()), ("history", host.history.len())] {
        if count > allowed {
            faults.push(format!("the {what} tell of {count} attempts of at most {allowed}"));
        }
    }
    for halt in &seen.halts {
        if let Some(then) = halt.finished.get(name)
            && *then != host.lines.len()
        {
            faults.push(format!("it had ended with {then} lines of hooks, and was done again"));
        }
    }
    let last = host.lines.last().map(|line| line.attempt);
    for attempt in attempts {
        let lines: Vec<_> = host.lines.iter().filter(|line| line.attempt == attempt).collect();
        if !is_one_go(&lines) {
            faults.push(format!("the hooks of an attempt ran as {lines:?}"));
        }
        if Some(attempt) == last {
            last_attempt(host, result, &lines, faults);
        }
    }
    // One after the other: the lock of the host sees to it.
    let mut turns: Vec<_> = host.lines.iter().map(|line| line.attempt).collect();
    turns.dedup();
    if turns.len() != turns.iter().collect::<BTreeSet<_>>().len() {
        faults.push(format!("attempts ran beside each other: {:?}", host.lines));
    }
    if result.status == HostStatus::Succeeded && host.lines.is_empty() {
        faults.push("no hook ran".to_owned());
    }
    let ends: &[_] = match result.status {
        HostStatus::NotStarted => &[None],
        HostStatus::Cancelled => &[None, Some("failed"), Some("rolled_back")],
        status => &[Some(status.as_str())],
    };
    if !ends.contains(&host.history.last().map(String::as_str)) {
        faults.push(format!("its history is {:?} and does not end as {ends:?}", host.history));
    }
}

/// Each hook at most once, in their order, one after the other.
fn is_one_go(lines: &[&Line]) -> bool {
    let place = |line: &Line| match (line.hook.as_str(), line.back) {
        ("before_switch", false) => Some(0),
        ("after_switch", false) => Some(2),
        ("after_switch", true) => Some(4),
        ("on_failure", _) => Some(6),
        _ => None,
    };
    let places: Option<Vec<_>> =
        lines.iter().map(|line| Some(place(line)? + i32::from(line.end))).collect();
    let Some(places) = places else { return false };
    let begun = |place: &i32| place % 2 == 0 || places.contains(&(place - 1));
    places.is_sorted_by(|one, other| one < other) && places.iter().all(begun)
}

/// The attempt that counts did what its result says.
fn last_attempt(host: &HostSeen, result: &HostResult, lines: &[&Line], faults: &mut Vec<String>) {
    let ended = |hook: &str, back| lines.iter().any(|l| l.hook == hook && l.back == back && l.end);
    let switched = ended("after_switch", false);
    let right = match result.status {
        HostStatus::Succeeded => ended("before_switch", false) && switched && lines.len() == 4,
        HostStatus::RolledBack => {
            let back = ended("after_switch", true) || host.before.is_none();
            !switched && back && ended("on_failure", false) | ended("on_failure", true)
        }
        HostStatus::Failed => !ended("before_switch", false),
        HostStatus::Cancelled => !switched || ended("after_switch", true) || host.before.is_none(),
        _ => false,
    };
    if !right {
        faults.push(format!("ended as {}, and its hooks ran as {lines:?}", result.status));
    }
}

/// Nothing is left on the host that the next deployment could not take over, and nothing runs there.
fn at_rest(host: &HostSeen, faults: &mut Vec<String>) {
    if host.lock.as_ref().is_some_and(|lock| lock != "state free") {
        faults.push(format!("its lock is held: {:?}", host.lock));
    }
    if !host.left.is_empty() {
        faults.push(format!("{:?} was left", host.left));
    }
    if !host.processes.is_empty() {
        faults.push(format!("the processes {:?} still run", host.processes));
    }
}
