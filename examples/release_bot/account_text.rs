//! Accounts as people read them: a line for each deployment, or all of one.

use std::fmt::Write as _;
use std::path::Path;

use deploy_core::model::{Requirement, RollbackSpec, Timestamp};
use deploy_core::{HostRecord, Phase};
use deploy_examples::show;

use crate::account::{Account, Trouble};
use crate::advice::Advice;
use crate::deed::Deed;

/// A deployment in a line.
pub(crate) fn line(account: &Account) -> String {
    let summary = &account.summary;
    let mut line = format!("{}  {}/{}  ", summary.task, summary.business, summary.project);
    match account.outcome() {
        Some(outcome) => line.push_str(&outcome.as_str().replace('_', " ")),
        None => line.push_str(&summary.phase.to_string()),
    }
    if let Some(until) = account.until {
        let _ = write!(line, " until {}", show::time(until));
    }
    if let Some(reason) = &account.reason {
        let _ = write!(line, " ({reason})");
    }
    if matches!(summary.phase, Phase::RollingOut | Phase::RollingBack) && account.batches > 0 {
        let batch = (account.batches_finished + 1).min(account.batches as u32);
        let _ = write!(line, ", batch {batch} of {}", account.batches);
    }
    let hosts = &account.hosts;
    if hosts.total > 0 {
        let done = if account.is_back() { "put back" } else { "done" };
        let _ = write!(line, "  {} of {} hosts {done}", hosts.done, hosts.total);
        for (number, what) in [
            (hosts.failed, "failed"),
            (hosts.not_started, "not started"),
            (hosts.running, "running"),
            (hosts.left, "left"),
        ] {
            if number > 0 {
                let _ = write!(line, ", {number} {what}");
            }
        }
    }
    let accepted = show::time(summary.accepted_at);
    let _ = write!(line, "  accepted {accepted}, {}", span(account.seconds));
    line
}

/// A deployment in a line, and one for each thing that somebody did to it.
pub(crate) fn entry(account: &Account) -> String {
    let deeds = account.deeds.iter().map(|deed| format!("\n  {}", self::deed(deed)));
    deeds.fold(line(account), |text, deed| text + &deed)
}

/// All of a deployment of a state directory.
pub(crate) fn whole(account: &Account, directory: &Path) -> String {
    let mut text = line(account);
    let time = |at: Option<Timestamp>| at.map(show::time);
    let undoes = |spec: &RollbackSpec| format!("{}, to {}", spec.of, spec.to);
    for (what, value) in [
        ("work order", account.summary.work_order.as_ref().map(ToString::to_string)),
        ("requirement", account.summary.requirement.as_ref().map(requirement)),
        ("requested by", account.requested_by.clone()),
        ("does the rest of", account.retry_of.as_ref().map(ToString::to_string)),
        ("undoes", account.rollback.as_ref().map(undoes)),
        ("its hosts go back to", account.goes_back_to.as_ref().map(ToString::to_string)),
        ("rollout began", time(account.began_at)),
        ("has to be over", time(account.deadline.filter(|_| account.outcome().is_none()))),
        ("ended", time(account.finished_at)),
        ("last failed attempt", account.trouble.as_ref().map(trouble)),
    ] {
        if let Some(value) = value {
            let _ = write!(text, "\n  {what}: {value}");
        }
    }
    for id in &account.behind {
        let _ = write!(text, "\n  in line behind {id}");
    }
    for running in &account.running {
        let host = &running.host;
        let _ = match running.step {
            Some(step) => write!(text, "\n  {host}: is being done, at {step}"),
            None => {
                let endpoint = &running.endpoint;
                write!(text, "\n  {host}: handed to {endpoint}, and nothing heard of it yet")
            }
        };
    }
    for result in &account.results {
        let _ = write!(text, "\n  {result}");
        text.push_str(&show::output(result).unwrap_or_default());
    }
    if account.results.iter().any(|result| show::output(result).is_some()) {
        let id = &account.summary.task;
        let _ = write!(
            text,
            "\n  the whole output is on each host, below the project's root in .deploy/logs/{id}"
        );
    }
    for deed in &account.deeds {
        let _ = write!(text, "\n  {}", self::deed(deed));
    }
    if account.waits_for_a_person() {
        text.push_str("\n  it waits for a person");
    }
    let advice = advice(&account.next, account.summary.task.as_str(), Some(directory));
    if !advice.is_empty() {
        let _ = write!(text, "\n{}", advice.trim_end());
    }
    text
}

/// What a person may do now, a line each; nothing where nothing was kept that could be told.
pub(crate) fn advice(advice: &[Advice], deployment: &str, directory: Option<&Path>) -> String {
    let Some(directory) = directory else { return String::new() };
    let line = |advice: &Advice| {
        let (command, shown) = (&advice.command, directory.display());
        format!("  release_bot {command} {deployment} --state {shown}: {}\n", advice.what)
    };
    let lines: Vec<_> = advice.iter().map(line).collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!("what may be done now:\n{}", lines.concat()),
    }
}

fn trouble(trouble: &Trouble) -> String {
    format!("at {}, and tried again: {}", show::time(trouble.at), trouble.failure)
}

fn requirement(requirement: &Requirement) -> String {
    match &requirement.name {
        Some(name) => format!("{} {name}", requirement.id),
        None => requirement.id.to_string(),
    }
}

/// What somebody did, in a line.
fn deed(deed: &Deed) -> String {
    let mut line = format!("{} {}", show::time(deed.at), deed.what.replace('_', " "));
    if let Some(object) = &deed.object {
        let _ = write!(line, " {object}");
    }
    if !deed.who.is_empty() {
        let _ = write!(line, " by {}", deed.who);
    }
    if !deed.why.is_empty() {
        let _ = write!(line, ": {}", deed.why);
    }
    line
}

/// What a deployment did to a host, in a line.
pub(crate) fn host(record: &HostRecord) -> String {
    let deployment = &record.deployment;
    let (business, project) = (&deployment.business, &deployment.project);
    let mut line = format!("{}  {business}/{project}", deployment.task);
    match (&record.result, record.began_at) {
        (Some(result), _) => {
            let _ = write!(line, "  {result}");
        }
        (None, Some(_)) => {
            let _ = write!(line, "  {}: is being done", record.host);
        }
        (None, None) => {
            let _ = write!(line, "  {}: its turn has not come", record.host);
        }
    }
    if let Some(began) = record.began_at {
        let _ = write!(line, "  began {}", show::time(began));
        if let Some(ended) = record.ended_at {
            let _ = write!(line, ", {}", span(ended.since(began).as_secs_f64()));
        }
    }
    if record.turns > 1 {
        let _ = write!(line, ", done {} times", record.turns);
    }
    line
}

/// Seconds as people say them.
fn span(seconds: f64) -> String {
    match seconds {
        ..60.0 => format!("{seconds:.1}s"),
        _ => {
            let whole = jiff::SignedDuration::try_from_secs_f64(seconds.trunc());
            format!("{:#}", whole.unwrap_or(jiff::SignedDuration::MAX))
        }
    }
}
