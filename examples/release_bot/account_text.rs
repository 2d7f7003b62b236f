//! Accounts as people read them: a line for each deployment, or all of one.

use std::fmt::Write as _;

use deploy_core::model::Requirement;
use deploy_core::{HostRecord, Phase};
use deploy_examples::show;

use crate::account::{Account, Deed};

/// A deployment in a line.
pub(crate) fn line(account: &Account) -> String {
    let summary = &account.summary;
    let mut line = format!("{}  {}/{}  ", summary.task, summary.business, summary.project);
    match account.outcome() {
        Some(outcome) => line.push_str(outcome.as_str()),
        None => line.push_str(summary.phase.as_str()),
    }
    if let Some(until) = account.until {
        let _ = write!(line, " until {until}");
    }
    if let Some(reason) = &account.reason {
        let _ = write!(line, " ({reason})");
    }
    if summary.phase == Phase::RollingOut {
        let _ = write!(line, ", batch {} of {}", account.batches_finished + 1, account.batches);
    }
    let hosts = &account.hosts;
    if hosts.total > 0 {
        let _ = write!(line, "  {} of {} hosts done", hosts.done, hosts.total);
        for (number, what) in
            [(hosts.failed, "failed"), (hosts.running, "running"), (hosts.left, "left")]
        {
            if number > 0 {
                let _ = write!(line, ", {number} {what}");
            }
        }
    }
    let _ = write!(line, "  accepted {}, {}", summary.accepted_at, span(account.seconds));
    line
}

/// A deployment in a line, and one for each thing that somebody did to it.
pub(crate) fn entry(account: &Account) -> String {
    let deeds = account.deeds.iter().map(|deed| format!("\n  {}", self::deed(deed)));
    deeds.fold(line(account), |text, deed| text + &deed)
}

/// All of a deployment.
pub(crate) fn whole(account: &Account) -> String {
    let mut text = line(account);
    for (what, value) in [
        ("work order", account.summary.work_order.as_ref().map(ToString::to_string)),
        ("requirement", account.summary.requirement.as_ref().map(requirement)),
        ("requested by", account.requested_by.clone()),
        ("does the rest of", account.retry_of.as_ref().map(ToString::to_string)),
        ("rollout began", account.began_at.map(|at| at.to_string())),
        ("has to be over", account.deadline.map(|at| at.to_string())),
        ("ended", account.finished_at.map(|at| at.to_string())),
    ] {
        if let Some(value) = value {
            let _ = write!(text, "\n  {what}: {value}");
        }
    }
    for id in &account.behind {
        let _ = write!(text, "\n  in line behind {id}");
    }
    for result in &account.results {
        let _ = write!(text, "\n{}", show::host(result));
    }
    for deed in &account.deeds {
        let _ = write!(text, "\n  {}", self::deed(deed));
    }
    if account.waits_for_a_person() {
        text.push_str("\n  it waits for a person");
    }
    text
}

fn requirement(requirement: &Requirement) -> String {
    match &requirement.name {
        Some(name) => format!("{} {name}", requirement.id),
        None => requirement.id.to_string(),
    }
}

/// What somebody did, in a line.
fn deed(deed: &Deed) -> String {
    let mut line = format!("{} {}", deed.at, deed.what.replace('_', " "));
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
        (Some(result), _) => line.push_str(&show::host(result)),
        (None, Some(_)) => {
            let _ = write!(line, "  {}: is being done", record.host);
        }
        (None, None) => {
            let _ = write!(line, "  {}: its turn has not come", record.host);
        }
    }
    if let Some(began) = record.began_at {
        let _ = write!(line, "  began {began}");
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
