//! Whole rollouts through the decider, in a small world with crashes and people in it.

mod rules;
mod timing;
mod world;

use proptest::prelude::*;
use rules::{check, check_budget};
use world::{Course, World, actor, request, worlds};

use super::*;
use crate::engine::batches::tests::target;
use crate::engine::verbs::{self, Wish};
use crate::model::{HostResult, HostStatus, Outcome, RollbackTarget};

proptest! {
    #[test]
    fn every_deployment_ends_once_and_starts_nothing_past_its_budget(course in worlds()) {
        let mut world = World::new(&course);
        let end = world.run();
        check(&end, &world.facts)?;
        check_budget(&course, &world.facts)?;
        prop_assert!(world.most_in_flight <= course.rollout.max_parallel as usize);
    }

    #[test]
    fn resuming_from_every_prefix_of_the_journal_gives_an_allowed_end(course in worlds()) {
        let mut world = World::new(&course);
        world.run();
        for length in 1..=world.facts.len() {
            let mut resumed = World::crash_after(&course, &world.facts[..length]);
            let end = resumed.run();
            check(&end, &resumed.facts)?;
            prop_assert!(resumed.most_in_flight <= course.rollout.max_parallel as usize);
        }
    }

    #[test]
    fn whatever_people_do_and_whenever_the_rules_hold_and_it_ends(
        course in worlds(),
        wishes in prop::collection::vec((0_usize..60, world::wishes()), 1..6),
        crash in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new(&course).with_wishes(wishes);
        let end = world.run();
        check(&end, &world.facts)?;
        prop_assert!(world.most_in_flight <= course.rollout.max_parallel as usize);
        let length = 1 + crash.index(world.facts.len());
        let mut resumed = World::crash_after(&course, &world.facts[..length]);
        let end = resumed.run();
        check(&end, &resumed.facts)?;
    }

    #[test]
    fn a_verb_said_twice_is_said_once(
        course in worlds(),
        wish in world::wishes(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new(&course);
        world.run();
        let length = 1 + at.index(world.facts.len());
        let mut world = World::crash_after(&course, &world.facts[..length]);
        if let Ok(facts) = verbs::facts(&world.state(), &wish, &actor()) {
            facts.into_iter().for_each(|fact| world.record(fact));
            prop_assert_eq!(verbs::facts(&world.state(), &wish, &actor()), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_cancel_at_any_time_comes_to_an_end_and_starts_nothing_more(
        course in worlds(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new(&course);
        world.run();
        let finished = |fact: &Fact| matches!(fact, Fact::Finished { .. });
        let ends = |(_, fact): &(Timestamp, Fact)| {
            finished(fact) || matches!(fact, Fact::HostFinished { result }
                if result.status == HostStatus::NotStarted)
        };
        let alive: Vec<_> = world.facts.iter().filter(|fact| !ends(fact)).cloned().collect();
        let alive = &alive[..=at.index(alive.len())];
        let mut resumed = World::crash_after(&course, alive);
        let stopped = resumed.state().stopped.is_some();
        resumed.record(Fact::CancelRequested { reason: "enough".to_owned(), who: None });
        let before = resumed.facts.len();
        let end = resumed.run();
        let started = |(_, fact): &(Timestamp, Fact)| matches!(fact, Fact::Dispatched { .. });
        prop_assert!(!resumed.facts[before..].iter().any(started));
        let all = |status| {
            let hosts = || end.batches.iter().flatten().filter_map(|name| end.host(name));
            let ended = |host: &HostState| host.result.as_ref().is_some_and(|r| r.status == status);
            hosts().next().is_some() && hosts().all(ended)
        };
        let expected = match end.rollback {
            Some(_) if all(HostStatus::RolledBack) => Outcome::RolledBack,
            None if all(HostStatus::Succeeded) => Outcome::Succeeded,
            _ => Outcome::Cancelled,
        };
        prop_assert!(end.outcome == Some(expected), "{:?}, stopped {stopped}", end.outcome);
    }
}

#[test]
fn a_failed_host_that_is_done_again_can_still_make_a_success() {
    let rollout = serde_json::from_str(r#"{"failures": {"then": "wait"}}"#).unwrap();
    let course = Course { rollout, fails: vec![0, 1, 0], seed: 7, kindly: true, monitored: false };
    let mut world = World::new(&course);
    let end = world.run();
    assert_eq!(end.outcome, Some(Outcome::Succeeded));
    assert_eq!(end.dispatches[1].earlier[0].status, HostStatus::Failed);
    let retried = |(_, fact): &&(Timestamp, Fact)| matches!(fact, Fact::Retried { .. });
    assert_eq!(world.facts.iter().filter(retried).count(), 1);
}

#[test]
fn a_deployment_without_its_skipped_host_does_not_succeed() {
    let course = Course { fails: vec![0, 0], ..Course::of(request("{}").rollout) };
    let skip = Wish::Skip(target(1).host);
    let mut world = World::new(&course).with_wishes(vec![(4, skip)]);
    let end = world.run();
    assert_eq!(end.outcome, Some(Outcome::Failed));
    let failure = end.host(&target(1).host).unwrap().result.clone().unwrap().failure.unwrap();
    assert_eq!(failure.code, crate::FailureCode::Skipped);
    assert_eq!(failure.message, "skipped: anna: because");
    let message = end.failure.unwrap().message;
    assert!(message.ends_with("(0 of 2 hosts failed, 1 was not started)"), "{message}");
}

#[test]
fn a_part_that_has_not_begun_is_taken_back_and_its_hosts_have_their_turn_again() {
    let rollout = r#"{"batches": ["100%"], "max_parallel": 2}"#;
    let course = Course { fails: vec![0, 0], ..Course::of(request(rollout).rollout) };
    let mut world = World::new(&course);
    while world.state().dispatches.is_empty() {
        world.step();
    }
    world.record(Fact::Paused { by: actor() });
    let next = world.decide();
    let Next::Record(facts) = &next else { panic!("{next:?}") };
    let task = world.state().dispatches[0].task.clone();
    assert_eq!(facts, &[Fact::Recalled { task }]);
    let end = world.run();
    assert_eq!(end.outcome, Some(Outcome::Succeeded));
    assert_eq!(end.dispatches.len(), 2);
}

#[test]
fn a_host_that_waits_to_be_done_again_is_put_back_where_it_may_serve_the_release() {
    let budget = r#"{"total": {"at_least": 2}, "then": "wait"}"#;
    let rollout = format!(r#"{{"batches": ["100%"], "max_parallel": 1, "failures": {budget}}}"#);
    let course = Course { fails: vec![0, 0], ..Course::of(request(&rollout).rollout) };
    let mut world = World::new(&course);
    let hosts = [target(0).host, target(1).host];
    for host in &hosts {
        while world.state().in_flight().len() == 0 {
            world.step();
        }
        let result = HostResult::new(host.clone(), HostStatus::Unknown);
        world.record(Fact::HostFinished { result });
    }
    world.step();
    assert!(world.state().paused.is_some());
    world.record(Fact::Retried { by: actor(), hosts: hosts.to_vec() });
    world.record(Fact::RollbackRequested { by: actor(), to: RollbackTarget::LastGood });
    let next = world.decide();
    let Next::Record(facts) = &next else { panic!("{next:?}") };
    let [Fact::RollbackStarted { batches, .. }] = &facts[..] else { panic!("{facts:?}") };
    assert_eq!(batches.concat(), hosts);
}
