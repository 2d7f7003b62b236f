//! What has to hold of every history: pure checkers, each with a name.

mod hosts;
mod kept;
mod rollback;
mod standing;
mod stopping;
mod truth;

use std::collections::BTreeMap;

use deploy_core::model::{DeploymentId, DeploymentRequest, TaskId};
use deploy_core::{Event, Fact};

use super::history::{Entry, Happening};

/// What a run leaves: its history, and what is in the journals in the end.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub(super) entries: Vec<Entry>,
    pub(super) journals: BTreeMap<String, BTreeMap<TaskId, Vec<Event>>>,
}

/// A checker: what it finds wrong, in words.
type Check = fn(&Record) -> Vec<String>;

/// The checkers, by the names of the invariants in the list of reliability that they are for.
const CHECKS: &[(&str, Check)] = &[
    ("what was accepted is kept (I1)", kept::accepted_is_kept),
    ("what was recorded stays (I1)", kept::recorded_stays),
    ("each task ends once (I2)", kept::each_ends_once),
    ("everything comes to its end (I3)", kept::everything_ends),
    ("nothing panics (I15)", kept::nothing_panics),
    ("the state is a fold (I2)", kept::the_state_is_a_fold),
    ("current is whole (I5)", hosts::current_is_whole),
    ("one at a time on a host (I6)", hosts::one_at_a_time),
    ("old fencing numbers have no effect (I6)", hosts::fences_grow),
    ("nothing is done unrecorded (I6)", hosts::nothing_unrecorded),
    ("finished hosts are not done again (I7)", hosts::not_done_again),
    ("what is said of a host is true (I8)", truth::said_is_true),
    ("an outcome is that of its hosts (I8)", truth::outcome_of_its_hosts),
    ("past the budget nothing starts (I9)", stopping::budget_stops),
    ("what was stopped starts nothing (I9)", stopping::stopped_starts_nothing),
    ("what stands starts nothing (I9)", standing::standing_starts_nothing),
    ("no rollout begins at a forbidden time (I9)", standing::no_forbidden_beginning),
    ("a host that went back stays back (I10)", rollback::back_stays_back),
    ("a rollback is called one (I10)", rollback::called_by_its_name),
];

impl Record {
    /// What is wrong with it, by the names of the invariants.
    pub(super) fn violations(&self) -> Vec<(&'static str, String)> {
        let found = |&(name, check): &(&'static str, Check)| {
            check(self).into_iter().map(move |what| (name, what))
        };
        CHECKS.iter().flat_map(found).collect()
    }

    /// What was recorded by control nodes, fact by fact, in the order in which it was, with the place
    /// in the history.
    fn facts(&self) -> impl Iterator<Item = (usize, &Event)> {
        self.entries.iter().enumerate().flat_map(|(at, entry)| match &entry.what {
            Happening::Recorded { store, events, .. } if store == "control" => {
                events.iter().map(|event| (at, event)).collect()
            }
            _ => Vec::new(),
        })
    }

    /// What was recorded by control nodes for each deployment.
    fn deployments(&self) -> BTreeMap<TaskId, Vec<(usize, &Event)>> {
        let mut all: BTreeMap<TaskId, Vec<_>> = BTreeMap::new();
        for (at, event) in self.facts() {
            all.entry(event.task.clone()).or_default().push((at, event));
        }
        all
    }

    /// The time of an entry, for messages.
    fn time(&self, at: usize) -> String {
        let millis = self.entries[at].at;
        format!("at {}.{:03}", millis / 1_000, millis % 1_000)
    }
}

/// The request of a deployment, as it was filed: what the journal has of it is the node's word.
fn request<'a>(record: &'a Record, events: &[(usize, &'a Event)]) -> &'a DeploymentRequest {
    let accepted = events.iter().find_map(|(_, event)| match &event.fact {
        Fact::Accepted { request, .. } => Some(&**request),
        _ => None,
    });
    let accepted = accepted.expect("a deployment begins with its acceptance");
    let filed = record.entries.iter().find_map(|entry| match &entry.what {
        Happening::Filed { request } if request.id == accepted.id => Some(&**request),
        _ => None,
    });
    filed.unwrap_or(accepted)
}

/// The id of a deployment whose journal has this name.
fn id(task: &TaskId) -> DeploymentId {
    DeploymentId::try_from(task).expect("a deployment's task has its id")
}
