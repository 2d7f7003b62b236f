//! What a person may do to a deployment as it is now, and what that would mean: for whoever is on call.

use deploy_core::model::HostStatus;
use deploy_core::{BatchHold, FailureCode, Phase, Subject, TaskState};
use serde::{Deserialize, Serialize};

/// Something that a person may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Advice {
    /// The command of the release bot.
    pub(crate) command: String,
    /// What it would do.
    pub(crate) what: String,
}

/// What a person may do to a deployment that does not go on by itself, or has not ended well.
pub(crate) fn of(state: &TaskState) -> Vec<Advice> {
    let Subject::Deployment { request, .. } = &state.subject else { return Vec::new() };
    let is_back = request.rollback.is_some() || state.rollback.is_some();
    let serving = state.results().filter(|r| r.status == HostStatus::Succeeded).count();
    let aim = if is_back { HostStatus::RolledBack } else { HostStatus::Succeeded };
    let unmet = || state.results().filter(|r| r.status != aim && !state.is_skipped(&r.host));
    let failed = unmet().filter(|result| result.status != HostStatus::NotStarted).count();
    let unmet = unmet().count();
    let failed_canary = state.gap.as_ref().is_some_and(|gap| gap.hold == BatchHold::FailedCanary);
    let mut all = Vec::new();
    let mut may = |command: &str, what: String| {
        all.push(Advice { command: command.to_owned(), what });
    };
    match state.phase {
        Phase::Finished
            if is_back && state.outcome != Some(deploy_core::model::Outcome::RolledBack) =>
        {
            may("retry", format!("puts back what is left ({})", hosts(unmet)));
        }
        Phase::Finished if is_back => {}
        Phase::Finished => {
            let package = state.failure.as_ref().is_some_and(|failure| {
                matches!(
                    failure.code,
                    FailureCode::PackageUnavailable
                        | FailureCode::DigestMismatch
                        | FailureCode::PackageRefused
                )
            });
            if unmet > 0 {
                let whose = if package { ", with the same URL and digests" } else { "" };
                let what = format!(
                    "does what does not serve it ({}), as a new deployment{whose}",
                    hosts(unmet)
                );
                may("retry", what);
            }
            if unmet > 0 && serving > 0 {
                may("rollback", format!("puts back what serves it ({})", hosts(serving)));
            }
        }
        Phase::Paused => {
            if failed > 0 {
                may("retry", format!("does what failed again ({}), and goes on", hosts(failed)));
            }
            may("resume", "goes on with the hosts that are left".to_owned());
            if state.began && !is_back {
                may("rollback", "puts all its hosts back".to_owned());
            }
            may("cancel", "ends it; hosts that serve the release keep it".to_owned());
        }
        Phase::Held if state.gap.as_ref().is_some_and(|gap| gap.until.is_none()) => {
            let what = if failed_canary {
                "lets the rest follow nonetheless"
            } else {
                "lets the rest follow"
            };
            may("promote", what.to_owned());
            may("rollback", "puts the canary back".to_owned());
            may("cancel", "ends it; hosts that serve the release keep it".to_owned());
        }
        _ => {}
    }
    all
}

fn hosts(count: usize) -> String {
    match count {
        1 => "1 host".to_owned(),
        _ => format!("{count} hosts"),
    }
}
