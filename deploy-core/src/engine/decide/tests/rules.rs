//! What must hold of every journal, however it came about.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::*;
use super::world::Course;
use crate::event::BatchHold;
use crate::model::{AfterBudget, HostName, HostResult, HostStatus, Outcome};

/// What is known while a journal is read.
#[derive(Default)]
struct Reading {
    batches: Vec<Vec<HostName>>,
    batch: Option<usize>,
    /// Nothing may start for now.
    paused: bool,
    /// Nothing may start any more.
    stopped: bool,
    /// Hosts that were handed out and may not be again.
    handed_out: BTreeMap<HostName, TaskId>,
    /// Those of them that have not ended.
    out: BTreeSet<HostName>,
    recalled: BTreeSet<TaskId>,
    held: Option<(u32, BatchHold, Option<Timestamp>)>,
    promoted: bool,
}

pub(super) fn check(end: &TaskState, facts: &[(Timestamp, Fact)]) -> Result<(), TestCaseError> {
    let finished = |(_, fact): &&(Timestamp, Fact)| matches!(fact, Fact::Finished { .. });
    prop_assert_eq!(facts.iter().filter(finished).count(), 1);
    prop_assert!(facts.last().is_some_and(|last| finished(&last)));
    prop_assert_eq!(end.results().count(), end.hosts.len());
    let succeeded = |result: &HostResult| result.status == HostStatus::Succeeded;
    let all_succeeded = end.results().all(succeeded) && !end.hosts.is_empty();
    prop_assert_eq!(end.outcome == Some(Outcome::Succeeded), all_succeeded);
    if end.outcome == Some(Outcome::RolledBack) {
        let left = may_serve(facts);
        prop_assert!(left.is_empty(), "{:?} may serve what was rolled back", left);
    }
    let rollbacks = facts.iter().filter(|(_, f)| matches!(f, Fact::RollbackStarted { .. })).count();
    prop_assert!(rollbacks <= 1, "it was rolled back again");
    prop_assert_eq!(end.failure.is_some(), end.outcome != Some(Outcome::Succeeded));
    let mut reading = Reading::default();
    for (at, fact) in facts {
        reading.read(end, *at, fact)?;
    }
    Ok(())
}

/// The hosts that serve the release at the end, or may, by the last word on each that tells.
fn may_serve(facts: &[(Timestamp, Fact)]) -> BTreeSet<HostName> {
    let mut serving = BTreeSet::new();
    for (_, fact) in facts {
        let (Fact::HostFinished { result } | Fact::HostFailedLater { result }) = fact else {
            continue;
        };
        let may = matches!(result.status, HostStatus::Succeeded | HostStatus::Unknown);
        match &result.serves {
            Some(serves) if serves.as_str() == "d" => _ = serving.insert(result.host.clone()),
            Some(_) => _ = serving.remove(&result.host),
            None if may => _ = serving.insert(result.host.clone()),
            None if result.status == HostStatus::RolledBack => _ = serving.remove(&result.host),
            None => {}
        }
    }
    serving
}

