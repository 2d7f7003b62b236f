//! Carrying out release tasks on hosts that are reached directly.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::hosts::visit_all;
use super::job::{Bundle, Job, JobWork, Probing, Settings};
use super::place::failure_of;
use super::report::Reporter;
use crate::archive::{self, Interrupt, PackageContents, UnpackLimits};
use crate::cancel::CancelToken;
use crate::connector::Connector;
use crate::context::Context;
use crate::executor::{ExecuteError, Executor};
use crate::failure::{Failure, FailureCode};
use crate::model::{ProbedFrom, ReleaseAction, ReleaseReport, ReleaseTask, Sha256Digest};
use crate::prober::Prober;
use crate::verifier::{VerifiedPackage, Verifier, VerifyError};

/// Installs releases on hosts that a [`Connector`] reaches, undoes them, and looks at what is there.
///
/// It does as the task's [`action`](ReleaseTask::action) says, on at most
/// [`max_parallel`](ReleaseTask::max_parallel) hosts at a time, over one session and with one run of
/// one program a host. A package is fetched and inspected once, and only to be installed. How a release
/// is laid out, and undone: see the [module](crate::release).
///
/// ```
/// # fn example(
/// #     verifier: impl deploy_core::Verifier, prober: impl deploy_core::Prober,
/// # ) -> deploy_core::SchemeExecutor {
/// use deploy_core::{LocalConnector, ReleaseExecutor, SchemeConnector, SchemeExecutor};
///
/// // More connectors come beside it, such as deploy-ssh's for the scheme "ssh".
/// let connector = SchemeConnector::new().with("local", LocalConnector::new());
/// // The prober asks the monitoring addresses of requests; deploy-http has one, and the verifier.
/// let releases = ReleaseExecutor::builder(connector, verifier).prober(prober).build();
/// SchemeExecutor::new().with("local", releases)
/// # }
/// ```
///
/// # Cancellation
///
/// Hosts that have not begun are `NotStarted`. On the others the program stops and puts the host
/// back. When the future is dropped, the hosts are stopped in the same way, in the background.
#[derive(Clone, Debug)]
pub struct ReleaseExecutor {
    connector: Arc<dyn Connector>,
    verifier: Arc<dyn Verifier>,
    prober: Option<Arc<dyn Prober>>,
    settings: Settings,
    last: Arc<Mutex<Option<Inspected>>>,
}

/// The package that was inspected last: the hosts of a batch come in several tasks.
#[derive(Debug)]
struct Inspected {
    sha256: Sha256Digest,
    file_name: String,
    contents: PackageContents,
}

impl ReleaseExecutor {
    /// Starts from what reaches hosts and what fetches packages.
    pub fn builder(connector: impl Connector, verifier: impl Verifier) -> ReleaseExecutorBuilder {
        ReleaseExecutorBuilder(Self {
            connector: Arc::new(connector),
            verifier: Arc::new(verifier),
            prober: None,
            settings: Settings {
                limits: UnpackLimits::default(),
                margin: 64 << 20,
                node: "an unnamed node".to_owned(),
            },
            last: Arc::default(),
        })
    }

    /// The monitor and who asks it, when the task has one; refuses what could not be asked.
    fn probing(&self, task: &ReleaseTask) -> Result<Option<Probing>, ExecuteError> {
        let rejected = |reason: String| ExecuteError::Rejected { reason };
        let asked = task.action != ReleaseAction::Inspect;
        let Some(monitor) = task.monitor.as_ref().filter(|_| asked) else {
            return match task.action {
                ReleaseAction::Probe => {
                    Err(rejected("the task has no monitoring address".to_owned()))
                }
                _ => Ok(None),
            };
        };
        let prober = match (monitor.from, &self.prober) {
            (ProbedFrom::Host, _) => None,
            (ProbedFrom::Node, Some(prober)) => Some(Arc::clone(prober)),
            (ProbedFrom::Node, None) => {
                let reason = "the task has a monitoring address, and this executor has no prober";
                return Err(rejected(reason.to_owned()));
            }
        };
        for host in &task.hosts {
            let url = monitor.url_for(&host.host, &host.address);
            url.map_err(|invalid| {
                rejected(format!("the monitoring address of {}: {invalid}", host.host))
            })?;
        }
        Ok(Some(Probing { monitor: monitor.clone(), prober }))
    }

    /// The package, fetched, checked and looked through.
    async fn bundle(&self, cx: &Context, task: &ReleaseTask) -> Result<Bundle, ExecuteError> {
        let package = self.fetch(cx, task).await?;
        let contents = self.inspect(cx, &package).await?;
        Ok(Bundle { package, contents })
    }

