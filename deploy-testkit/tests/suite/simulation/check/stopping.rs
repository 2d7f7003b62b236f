//! What was stopped starts nothing: the failure budget, a cancel, a deadline.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::model::{AfterBudget, FailureBudget, HostName, HostResult, HostStatus, TaskId};
use deploy_core::{Fact, FailureCode};

use super::{Record, request};

/// Failed hosts that count, in the order in which they ended: counted here anew, beside the engine.
#[derive(Default)]
struct Count {
    hosts: usize,
    failed: Vec<HostName>,
    /// Those that failed since the last one that did not.
    row: usize,
    skipped: BTreeSet<HostName>,
    /// The part that each host was last handed out with, and the parts that were taken back.
    part: BTreeMap<HostName, TaskId>,
    recalled: BTreeSet<TaskId>,
    /// Somebody, or the budget, stops hosts: those that are stopped have not failed.
    stopping: bool,
    by_budget: bool,
}

impl Count {
    fn ended(&mut self, result: &HostResult, budget: &FailureBudget) {
        if result.status == HostStatus::Succeeded {
            self.row = 0;
            return;
        }
        let stopped = matches!(result.status, HostStatus::NotStarted | HostStatus::Cancelled);
        let unreachable = result.failure.as_ref().is_some_and(|failure| {
            matches!(failure.code, FailureCode::HostUnreachable | FailureCode::AgentUnreachable)
        });
        let part = self.part.get(&result.host);
        let recalled = part.is_some_and(|part| self.recalled.contains(part));
        let counts = !(self.skipped.contains(&result.host)
            || (stopped && (self.stopping || recalled))
            || (unreachable && !budget.unreachable_counts));
        if counts && !self.failed.contains(&result.host) {
            self.failed.push(result.host.clone());
            self.row += 1;
        }
    }

    fn excuse(&mut self, host: &HostName) {
        if let Some(at) = self.failed.iter().position(|failed| failed == host) {
            if at + self.row >= self.failed.len() {
                self.row -= 1;
            }
            self.failed.remove(at);
        }
    }

    fn passed(&self, budget: &FailureBudget) -> bool {
        let total =
            budget.total.is_some_and(|limit| limit.is_passed(self.failed.len(), self.hosts));
        let row = budget.in_a_row.is_some_and(|limit| limit.is_passed(self.row, self.hosts));
        total || row
    }
}

/// I9: once more hosts have failed than the budget allows no host is handed out, until somebody says
/// so.
pub(super) fn budget_stops(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (task, events) in record.deployments() {
        let request = request(record, &events);
        let budget = &request.rollout.failures;
        // Going back has no budget.
        if request.rollback.is_some() {
            continue;
        }
        let mut count = Count::default();
        for (at, event) in events {
            match &event.fact {
                Fact::Resolved { hosts } => count.hosts = hosts.len(),
                Fact::HostFinished { result } | Fact::HostFailedLater { result } => {
                    count.ended(result, budget);
                }
                Fact::Skipped { host, .. } => {
                    count.skipped.insert(host.clone());
                    count.excuse(host);
                }
                Fact::Paused { .. } | Fact::CancelRequested { .. } => count.stopping = true,
                Fact::BudgetPassed { .. } => (count.stopping, count.by_budget) = (true, true),
                Fact::DeadlinePassed => count.stopping = true,
                Fact::Retried { hosts, .. } => {
                    hosts.iter().for_each(|host| count.excuse(host));
                    (count.stopping, count.by_budget) = (false, false);
                }
                Fact::Resumed { .. } => {
                    if count.by_budget {
                        (count.failed, count.row) = (Vec::new(), 0);
                    }
                    (count.stopping, count.by_budget) = (false, false);
                }
                Fact::RollbackStarted { .. } => break,
                Fact::Recalled { task } => {
                    count.recalled.insert(task.clone());
                }
                Fact::Dispatched { task, hosts, .. } if !count.passed(budget) => {
                    let parts = hosts.iter().map(|host| (host.clone(), task.clone()));
                    count.part.extend(parts);
                }
                Fact::Dispatched { hosts, .. } => {
                    let (failed, time) = (&count.failed, record.time(at));
                    wrong.push(format!(
                        "{task} goes on with {hosts:?} after {failed:?} failed {time}"
                    ));
                }
                _ => {}
            }
        }
    }
    wrong
}

/// I9: what is cancelled, overdue, past its budget or to be put back hands nothing out.
pub(super) fn stopped_starts_nothing(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut stopped: BTreeMap<_, &'static str> = BTreeMap::new();
    for (at, event) in record.facts() {
        let task = &event.task;
        match &event.fact {
            Fact::CancelRequested { .. } => {
                stopped.insert(task, "it was cancelled");
            }
            Fact::DeadlinePassed => {
                stopped.insert(task, "its deadline has passed");
            }
            Fact::BudgetPassed { then: AfterBudget::Stop | AfterBudget::RollBack, .. } => {
                stopped.insert(task, "its budget is passed");
            }
            Fact::RollbackRequested { .. } => {
                stopped.insert(task, "it is to be put back");
            }
            // Hosts are put back from here on.
            Fact::RollbackStarted { .. } => {
                stopped.remove(task);
            }
            Fact::Dispatched { .. } | Fact::BatchStarted { .. } | Fact::RolloutStarted { .. } => {
                if let Some(why) = stopped.get(task) {
                    let (fact, time) = (event.fact.name(), record.time(at));
                    wrong.push(format!("{task}: {fact} although {why} {time}"));
                }
            }
            _ => {}
        }
    }
    wrong
}
