//! Our side of a release over SSH, in a process of its own: its words on the command line, its work, and
//! what it says.

use std::path::{Path, PathBuf};
use std::time::Instant;

use deploy_core::model::{HostStatus, ReleaseTask, Target};
use deploy_core::{Context, Event, Executor as _, Fact, FnObserver, ReleaseExecutor};
use deploy_ssh::{Auth, Fingerprint, HostKeys, SshConnector};
use deploy_testkit::SshFleet;

use crate::package::Package;
use crate::release;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What a process of ours is told.
#[derive(Clone, Debug)]
pub struct Ours {
    /// How many hosts at once.
    pub parallel: usize,
    /// How many packages stay on a host: 0 when all are to be sent.
    pub keep_packages: u32,
    /// The hosts.
    pub targets: Vec<Target>,
    /// The key that all hosts let in.
    pub identity: PathBuf,
    /// The fingerprints of the hosts' keys.
    pub pins: Vec<String>,
}

impl Ours {
    /// The hosts of a fleet, all of which are sent the package.
    #[must_use]
    pub fn of(fleet: &SshFleet, parallel: usize) -> Self {
        Self {
            parallel,
            keep_packages: 0,
            targets: fleet.targets("/ours"),
            identity: fleet.identity().to_owned(),
            pins: fleet.hosts().iter().map(deploy_testkit::SshHost::fingerprint).collect(),
        }
    }

    /// The words for [`run`] that release a package, the `number`th one.
    ///
    /// # Errors
    ///
    /// When the task cannot be written.
    pub fn words(
        &self,
        package: &Package,
        number: u64,
        into: &Path,
    ) -> Result<Vec<String>, AnyError> {
        let mut task = release::task(package, self.targets.clone(), number)?;
        task.max_parallel = u32::try_from(self.parallel)?;
        task.release.keep_packages = self.keep_packages;
        let (file, pins) = (into.join("task.json"), into.join("pins"));
        std::fs::write(&file, serde_json::to_vec(&task)?)?;
        std::fs::write(&pins, self.pins.join("\n"))?;
        let paths = [&package.path, &file, &pins, &self.identity];
        let paths = paths.map(|path| path.display().to_string());
        Ok(["release".to_owned()].into_iter().chain(paths).collect())
    }
}

/// The connector of a fleet.
///
/// # Errors
///
/// When it cannot be built.
pub fn connector(pins: &str, identity: &str) -> Result<SshConnector, AnyError> {
    let pins: Vec<Fingerprint> = pins.lines().map(str::parse).collect::<Result<_, _>>()?;
    Ok(SshConnector::builder()
        .host_keys(HostKeys::pinned(pins))
        .auth(Auth::key_file(identity))
        .retries(0)
        .build()?)
}

/// Releases as [`Ours::words`] says. Says when each step of each host began, how each host ended
/// and when, and the peak of its memory.
///
/// # Errors
///
/// When something cannot be read, or a host that answers fails.
pub async fn run(package: &str, task: &str, pins: &str, identity: &str) -> Result<(), AnyError> {
    let begun = Instant::now();
    let task: ReleaseTask = serde_json::from_slice(&std::fs::read(task)?)?;
    let connector = connector(&std::fs::read_to_string(pins)?, identity)?;
    // Its digests are known from the task: nobody reads the package but to send it.
    let package = Package::given(package.into(), &task.package)?;
    let executor = ReleaseExecutor::builder(connector, package.verifier()?).build();
    let observer = FnObserver::new(move |event: &Event| {
        let now = begun.elapsed().as_secs_f64();
        match &event.fact {
            Fact::StepStarted { host, step } => println!("{host} {step} {now:.3}"),
            Fact::HostFinished { result } => {
                println!("{} {:?} {now:.3}", result.host, result.status);
            }
            _ => {}
        }
    });
    let cx = Context::new(task.id.clone()).with_observer(std::sync::Arc::new(observer));
    let report = executor.execute(cx, task).await?;
    println!("peak {}", crate::process::peak_kib(std::process::id()).unwrap_or(0));
    let failed = |host: &&deploy_core::model::HostResult| host.status != HostStatus::Succeeded;
    match report.hosts.iter().find(failed) {
        Some(failed) if report.hosts.iter().filter(failed_at_connect).count() != 1 => {
            Err(format!("{failed:?}").into())
        }
        _ => Ok(()),
    }
}

/// A host that hangs is part of one of the benches.
fn failed_at_connect(host: &&deploy_core::model::HostResult) -> bool {
    host.failure
        .as_ref()
        .is_some_and(|failure| failure.code == deploy_core::FailureCode::HostUnreachable)
}
