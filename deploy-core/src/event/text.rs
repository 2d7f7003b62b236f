//! What happened, as people read it.

use std::fmt;

use super::Fact;

/// One line, or a line for each line of output, in the words of people: `web-3: fetch` or
/// `paused by anna: the phones ring`. Times are to the second.
impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { deployment, request } => {
                let (business, project) = (&request.business, &request.project);
                write!(f, "deployment {deployment} of {business}/{project} accepted")
            }
            Self::TaskAccepted { task } => {
                write!(f, "task {} accepted: {}", task.id, Hosts(task.hosts.len()))
            }
            Self::Resolved { hosts } => Hosts(hosts.len()).fmt(f),
            Self::Verified { package } => {
                write!(f, "package verified: {} bytes, sha256 {}", package.size, package.sha256)
            }
            Self::Waiting { until } => write!(f, "waiting until {until:.0}"),
            Self::Held { reason, until } => write!(f, "held until {until:.0}: {reason}"),
            Self::InLine { behind, position } => {
                write!(f, "in line behind {behind}, place {position}")
            }
            Self::RolloutStarted { batches, .. } => {
                f.write_str("rolling out in batches of ")?;
                for (index, batch) in batches.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{}", batch.len())?;
                }
                Ok(())
            }
            Self::BatchHeld { batch, hold, until: Some(until) } => {
                write!(f, "batch {} waits until {until:.0}: {hold}", batch + 1)
            }
            Self::BatchHeld { batch, hold, until: None } => {
                write!(f, "batch {} waits: {hold}", batch + 1)
            }
            Self::BatchStarted { batch } => write!(f, "batch {}", batch + 1),
            Self::BatchFinished { batch } => write!(f, "batch {} is done", batch + 1),
            Self::Dispatched { task, hosts, .. } => {
                write!(f, "{task} handed out: {}", Hosts(hosts.len()))
            }
            Self::Recalled { task } => write!(f, "{task} taken back: it has not begun"),
            Self::HostStarted { host } => write!(f, "{host}: begun"),
            Self::StepStarted { host, step } => write!(f, "{host}: {step} begun"),
            Self::StepFinished { host, step, note: Some(note) } => {
                write!(f, "{host}: {step}: {note}")
            }
            Self::StepFinished { host, step, note: None } => write!(f, "{host}: {step}"),
            Self::Output { host, step, text } => {
                for (index, line) in text.lines().enumerate() {
                    let new = if index > 0 { "\n" } else { "" };
                    write!(f, "{new}{host}: {step} | {line}")?;
                }
                Ok(())
            }
            Self::HostFinished { result } => result.fmt(f),
            Self::HostFailedLater { result } => write!(f, "{result}, after it had succeeded"),
            Self::BudgetPassed { reason, .. } => f.write_str(reason),
            Self::RollbackFiled { by } => write!(f, "filed by {by}"),
            Self::RollbackRequested { by, to } => write!(f, "to be rolled back to {to}, by {by}"),
            Self::RollbackStarted { failure, to, batches, .. } => {
                let hosts = Hosts(batches.iter().map(Vec::len).sum());
                write!(f, "rolling back {hosts} to {to}: {failure}")
            }
            Self::DeadlinePassed => f.write_str("the deadline has passed"),
            Self::Paused { by } => write!(f, "paused by {by}"),
            Self::Resumed { by, .. } => write!(f, "resumed by {by}"),
            Self::Promoted { by } => write!(f, "promoted by {by}"),
            Self::Retried { by, hosts } => {
                write!(f, "to be done again: {}, by {by}", Hosts(hosts.len()))
            }
            Self::Skipped { by, host } => write!(f, "without {host}, by {by}"),
            Self::Extended { by, deadline } => write!(f, "extended until {deadline:.0} by {by}"),
            Self::CancelRequested { reason, who: Some(who) } => {
                write!(f, "cancel requested by {who}: {reason}")
            }
            Self::CancelRequested { reason, who: None } => write!(f, "cancel requested: {reason}"),
            Self::AttemptFailed { failure } => write!(f, "failed, and tried again: {failure}"),
            Self::Finished { outcome, failure } => f.write_str(&outcome.because(failure.as_ref())),
        }
    }
}

/// So many hosts.
struct Hosts(usize);

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 host"),
            hosts => write!(f, "{hosts} hosts"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::failure::{Failure, FailureCode};
    use crate::model::{HostName, HostResult, HostStatus, Outcome, ReleaseId};
    use crate::release_step::Step;

    use super::*;

    fn host() -> HostName {
        HostName::new("web-3").unwrap()
    }

    #[test]
    fn facts_read_as_sentences() {
        let failure = Failure::new(FailureCode::HookFailed, "hook 2 ended with status 3");
        let failed = HostResult::failed(
            host(),
            HostStatus::RolledBack,
            failure.clone().with_host(host()).with_step(Step::AfterSwitch),
        );
        let mut failed = failed.with_serves(ReleaseId::new("d1").unwrap());
        failed.further = vec![failure.clone().with_host(host()).with_step(Step::Rollback)];
        let cancelled = Failure::new(FailureCode::Cancelled, "cancelled: anna: not tonight");
        let text = "one\ntwo\n".to_owned();
        let until = "2026-11-27T22:00:00.123456Z".parse().unwrap();
        for (fact, expected) in [
            (Fact::Resolved { hosts: Vec::new() }, "0 hosts"),
            (Fact::Waiting { until }, "waiting until 2026-11-27T22:00:00Z"),
            (
                Fact::RolloutStarted {
                    batches: vec![vec![host()], vec![host(); 4]],
                    deadline: None,
                },
                "rolling out in batches of 1, 4",
            ),
            (
                Fact::Output { host: host(), step: Step::AfterSwitch, text },
                "web-3: after_switch | one\nweb-3: after_switch | two",
            ),
            (
                Fact::HostFinished { result: failed.clone() },
                "web-3: rolled back (after_switch: hook 2 ended with status 3), serves d1; \
                 then rollback: hook 2 ended with status 3",
            ),
            (
                Fact::Finished { outcome: Outcome::Cancelled, failure: Some(cancelled) },
                "cancelled: anna: not tonight",
            ),
            (
                Fact::Finished { outcome: Outcome::RolledBack, failure: Some(failure) },
                "rolled back: hook 2 ended with status 3",
            ),
        ] {
            assert_eq!(fact.to_string(), expected);
        }
    }
}
