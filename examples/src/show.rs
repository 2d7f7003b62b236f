//! Showing what happens: lines, and the report at the end.

use std::fmt::Write as _;

use deploy_core::model::{HostResult, Timestamp};
use deploy_core::{DeploymentReport, Event, Fact};

/// An event as a line for people; `None` for those that say nothing to them.
#[must_use]
pub fn line(event: &Event) -> Option<String> {
    match &event.fact {
        Fact::TaskAccepted { .. }
        | Fact::Dispatched { .. }
        | Fact::HostStarted { .. }
        | Fact::StepStarted { .. }
        | Fact::BatchFinished { .. }
        | Fact::Finished { .. } => None,
        fact @ (Fact::StepFinished { .. }
        | Fact::Output { .. }
        | Fact::HostFinished { .. }
        | Fact::HostFailedLater { .. }) => {
            let lines: Vec<_> = fact.to_string().lines().map(|line| format!("  {line}")).collect();
            Some(lines.join("\n"))
        }
        fact => Some(fact.to_string()),
    }
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
        let failure = failure.to_string();
        // The outcome says this already.
        let why = failure.strip_prefix("cancelled: ").unwrap_or(&failure);
        let _ = write!(text, ": {why}");
    }
    let mut told = 0;
    for result in &report.hosts {
        let _ = write!(text, "\n  {result}");
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
    format!("{time:.0}")
}