impl Reading {
    fn read(&mut self, end: &TaskState, at: Timestamp, fact: &Fact) -> Result<(), TestCaseError> {
        match fact {
            Fact::Paused { .. } | Fact::BudgetPassed { then: AfterBudget::Wait, .. } => {
                self.paused = true;
            }
            Fact::BudgetPassed { then: AfterBudget::Stop | AfterBudget::RollBack, .. }
            | Fact::RollbackRequested { .. }
            | Fact::CancelRequested { .. }
            | Fact::DeadlinePassed => {
                self.stopped = true;
                self.paused &= !matches!(fact, Fact::RollbackRequested { .. });
            }
            Fact::RolloutStarted { batches, .. } => self.batches.clone_from(batches),
            Fact::RollbackStarted { batches, .. } => {
                prop_assert!(self.stopped, "nothing had stopped it");
                let none_is_out = |host| !self.out.contains(host);
                prop_assert!(end.hosts.iter().map(|host| &host.target.host).all(none_is_out));
                self.batches.clone_from(batches);
                (self.batch, self.stopped, self.held) = (None, false, None);
                batches.iter().flatten().for_each(|host| _ = self.handed_out.remove(host));
            }
            Fact::Resumed { .. } => self.paused = false,
            Fact::Retried { hosts, .. } => {
                self.paused = false;
                hosts.iter().for_each(|host| _ = self.handed_out.remove(host));
            }
            Fact::BatchHeld { batch, hold, until } => {
                self.held = Some((*batch, *hold, *until));
                self.promoted = false;
            }
            Fact::Promoted { .. } => self.promoted = true,
            Fact::BatchStarted { batch } => {
                prop_assert!(!self.paused && !self.stopped, "batch {} began", batch);
                if let Some((held, _, until)) = self.held.take() {
                    prop_assert_eq!(held, *batch);
                    let over = until.is_some_and(|until| at >= until);
                    prop_assert!(self.promoted || over, "batch {} was held", batch);
                }
                self.batch = Some(*batch as usize);
            }
            Fact::Recalled { task } => _ = self.recalled.insert(task.clone()),
            Fact::HostFinished { result } => {
                self.out.remove(&result.host);
                let stopped = [HostStatus::NotStarted, HostStatus::Cancelled];
                let part = self.handed_out.get(&result.host);
                let recalled = part.is_some_and(|part| self.recalled.contains(part));
                if recalled && stopped.contains(&result.status) {
                    self.handed_out.remove(&result.host);
                }
            }
            Fact::Dispatched { hosts, task, .. } => {
                prop_assert!(!self.paused, "{:?} began during a pause", hosts);
                prop_assert!(!self.stopped, "{:?} began after the end was decided", hosts);
                for host in hosts {
                    let before = self.handed_out.insert(host.clone(), task.clone());
                    prop_assert!(before.is_none(), "{} was handed out twice", host);
                    prop_assert!(!end.is_skipped(host) || end.host(host).is_some());
                    self.out.insert(host.clone());
                    let begun = &self.batches[..=self.batch.unwrap()];
                    prop_assert!(begun.iter().any(|batch| batch.contains(host)));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Counts the failures anew, for a journal in which nobody did anything but resume, and says whether
/// a host was started past the budget.
pub(super) fn check_budget(
    course: &Course,
    facts: &[(Timestamp, Fact)],
) -> Result<(), TestCaseError> {
    let budget = &course.rollout.failures;
    let mut batches: Vec<Vec<HostName>> = Vec::new();
    let mut failed: BTreeSet<HostName> = BTreeSet::new();
    let mut row: Vec<HostName> = Vec::new();
    for (_, fact) in facts {
        match fact {
            Fact::RolloutStarted { batches: planned, .. } => batches.clone_from(planned),
            // Going back has no budget.
            Fact::RollbackStarted { .. } => break,
            Fact::HostFinished { result } | Fact::HostFailedLater { result } => match result.status
            {
                HostStatus::Failed => {
                    failed.insert(result.host.clone());
                    row.push(result.host.clone());
                }
                HostStatus::Succeeded => row.clear(),
                _ => {}
            },
            Fact::Resumed { .. } => (failed, row) = Default::default(),
            Fact::Retried { hosts, .. } => {
                failed.retain(|host| !hosts.contains(host));
                row.retain(|host| !hosts.contains(host));
            }
            Fact::Dispatched { .. } => {
                let all = course.fails.len();
                let passed = |limit: Option<crate::model::FailureLimit>, failed, all| {
                    limit.is_some_and(|limit| limit.is_passed(failed, all))
                };
                prop_assert!(!passed(budget.total, failed.len(), all));
                prop_assert!(!passed(budget.in_a_row, row.len(), all));
                for batch in &batches {
                    let failed = batch.iter().filter(|host| failed.contains(*host)).count();
                    prop_assert!(!passed(budget.batch, failed, batch.len()));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
