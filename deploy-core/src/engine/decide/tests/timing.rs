//! Times: the scheduled one, pauses, holds and the deadline.

use std::time::Duration;

use super::super::*;
use super::world::{Course, World, actor, at, request};
use crate::engine::batches::tests::target;
use crate::engine::verbs::{self, Wish};
use crate::event::BatchHold;
use crate::failure::FailureCode;
use crate::model::{Digests, HostResult, HostStatus, Outcome, RollbackTarget};

fn course(rollout: &str, hosts: usize) -> Course {
    Course { fails: vec![0; hosts], ..Course::of(request(rollout).rollout) }
}

/// Goes on until the journal has a fact of this name.
fn until(world: &mut World, name: &str) {
    while world.facts.iter().all(|(_, fact)| fact.name() != name) {
        world.step().unwrap_or_else(|| panic!("{name} never came"));
    }
}

#[test]
fn nothing_is_rolled_out_before_its_time() {
    let course = course("{}", 1);
    let mut world = World::of(&course, request("{}").with_not_before(at(10_000_000)));
    world.step();
    world.step();
    let (state, none) = (world.state(), Here::default());
    assert_eq!(decide(&state, at(9_999_999), &none), Next::WaitUntil(at(10_000_000)));
    assert_eq!(decide(&state, at(10_000_000), &none), Next::AskGates);
}

