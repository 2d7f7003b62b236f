//! A plan as people read it.

use std::fmt::Write as _;
use std::path::Path;

use deploy_core::model::HostName;
use deploy_core::{Plan, PlannedChange, PlannedHost};
use deploy_examples::show;

/// All of a plan, which was written to a file where one is given.
pub(crate) fn whole(plan: &Plan, file: Option<&Path>) -> String {
    let request = &plan.request;
    let id = plan.deployment().map_or("?", |id| id.as_str());
    let mut text = format!("plan of {id} for {}/{}", request.business, request.project);
    if let Some(rollback) = &request.rollback {
        let _ = write!(
            text,
            ", which undoes {} and puts its hosts back to {}",
            rollback.of, rollback.to
        );
    }
    match &plan.package {
        Some(package) => {
            let (size, md5, sha256) = (package.size, package.md5, package.sha256);
            let _ = write!(
                text,
                "\n  package: {}, {size} bytes\n    md5 {md5}\n    sha256 {sha256}",
                request.package.url
            );
        }
        None => text.push_str("\n  no package is fetched"),
    }
    if let Some(reason) = &plan.refused {
        let _ = write!(text, "\n  it would be refused: {reason}");
    }
    for reason in &plan.waits_for {
        let _ = write!(text, "\n  it would wait for {reason}");
    }
    for (number, hosts) in (1..).zip(&plan.batches) {
        let hosts: Vec<_> = hosts.iter().map(HostName::as_str).collect();
        let _ = write!(text, "\n  batch {number} of {}: {}", plan.batches.len(), hosts.join(", "));
    }
    for host in &plan.hosts {
        let _ = write!(text, "\n  {}", self::host(host));
    }
    for planned in &plan.hooks {
        let _ = write!(text, "\n  {} on each host", planned.point);
        if let Some(user) = &planned.hook.user {
            let _ = write!(text, ", as {user}");
        }
        let _ = write!(text, ": {}", planned.hook.run);
    }
    let _ = write!(text, "\n  good until {}", show::time(plan.valid_until));
    if let Some(file) = file {
        let _ = write!(text, ": release_bot apply {}", file.display());
    }
    text
}

fn host(host: &PlannedHost) -> String {
    let target = &host.target;
    let mut text = format!("{} by {}, {}: ", target.host, target.endpoint, target.root);
    match (&host.change, &host.failure) {
        (Some(change), _) => text.push_str(&self::change(change)),
        (None, Some(failure)) => {
            let _ = write!(text, "cannot be looked at: {failure}");
        }
        (None, None) => text.push_str("is not known"),
    }
    if let Some(found) = &host.found {
        if let Some(locked) = &found.locked {
            let _ = write!(text, "; locked: {locked}");
        }
        if let Some(free) = found.free {
            let _ = write!(text, "; {} MiB free", free / (1024 * 1024));
        }
    }
    text
}

fn change(change: &PlannedChange) -> String {
    let name = |release: &Option<deploy_core::model::ReleaseId>| {
        release.as_ref().map_or("nothing of ours".to_owned(), ToString::to_string)
    };
    let (from, to) = (name(&change.from), name(&change.to));
    match change.same_package {
        _ if change.from == change.to => format!("serves {from}, and stays so"),
        true => format!("{from} -> {to}, the same package"),
        false => format!("{from} -> {to}"),
    }
}
