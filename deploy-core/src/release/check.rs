//! Asking a host whether it is still healthy, and changing nothing.

use super::ask::Asker;
use super::drive::stop_of;
use super::job::Job;
use super::probe::look_after;
use super::report::Reporter;
use super::visit::{failed, reach};
use crate::context::Context;
use crate::event::Fact;
use crate::failure::{Failure, FailureCode};
use crate::model::{HostResult, HostStatus, Target};
use crate::release_step::Step;

/// Asks a host. `cx` has the host's own deadline. Only a host that asks itself is connected to.
pub(crate) async fn check(
    job: &Job,
    cx: Context,
    target: &Target,
    reporter: &Reporter,
) -> HostResult {
    let internal = || Failure::new(FailureCode::Internal, "there is no monitor to ask");
    let Some(probing) = &job.probing else {
        return failed(target, internal(), HostStatus::Failed);
    };
    let asker = match probing.node() {
        Some(asker) => asker,
        None => match reach(job, &cx, target, reporter).await {
            Ok(session) => Asker::Host(session),
            Err(result) => return *result,
        },
    };
    let (host, step) = (target.host.clone(), Step::Probe);
    reporter.report(Fact::StepStarted { host: host.clone(), step });
    let monitor = &probing.monitor;
    let looked = match monitor.url_for(&target.host, &target.address) {
        Ok(url) => tokio::select! {
            biased;
            stop = stop_of(&cx, job) => Err(stop),
            looked = look_after(cx.clone(), &asker, monitor, url) => looked,
        },
        Err(invalid) => Err(Failure::of(FailureCode::Invalid, &invalid)),
    };
    match looked {
        Ok(()) => {
            reporter.report(Fact::StepFinished { host: host.clone(), step, note: None });
            HostResult::new(host, HostStatus::Checked)
        }
        Err(failure) => {
            let cancelled = failure.code == FailureCode::Cancelled;
            let status = if cancelled { HostStatus::Cancelled } else { HostStatus::Failed };
            failed(target, failure.with_step(step), status)
        }
    }
}