#[test]
fn the_jitter_of_a_pause_is_drawn_once_and_lies_within_its_bounds() {
    let course = course(r#"{"pause": {"fixed": "10s", "jitter": "20s"}}"#, 3);
    let mut world = World::new(&course);
    until(&mut world, "batch_held");
    let (held_at, fact) = world.facts.last().cloned().unwrap();
    let Fact::BatchHeld { batch: 1, hold: BatchHold::Pause, until: Some(over) } = fact else {
        panic!("{fact:?}");
    };
    let span = over.since(held_at);
    assert!(span >= Duration::from_secs(10) && span <= Duration::from_secs(30), "{span:?}");
    let resumed = World::crash_after(&course, &world.facts);
    assert_eq!(resumed.decide(), Next::Stand(Some(over)));
    world.run();
    let pauses = world.facts.iter().filter(|(_, fact)| fact.name() == "batch_held");
    let ends: BTreeSet<_> = pauses
        .map(|(at, fact)| {
            let Fact::BatchHeld { until: Some(until), .. } = fact else { panic!() };
            until.since(*at)
        })
        .collect();
    assert_eq!(ends.len(), 2, "each pause has a jitter of its own");
}

#[test]
fn a_deadline_that_passes_stops_what_runs_and_then_waits_for_it_no_longer() {
    let course = course(r#"{"deadline": "1h", "max_parallel": 1}"#, 2);
    let mut world = World::new(&course);
    until(&mut world, "dispatched");
    let deadline = world.state().deadline.unwrap();
    assert_eq!(world.decide(), Next::Await { cancel: false, until: Some(deadline) });
    world.pass(Duration::from_secs(3_600));
    assert_eq!(world.decide(), Next::Record(vec![Fact::DeadlinePassed]));
    world.record(Fact::DeadlinePassed);
    let Next::Await { cancel: true, until: Some(last) } = world.decide() else { panic!() };
    world.pass(OVERDUE);
    assert!(world.state().stopped.unwrap().at.plus(OVERDUE) == last);
    let Next::Finish(facts) = world.decide() else { panic!("it waits on") };
    facts.into_iter().for_each(|fact| world.record(fact));
    let end = world.state();
    assert_eq!(end.outcome, Some(Outcome::Failed));
    assert_eq!(end.failure.unwrap().code, FailureCode::TimedOut);
    let statuses: Vec<_> = end.hosts.iter().map(|h| h.result.clone().unwrap().status).collect();
    assert_eq!(statuses, [HostStatus::Unknown, HostStatus::NotStarted]);
}

#[test]
fn the_deadline_does_not_run_while_the_rollout_stands() {
    let course = course(r#"{"deadline": "1h", "canary": {"hosts": 1, "hold": "promote"}}"#, 2);
    let mut world = World::new(&course);
    until(&mut world, "batch_held");
    let deadline = world.state().deadline.unwrap();
    world.pass(Duration::from_secs(7_200));
    assert_eq!(world.decide(), Next::Stand(None));
    world.record(Fact::Paused { by: actor() });
    world.pass(Duration::from_secs(3_600));
    world.record(Fact::Resumed { by: actor(), phase: Phase::Held });
    world.record(Fact::Promoted { by: actor() });
    world.step();
    let state = world.state();
    assert_eq!(state.batch, Some(1));
    let moved = state.deadline.unwrap().since(deadline);
    assert!(moved >= Duration::from_secs(3 * 3_600), "{moved:?}");
    assert_eq!(world.run().outcome, Some(Outcome::Succeeded));
}

#[test]
fn what_comes_to_its_end_in_a_stand_is_not_waited_for_beyond_the_deadline() {
    let course = course(r#"{"deadline": "1h", "canary": {"hosts": 1, "hold": "promote"}}"#, 2);
    let enough = Fact::CancelRequested { reason: "enough".to_owned(), who: None };
    let back = Fact::RollbackRequested { by: actor(), to: RollbackTarget::LastGood };
    for last in [enough, back] {
        let mut world = World::new(&course);
        until(&mut world, "dispatched");
        world.record(Fact::HostStarted { host: target(0).host });
        world.record(Fact::Paused { by: actor() });
        world.pass(Duration::from_secs(7_200));
        world.record(last);
        let deadline = world.state().deadline.unwrap();
        assert!(
            matches!(world.decide(), Next::Await { until: Some(until), .. } if until == deadline)
        );
        world.pass(Duration::from_secs(3_600));
        assert_eq!(world.decide(), Next::Record(vec![Fact::DeadlinePassed]));
        world.record(Fact::DeadlinePassed);
        world.pass(OVERDUE);
        assert!(!matches!(world.decide(), Next::Await { .. }), "it waits on");
    }
}

#[test]
fn a_failed_canary_that_was_done_again_is_held_as_one_that_has_not_failed() {
    let rollout = r#"{"canary": {"hosts": 1, "hold": "10m"},
        "failures": {"total": {"more_than": 1}}}"#;
    let mut course = course(rollout, 2);
    course.fails = vec![1, 0];
    let mut world = World::new(&course);
    until(&mut world, "batch_held");
    let gap = world.state().gap.unwrap();
    assert_eq!((gap.hold, gap.until), (BatchHold::FailedCanary, None));
    world.record(Fact::Paused { by: actor() });
    world.record(Fact::Retried { by: actor(), hosts: vec![target(0).host] });
    assert!(!world.state().is_standing(), "a host is being done");
    while world.state().gap.is_none() {
        world.step();
    }
    let state = world.state();
    let gap = state.gap.as_ref().unwrap();
    assert_eq!((state.phase, gap.hold), (Phase::Held, BatchHold::Canary));
    assert_eq!(gap.until, Some(gap.since.plus(Duration::from_secs(600))));
    assert_eq!(world.run().outcome, Some(Outcome::Succeeded));
}

#[test]
fn a_canary_is_promoted_once_it_is_held_and_not_before() {
    let course = course(r#"{"canary": {"hosts": 1, "hold": "promote"}}"#, 2);
    let mut world = World::new(&course);
    until(&mut world, "batch_finished");
    let promote = |world: &World| verbs::facts(&world.state(), &Wish::Promote, &actor());
    assert!(promote(&world).is_err(), "it would be held nonetheless");
    until(&mut world, "batch_held");
    assert_eq!(promote(&world), Ok(vec![Fact::Promoted { by: actor() }]));
    world.record(Fact::Promoted { by: actor() });
    assert_eq!(promote(&world), Ok(Vec::new()));
    world.step();
    assert_eq!(promote(&world), Ok(Vec::new()), "the rest follows");
}

#[test]
fn a_rollback_whose_hosts_are_done_again_is_rolling_back_still() {
    let course = course(r#"{"batches": ["100%"]}"#, 1);
    let mut world = World::new(&course);
    until(&mut world, "host_finished");
    world.record(Fact::RollbackRequested { by: actor(), to: RollbackTarget::LastGood });
    world.step();
    until(&mut world, "rollback_started");
    while world.state().in_flight().len() == 0 {
        world.step();
    }
    let failed = HostResult::new(target(0).host, HostStatus::Failed);
    world.record(Fact::HostFinished { result: failed });
    world.record(Fact::Paused { by: actor() });
    for fact in verbs::facts(&world.state(), &Wish::RetryFailed, &actor()).unwrap() {
        world.record(fact);
    }
    let state = world.state();
    assert_eq!((state.phase, state.pending().len()), (Phase::RollingBack, 1));
}

#[test]
fn more_time_is_given_once_and_none_is_taken_away() {
    let facts = verbs::facts;
    let course = course(r#"{"deadline": "1h"}"#, 2);
    let mut world = World::new(&course);
    let far = at(i64::from(u32::MAX) * 1_000_000);
    assert!(facts(&world.state(), &Wish::Extend(far), &actor()).is_err());
    until(&mut world, "dispatched");
    let given = facts(&world.state(), &Wish::Extend(far), &actor()).unwrap();
    assert_eq!(given, [Fact::Extended { by: actor(), deadline: far }]);
    given.into_iter().for_each(|fact| world.record(fact));
    assert_eq!(facts(&world.state(), &Wish::Extend(at(5)), &actor()), Ok(Vec::new()));
    world.pass(Duration::from_secs(7_200));
    assert_eq!(world.run().outcome, Some(Outcome::Succeeded));
}

#[test]
fn a_rollout_that_has_not_begun_in_time_never_does_and_one_that_has_goes_on() {
    let second = |second: i64| at(second * 1_000_000);
    let request = request(r#"{"batches": ["100%"]}"#)
        .with_not_before(second(100))
        .with_expires_at(second(500))
        .with_on_missed(crate::model::OnMissed::FAIL);
    let course = Course { fails: vec![0; 2], ..Course::of(request.rollout.clone()) };
    let mut world = World::of(&course, request);
    let at = |world: &World, now| decide(&world.state(), second(now), &Here::default());
    let code = |next| match next {
        Next::Finish(facts) => match facts.last() {
            Some(Fact::Finished { failure: Some(failure), outcome: Outcome::Failed }) => {
                failure.code
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(at(&world, 0), Next::Resolve);
    assert_eq!(code(at(&world, 500)), FailureCode::Expired);
    world.record(Fact::Resolved { hosts: (0..2).map(target).collect() });
    assert_eq!(at(&world, 399), Next::Verify);
    assert_eq!(code(at(&world, 400)), FailureCode::Missed);
    world.record(Fact::Verified { package: Digests::new().finish() });
    assert_eq!(at(&world, 99), Next::WaitUntil(second(100)));
    assert_eq!(at(&world, 100), Next::AskGates);
    // Every host has a result, also of a deployment that touched none.
    let Next::Finish(facts) = at(&world, 400) else { panic!() };
    assert_eq!(facts.len(), 3);
    let batches = vec![(0..2).map(|index| target(index).host).collect()];
    world.record(Fact::RolloutStarted { batches, deadline: None });
    assert_eq!(at(&world, 1000), Next::Record(vec![Fact::BatchStarted { batch: 0 }]));
}
