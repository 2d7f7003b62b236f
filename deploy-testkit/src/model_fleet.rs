//! Hosts in memory that keep the rules of a release on a host, and break down as they are told.

mod disk;
mod executor;
mod faults;
mod program;
mod session;
mod word;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deploy_core::model::{DeploymentId, HostName, ProjectName, ReleaseId};

use self::disk::Disk;
pub use self::executor::FleetExecutor;
pub use self::faults::{FleetFaults, HostFlaw};
pub use self::word::{HostEffect, HostEvent};
use crate::dice::Dice;

/// Hosts in memory that keep the rules of a release on a host, and break down as they are told.
///
/// Each host has, for each project, releases with their marks, a `current`, a lock with its fencing
/// number, and hooks that are counted. A program installs, rolls back or looks there as the real one
/// does: it refuses older fencing numbers, waits for an earlier attempt at its task, stops where that
/// leaves the host whole when nobody is there any more, and goes back to the release before when the
/// new one fails after the switch. It runs by itself: what reaches it may be lost while it goes on.
///
/// All of it is told to an observer as it happens, so that a test can say what was done where, and in
/// which order. Time is tokio's, which a test pauses; all chance comes from the [`Dice`]. Clones share
/// the hosts.
///
/// ```
/// use deploy_core::{Context, Executor, model::{DeploymentId, Fence, ReleaseTask}};
/// use deploy_testkit::{Dice, FleetFaults, ModelFleet, samples};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let fleet = ModelFleet::new(&Dice::new(7), |event| println!("{event:?}"));
/// let package = samples::package(b"bytes");
/// let (request, hosts) = (samples::request(package.clone()), samples::fleet(1));
/// let (id, deployment) = (samples::task_id("task-1"), DeploymentId::new("deployment-1")?);
/// let task = ReleaseTask::new(id.clone(), deployment, &request, package, hosts, Fence::new(1));
/// let report = fleet.executor().execute(Context::new(id), task).await?;
/// assert!(report.succeeded());
/// let serves = fleet.current(&samples::host(1), &samples::project("checkout"));
/// assert_eq!(serves.unwrap().as_str(), "deployment-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ModelFleet {
    shared: Arc<Shared>,
}

struct Shared {
    dice: Dice,
    state: Mutex<State>,
    observer: Box<dyn Fn(HostEvent) + Send + Sync>,
}

#[derive(Debug, Default)]
struct State {
    disks: BTreeMap<(HostName, ProjectName), Disk>,
    faults: FleetFaults,
    flaw: Option<HostFlaw>,
    down: BTreeSet<HostName>,
    spoiled: BTreeSet<DeploymentId>,
    programs: u64,
}

impl fmt::Debug for ModelFleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelFleet").finish_non_exhaustive()
    }
}

impl ModelFleet {
    /// Makes a fleet in which every host works. `observer` is told what happens on the hosts.
    pub fn new(dice: &Dice, observer: impl Fn(HostEvent) + Send + Sync + 'static) -> Self {
        let (dice, observer) = (dice.fork("fleet"), Box::new(observer));
        Self { shared: Arc::new(Shared { dice, state: Mutex::default(), observer }) }
    }

    /// The executor of a node that reaches the hosts.
    #[must_use]
    pub fn executor(&self) -> FleetExecutor {
        FleetExecutor::new(Arc::clone(&self.shared))
    }

    /// Sets what breaks, and how often, from now on.
    pub fn set_faults(&self, faults: FleetFaults) {
        self.shared.lock().faults = faults;
    }

    /// Gives every host a flaw, to see whether a test notices.
    pub fn set_flaw(&self, flaw: HostFlaw) {
        self.shared.lock().flaw = Some(flaw);
    }

    /// Takes a host down, or up again. What runs there goes on; nobody reaches it.
    pub fn set_down(&self, host: &HostName, down: bool) {
        let mut state = self.shared.lock();
        if down {
            state.down.insert(host.clone())
        } else {
            state.down.remove(host)
        };
    }

    /// Lets the release of a deployment fail on every host after the switch.
    pub fn spoil(&self, deployment: DeploymentId) {
        self.shared.lock().spoiled.insert(deployment);
    }

    /// Lets a host serve a release that is good, from before anything is deployed.
    pub fn serve(&self, host: &HostName, project: &ProjectName, release: ReleaseId) {
        let mut state = self.shared.lock();
        state.disks.entry((host.clone(), project.clone())).or_default().begin_with(release);
    }

    /// The release that a host serves for a project.
    #[must_use]
    pub fn current(&self, host: &HostName, project: &ProjectName) -> Option<ReleaseId> {
        let key = (host.clone(), project.clone());
        self.shared.lock().disks.get(&key)?.current.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
