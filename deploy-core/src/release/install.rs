//! One release on one host: connects, writes the program, and has it run.

use std::sync::Arc;

use uuid::Uuid;

use super::drive::{Drive, deadline};
use super::job::Job;
use super::place::Placing;
use super::report::Reporter;
use super::script::HostPlan;
use super::state::HostRun;
use crate::archive::Interrupt;
use crate::connector::{ConnectError, Session};
use crate::context::Context;
use crate::event::Fact;
use crate::failure::{Failure, FailureCode};
use crate::model::{HostPath, HostResult, HostStatus, ReleaseId, Target};
use crate::release_step::Step;

/// Installs the release on a host. `cx` has the host's own deadline.
pub(crate) async fn install(
    job: Arc<Job>,
    cx: Context,
    target: Target,
    reporter: Reporter,
) -> HostResult {
    let host = target.host.clone();
    let failed = |failure: Failure, status| {
        HostResult::failed(host.clone(), status, failure.with_host(host.clone()))
    };
    let step = Step::Connect;
    reporter.report(Fact::StepStarted { host: host.clone(), step });
    let session = match connect(&job, &cx, &target).await {
        Ok(session) => session,
        Err(ConnectError::Cancelled) => {
            return failed(cx.cancel.failure().with_step(step), HostStatus::Cancelled);
        }
        Err(error) => {
            return failed(Failure::from(&error).with_step(step), HostStatus::Failed);
        }
    };
    reporter.report(Fact::StepFinished { host: host.clone(), step, note: None });
    let run = Uuid::now_v7().simple().to_string();
    let placing = placing(&job, &*session, &target, &run);
    let root = session.local_path(&target.root);
    let root = root.as_deref().map_or(Some(target.root.as_str()), |path| path.to_str());
    let nonce = Uuid::now_v7().simple().to_string();
    let plan = HostPlan {
        task: &job.task,
        target: &target,
        package: &job.package,
        contents: &job.contents,
        root: root.unwrap_or(target.root.as_str()),
        in_process: placing.is_some(),
        fence: job.fence,
        node: &job.settings.node,
        margin: job.settings.margin,
        run: &run,
        nonce: &nonce,
    };
    let script = match plan.script() {
        Ok(script) => script,
        Err(error) => {
            let failure = Failure::of(FailureCode::Invalid, &error);
            return failed(failure, HostStatus::Failed);
        }
    };
    let state = HostRun::new(host, ReleaseId::from(&job.task.deployment), placing.is_some());
    let drive = Drive::new(job, cx, target, reporter, placing);
    drive.run(state, session, script, &nonce).await
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
        () = deadline(cx) => Err(late()),
        session = job.connector.connect(cx.clone(), target.clone()) => session,
    }
}

/// Where to unpack in process, when our code runs on the host.
fn placing(job: &Job, session: &dyn Session, target: &Target, run: &str) -> Option<Placing> {
    let incoming = format!("{}/{}", target.root, HostPlan::incoming(run));
    let into = session.local_path(&HostPath::new(incoming).ok()?)?;
    Some(Placing {
        package: job.package.clone(),
        contents: job.contents.clone(),
        limits: job.settings.limits.clone(),
        into,
        interrupt: Interrupt::new(),
    })
}
