//! Showing what happens: lines, and the report at the end.

use std::fmt::Write as _;

use deploy_core::model::{HostResult, HostStatus, Timestamp};
use deploy_core::{DeploymentReport, Event, Fact};

/// An event as a line for people; `None` for those that say nothing to them.
#[must_use]
pub fn line(event: &Event) -> Option<String> {
    Some(match &event.fact {
        Fact::Accepted { deployment, request } => {
            format!("deployment {deployment} of {}/{} accepted", request.business, request.project)
        }
        Fact::Resolved { hosts } => count(hosts.len()),
        Fact::Verified { package } => {
            format!("package verified: {} bytes, sha256 {}", package.size, package.sha256)
        }
        Fact::Waiting { until } => format!("waiting until {}", time(*until)),
        Fact::Held { reason, until } => format!("held until {}: {reason}", time(*until)),
        Fact::InLine { behind, position } => format!("in line behind {behind}, place {position}"),
        Fact::RolloutStarted { batches, .. } => {
            let sizes: Vec<_> = batches.iter().map(|batch| batch.len().to_string()).collect();
            format!("rolling out in batches of {}", sizes.join(", "))
        }
        Fact::BatchHeld { batch, hold, until } => match until {
            Some(until) => format!("batch {} waits until {}: {hold}", batch + 1, time(*until)),
            None => format!("batch {} waits: {hold}", batch + 1),
        },
        Fact::BatchStarted { batch } => format!("batch {}", batch + 1),
        Fact::StepFinished { host, step, note } => match note {
            Some(note) => format!("  {host}: {step}: {note}"),
            None => format!("  {host}: {step}"),
        },
        Fact::Output { host, step, text } => {
            let lines: Vec<_> = text.lines().map(|l| format!("  {host}: {step} | {l}")).collect();
            lines.join("\n")
        }
        Fact::HostFinished { result } => host(result),
        Fact::Recalled { task } => format!("{task} taken back: it has not begun"),
        Fact::BudgetPassed { reason, .. } => reason.clone(),
        Fact::HostFailedLater { result } => format!("{}, after it had succeeded", host(result)),
        Fact::RollbackFiled { by } => format!("filed by {by}"),
        Fact::RollbackRequested { by, to } => format!("to be rolled back to {to}, by {by}"),
        Fact::RollbackStarted { failure, to, batches, .. } => {
            let hosts = count(batches.iter().map(Vec::len).sum());
            format!("rolling back {hosts} to {to}: {failure}")
        }
        Fact::DeadlinePassed => "the deadline has passed".to_owned(),
        Fact::Paused { by } => format!("paused by {by}"),
        Fact::Resumed { by, .. } => format!("resumed by {by}"),
        Fact::Promoted { by } => format!("promoted by {by}"),
        Fact::Retried { by, hosts } => format!("to be done again: {}, by {by}", count(hosts.len())),
        Fact::Skipped { by, host } => format!("without {host}, by {by}"),
        Fact::Extended { by, deadline } => format!("extended until {} by {by}", time(*deadline)),
        Fact::CancelRequested { reason, who: Some(who) } => {
            format!("cancel requested by {who}: {reason}")
        }
        Fact::CancelRequested { reason, who: None } => format!("cancel requested: {reason}"),
        Fact::AttemptFailed { failure } => format!("failed, will be tried again: {failure}"),
        _ => return None,
    })
}

/// So many hosts, in words.
#[must_use]
pub fn count(hosts: usize) -> String {
    match hosts {
        1 => "1 host".to_owned(),
        _ => format!("{hosts} hosts"),
    }
}

/// How a host ended, in a line.
#[must_use]
pub fn host(result: &HostResult) -> String {
    let mut line = format!("  {}: {}", result.host, result.status.as_str().replace('_', " "));
    if let Some(failure) = &result.failure {
        let _ = match failure.step {
            Some(step) => write!(line, " ({step}: {})", failure.message),
            None => write!(line, " ({})", failure.message),
        };
    }
    if let (Some(serves), true) = (&result.serves, result.status != HostStatus::Succeeded) {
        let _ = write!(line, ", serves {serves}");
    }
    for further in &result.further {
        let _ = write!(line, "\n    then: {further}");
    }
    line
}

/// How many hosts have what their hooks wrote told in a report.
const OUTPUTS: usize = 3;

/// The report, for people.
#[must_use]
pub fn report(report: &DeploymentReport) -> String {
    let took = report.finished_at.since(report.accepted_at);
    let outcome = report.outcome.as_str().replace('_', " ");
    let mut text = format!("{} {outcome} in {took:.1?}", report.deployment);
    if let Some(failure) = &report.failure {
        let _ = write!(text, ": {failure}");
    }
    let mut told = 0;
    for result in &report.hosts {
        let _ = write!(text, "\n{}", host(result));
        if let Some(output) = output(result).filter(|_| told < OUTPUTS) {
            text.push_str(&output);
            told += 1;
        }
    }
    text
}

/// The end of what the hook that failed on a host wrote, a line each.
#[must_use]
pub fn output(result: &HostResult) -> Option<String> {
    let output = result.failure.as_ref()?.output.as_deref()?;
    let lines: Vec<_> = output.trim_end().lines().map(|line| format!("\n    | {line}")).collect();
    Some(lines.concat())
}

/// A time for people: to the second.
#[must_use]
pub fn time(time: Timestamp) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}
