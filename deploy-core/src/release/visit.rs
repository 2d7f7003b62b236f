//! One task on one host: connects, writes the program, and has it run.

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::check::check;
use super::confirm::Pass;
use super::drive::Drive;
use super::job::{Job, JobWork};
use super::place::Placing;
use super::report::Reporter;
use super::script::{HostPlan, Work};
use super::state::{Aim, HostRun};
use crate::archive::Interrupt;
use crate::connector::{ConnectError, Session};
use crate::context::Context;
use crate::event::Fact;
use crate::failure::{Failure, FailureCode};
use crate::model::{HostPath, HostResult, HostStatus, ReleaseId, Target};
use crate::release_step::Step;

/// Does on a host what the task says. `cx` has the host's own deadline.
pub(crate) async fn visit(
    job: Arc<Job>,
    cx: Context,
    target: Target,
    reporter: Reporter,
) -> HostResult {
    if matches!(job.work, JobWork::Probe) {
        return check(&job, cx, &target, &reporter).await;
    }
    let session = match reach(&job, &cx, &target, &reporter).await {
        Ok(session) => session,
        Err(result) => return *result,
    };
    let run = Uuid::now_v7().simple().to_string();
    let placing = placing(&job, &*session, &target, &run);
    let root = session.local_path(&target.root);
    let Some(root) = root.as_deref().map_or(Some(target.root.as_str()), Path::to_str) else {
        let failure = Failure::new(FailureCode::Invalid, "the path of the root there is no text");
        return failed(&target, failure, HostStatus::Failed);
    };
    let nonce = Uuid::now_v7().simple().to_string();
    let pass = Pass { run, token: Uuid::now_v7().simple().to_string(), root: root.to_owned() };
    let (work, aim) = work(&job, &pass, placing.is_some());
    let plan = HostPlan {
        task: &job.task,
        target: &target,
        work,
        root: &pass.root,
        fence: job.fence,
        node: &job.settings.node,
        run: &pass.run,
        nonce: &nonce,
    };
    let script = match plan.script() {
        Ok(script) => script,
        Err(error) => {
            let failure = Failure::of(FailureCode::Invalid, &error);
            return failed(&target, failure, HostStatus::Failed);
        }
    };
    let state = HostRun::new(target.host.clone(), aim);
    let drive = Drive::new(job, cx, target, session, reporter, placing, pass);
    drive.run(state, script, &nonce).await
}

pub(crate) fn failed(target: &Target, failure: Failure, status: HostStatus) -> HostResult {
    let host = target.host.clone();
    HostResult::failed(host.clone(), status, failure.with_host(host))
}

/// Connects to a host, as the first step; gives how the host ended when that does not work.
pub(crate) async fn reach(
    job: &Job,
    cx: &Context,
    target: &Target,
    reporter: &Reporter,
) -> Result<Arc<dyn Session>, Box<HostResult>> {
    let (host, step) = (target.host.clone(), Step::Connect);
    reporter.report(Fact::StepStarted { host: host.clone(), step });
    let (failure, status) = match connect(job, cx, target).await {
        Ok(session) => {
            reporter.report(Fact::StepFinished { host, step, note: None });
            return Ok(session.into());
        }
        Err(ConnectError::Cancelled) => (cx.cancel.failure(), HostStatus::Cancelled),
        Err(error) => (Failure::from(&error), HostStatus::Failed),
    };
    let status = job.out_of_reach(cx, status);
    Err(Box::new(failed(target, failure.with_step(step), status)))
}

/// What the program does, and what it aims at.
fn work<'a>(job: &'a Job, pass: &'a Pass, in_process: bool) -> (Work<'a>, Aim) {
    match &job.work {
        JobWork::Install(bundle) => {
            let release = ReleaseId::from(&job.task.deployment);
            let work = Work::Install {
                bundle,
                in_process,
                token: &pass.token,
                margin: job.settings.margin,
            };
            (
                work,
                Aim::Install { release, in_process, confirm: job.task.release.confirm.is_some() },
            )
        }
        JobWork::Rollback { release, to } => (Work::Rollback { release, to }, Aim::Rollback),
        JobWork::Inspect | JobWork::Probe => (Work::Inspect, Aim::Inspect),
    }
}

/// Connects, by the deadline, unless the work is cancelled.
async fn connect(
    job: &Job,
    cx: &Context,
    target: &Target,
) -> Result<Box<dyn Session>, ConnectError> {
    let late = || ConnectError::TimedOut { endpoint: target.endpoint.to_string() };
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(ConnectError::Cancelled),
        () = cx.deadline_passed() => Err(late()),
        session = job.connector.connect(cx.clone(), target.clone()) => session,
    }
}

/// Where to unpack in process, when our code runs on the host.
fn placing(job: &Job, session: &dyn Session, target: &Target, run: &str) -> Option<Placing> {
    let JobWork::Install(bundle) = &job.work else {
        return None;
    };
    let incoming = format!("{}/{}", target.root, HostPlan::incoming(run));
    let into = session.local_path(&HostPath::new(incoming).ok()?)?;
    Some(Placing {
        bundle: bundle.clone(),
        limits: job.settings.limits.clone(),
        into,
        interrupt: Interrupt::new(),
    })
}