    async fn fetch(
        &self,
        cx: &Context,
        task: &ReleaseTask,
    ) -> Result<VerifiedPackage, ExecuteError> {
        let fetched = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(ExecuteError::Cancelled),
            fetched = self.verifier.verify(cx.clone(), task.package.clone()) => fetched,
        };
        // What the verifier says it found is held against what was asked for once more.
        let fetched = fetched.and_then(|package| {
            VerifyError::check(&task.package, &package.digests).map(|()| package)
        });
        fetched.map_err(|error| match error {
            VerifyError::Cancelled => ExecuteError::Cancelled,
            error => refused(Failure::from(&error)),
        })
    }

    /// What the package holds, when it is the one that was inspected last.
    fn inspected(&self, package: &VerifiedPackage) -> Option<PackageContents> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |last: &&Inspected| {
            last.sha256 == package.digests.sha256 && last.file_name == package.file_name
        };
        last.as_ref().filter(same).map(|last| last.contents.clone())
    }

    async fn inspect(
        &self,
        cx: &Context,
        package: &VerifiedPackage,
    ) -> Result<PackageContents, ExecuteError> {
        if let Some(contents) = self.inspected(package) {
            return Ok(contents);
        }
        let (sha256, file_name) = (package.digests.sha256, package.file_name.clone());
        let interrupt = Interrupt::new();
        let (limits, flag, package) =
            (self.settings.limits.clone(), interrupt.clone(), package.clone());
        let inspecting = tokio::task::spawn_blocking(move || {
            archive::inspect(&package.file, &package.file_name, &limits, &flag)
        });
        let guard = RaiseOnDrop(interrupt);
        let inspected = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(ExecuteError::Cancelled),
            inspected = inspecting => inspected,
        };
        drop(guard);
        match inspected {
            Ok(Ok(contents)) => {
                let last = Inspected { sha256, file_name, contents: contents.clone() };
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
                Ok(contents)
            }
            Ok(Err(error)) => Err(refused(failure_of(&error))),
            Err(_) => {
                Err(refused(Failure::new(FailureCode::Internal, "inspecting the package panicked")))
            }
        }
    }
}

/// An error that says that no host was touched: what an attempt before this one did is not known.
fn after_another(cx: &Context, error: ExecuteError) -> ExecuteError {
    if cx.attempt <= 1 {
        return error;
    }
    ExecuteError::Lost { endpoint: "an earlier attempt".to_owned(), source: Box::new(error) }
}

fn refused(failure: Failure) -> ExecuteError {
    ExecuteError::Package { failure: Box::new(failure) }
}

/// Stops a thread when nobody waits for it any more.
#[derive(Debug)]
struct RaiseOnDrop(Interrupt);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// Stops the hosts, and reports nothing more, when nobody waits for the task any longer.
#[derive(Debug)]
struct StopOnDrop {
    cancel: CancelToken,
    reporter: Reporter,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.reporter.close();
        self.cancel.cancel("nobody waits for the task any longer");
    }
}

#[async_trait]
impl Executor for ReleaseExecutor {
    async fn execute(&self, cx: Context, task: ReleaseTask) -> Result<ReleaseReport, ExecuteError> {
        let probing = self.probing(&task)?;
        let fence = task.fence.for_attempt(cx.attempt);
        if i64::try_from(fence.number()).is_err() {
            let reason = format!("the fencing number {fence} is larger than hosts can compare");
            return Err(ExecuteError::Rejected { reason });
        }
        let work = match &task.action {
            ReleaseAction::Install => {
                let bundle = self.bundle(&cx, &task).await;
                JobWork::Install(bundle.map_err(|error| after_another(&cx, error))?)
            }
            ReleaseAction::Rollback { release, to } => {
                JobWork::Rollback { release: release.clone(), to: to.clone() }
            }
            ReleaseAction::Inspect => JobWork::Inspect,
            ReleaseAction::Probe => JobWork::Probe,
        };
        let job = Job {
            fence,
            work,
            probing,
            connector: Arc::clone(&self.connector),
            settings: self.settings.clone(),
            task,
        };
        let reporter = Reporter::new(cx.clone());
        let cx = Context { cancel: cx.cancel.child(), ..cx };
        let stop = StopOnDrop { cancel: cx.cancel.clone(), reporter: reporter.clone() };
        let results = visit_all(Arc::new(job), &cx, &reporter).await;
        drop(stop);
        Ok(ReleaseReport::new(results))
    }
}

/// Builds a [`ReleaseExecutor`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ReleaseExecutorBuilder(ReleaseExecutor);

impl ReleaseExecutorBuilder {
    /// Sets who asks monitoring addresses from this node. Without one, tasks with a monitor are refused
    /// that their hosts do not ask themselves.
    pub fn prober(mut self, prober: impl Prober) -> Self {
        self.0.prober = Some(Arc::new(prober));
        self
    }

    /// Sets how much a package may hold.
    pub fn limits(mut self, limits: UnpackLimits) -> Self {
        self.0.settings.limits = limits;
        self
    }

    /// Sets how many bytes stay free on a host beyond what a release needs: 64 MiB by default, so
    /// that logs and the release itself have room to begin with.
    pub fn free_space(mut self, bytes: u64) -> Self {
        self.0.settings.margin = bytes;
        self
    }

    /// Sets the name of this node, which hosts show to whoever finds them locked.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.0.settings.node = name.into();
        self
    }

    /// Builds the executor.
    #[must_use]
    pub fn build(self) -> ReleaseExecutor {
        self.0
    }
}
