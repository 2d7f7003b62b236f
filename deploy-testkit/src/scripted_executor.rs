//! An executor that does on each host what a script says.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_core::model::{
    FoundRelease, HostFound, HostName, HostResult, HostStatus, ReleaseAction, ReleaseId,
    ReleaseReport, ReleaseState, ReleaseTask, TaskId,
};
use deploy_core::{
    Clock, Context, ExecuteError, Executor, Fact, Failure, FailureCode, SystemClock,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::host_script::HostScript;

/// An executor that does on each host what a script says, and counts.
///
/// A host without a script succeeds. It keeps the contract of [`Executor`]: a task that comes again
/// does not touch the hosts that are done; hosts are done `max_parallel` at once; a cancelled task
/// starts no further host. Clones share everything, so a test keeps one to look at.
///
/// Scripts are played for what changes a host: installations, and rollbacks, which go back to the
/// release that the host served before. What only looks at hosts plays none: an inspection tells what
/// was installed so far, a probe finds a host healthy until [`sicken`](Self::sicken).
///
/// ```
/// use deploy_core::FailureCode;
/// use deploy_testkit::{HostScript, ScriptedExecutor, samples};
///
/// let executor = ScriptedExecutor::new()
///     .with_host(samples::host(1), HostScript::fail(FailureCode::Unhealthy))
///     .with_host(samples::host(2), HostScript::hang());
/// assert_eq!(executor.executions(&samples::host(1)), 0);
/// ```
#[derive(Clone, Debug)]
pub struct ScriptedExecutor {
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts up whenever a host's state changes, for those who wait for one.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    scripts: HashMap<HostName, VecDeque<HostScript>>,
    errors: VecDeque<ExecuteError>,
    tasks: Vec<ReleaseTask>,
    executions: HashMap<HostName, u32>,
    hanging: Vec<HostName>,
    released: HashMap<HostName, u32>,
    done: HashMap<(TaskId, HostName), HostResult>,
    /// What each host has served so far, the last one now.
    served: HashMap<HostName, Vec<ReleaseId>>,
    sick: HashSet<HostName>,
    running: usize,
    most_running: usize,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("executions", &self.executions)
            .field("hanging", &self.hanging)
            .finish_non_exhaustive()
    }
}

impl Default for ScriptedExecutor {
    fn default() -> Self {
        Self::new()
    }
}

impl ScriptedExecutor {
    /// Succeeds on every host, at once.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared { state: Mutex::default(), changes: watch::Sender::new(0) };
        Self { clock: Arc::new(SystemClock::new()), shared: Arc::new(shared) }
    }

    /// Takes the scripts' delays from a clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Adds a script for a host. Several are played one after another; the last one stays.
    #[must_use]
    pub fn with_host(self, host: HostName, script: HostScript) -> Self {
        self.script(host, script);
        self
    }

    /// Answers the next task with an error, before it touches a host. Several come in turn.
    #[must_use]
    pub fn with_error(self, error: ExecuteError) -> Self {
        self.shared.lock().errors.push_back(error);
        self
    }

    /// Adds a script for a host while the executor is in use.
    pub fn script(&self, host: HostName, script: HostScript) {
        let mut state = self.shared.lock();
        state.scripts.entry(host).or_default().push_back(script);
    }

    /// A host is found unhealthy from now on, whoever asks.
    pub fn sicken(&self, host: &HostName) {
        self.shared.lock().sick.insert(host.clone());
    }

    /// The release that a host serves.
    #[must_use]
    pub fn serves(&self, host: &HostName) -> Option<ReleaseId> {
        self.shared.lock().served.get(host).and_then(|served| served.last().cloned())
    }

    /// How often work on a host was begun.
    #[must_use]
    pub fn executions(&self, host: &HostName) -> u32 {
        self.shared.lock().executions.get(host).copied().unwrap_or(0)
    }

    /// The tasks that came, in order, those that came again included.
    #[must_use]
    pub fn tasks(&self) -> Vec<ReleaseTask> {
        self.shared.lock().tasks.clone()
    }

    /// How many hosts were worked on at once at most.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.shared.lock().most_running
    }

    /// Waits until a host hangs as its script says.
    pub async fn hanging(&self, host: &HostName) {
        let hangs = |state: &State| state.hanging.contains(host);
        self.shared.until(hangs).await;
    }

    /// Lets a host that hangs, or the next time it would, go on.
    pub fn release(&self, host: &HostName) {
        let mut state = self.shared.lock();
        *state.released.entry(host.clone()).or_default() += 1;
        drop(state);
        self.shared.changed();
    }

    /// Plays the script of one host.
    async fn play(&self, cx: &Context, task: &ReleaseTask, host: HostName) -> HostResult {
        let id = (task.id.clone(), host.clone());
        if let Some(done) = self.shared.lock().done.get(&id) {
            return done.clone();
        }
        if cx.cancel.is_cancelled() {
            return HostResult::failed(host, HostStatus::NotStarted, cx.cancel.failure());
        }
        if let Some(looked) = self.shared.look(&task.action, &host) {
            return looked;
        }
        let script = self.shared.begin(&host);
        cx.report(Fact::HostStarted { host: host.clone() });
        let _running = Running::new(&self.shared);
        tokio::select! {
            biased;
            () = self.follow(cx, &host, &script) => {}
            () = cx.cancel.cancelled() => {
                return HostResult::failed(host, HostStatus::Cancelled, cx.cancel.failure());
            }
        }
        let result = match (script.status, script.failure) {
            (HostStatus::Succeeded, _) => self.shared.well(task, host),
            (status, Some(failure)) => HostResult::failed(host, status, failure),
            (status, None) => HostResult::new(host, status),
        };
        self.shared.lock().done.insert(id, result.clone());
        result
    }

    async fn follow(&self, cx: &Context, host: &HostName, script: &HostScript) {
        for &step in &script.steps {
            let host = host.clone();
            cx.report(Fact::StepStarted { host: host.clone(), step });
            cx.report(Fact::StepFinished { host, step, note: None });
        }
        if !script.delay.is_zero() {
            self.clock.sleep_until(self.clock.now().plus(script.delay)).await;
        }
        if script.hangs {
            let _hanging = Hanging::new(&self.shared, host);
            self.shared.until_released(host).await;
        }
    }
}

#[async_trait]
impl Executor for ScriptedExecutor {
    async fn execute(&self, cx: Context, task: ReleaseTask) -> Result<ReleaseReport, ExecuteError> {
        let error = {
            let mut state = self.shared.lock();
            state.tasks.push(task.clone());
            state.errors.pop_front()
        };
        if let Some(error) = error {
            return Err(error);
        }
        let at_once = usize::try_from(task.max_parallel).unwrap_or(usize::MAX).max(1);
        let room = Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)));
        let mut hosts = JoinSet::new();
        for (index, target) in task.hosts.iter().enumerate() {
            let (this, cx, task) = (self.clone(), cx.clone(), task.clone());
            let (host, room) = (target.host.clone(), Arc::clone(&room));
            hosts.spawn(async move {
                // The semaphore is never closed, so there is always a permit in the end.
                let _permit = room.acquire_owned().await;
                let result = this.play(&cx, &task, host).await;
                cx.report(Fact::HostFinished { result: result.clone() });
                (index, result)
            });
        }
        let mut results = Vec::new();
        while let Some(joined) = hosts.join_next().await {
            results.push(joined.map_err(|source| ExecuteError::Lost {
                endpoint: "the scripted fleet".to_owned(),
                source: Box::new(source),
            })?);
        }
        results.sort_by_key(|(index, _)| *index);
        Ok(ReleaseReport::new(results.into_iter().map(|(_, result)| result).collect()))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// What there is to see on a host, for an action that changes nothing.
    fn look(&self, action: &ReleaseAction, host: &HostName) -> Option<HostResult> {
        let state = self.lock();
        let mut result = HostResult::new(host.clone(), action.aim());
        match action {
            ReleaseAction::Probe if state.sick.contains(host) => {
                let failure = Failure::new(FailureCode::Unhealthy, "it was made sick");
                Some(HostResult::failed(host.clone(), HostStatus::Failed, failure))
            }
            ReleaseAction::Probe => Some(result),
            ReleaseAction::Inspect => {
                let served = state.served.get(host).into_iter().flatten().rev();
                let release = |id: &ReleaseId| FoundRelease::new(id.clone(), ReleaseState::Good);
                let mut found = HostFound::default();
                found.releases = served.map(release).collect();
                found.current = found.releases.first().map(|release| release.release.clone());
                result.found = Some(Box::new(found));
                Some(result)
            }
            _ => None,
        }
    }

    /// What becomes of a host on which all goes well.
    fn well(&self, task: &ReleaseTask, host: HostName) -> HostResult {
        let mut state = self.lock();
        let served = state.served.entry(host.clone()).or_default();
        if let ReleaseAction::Rollback { release, .. } = &task.action {
            if served.last() == Some(release) {
                served.pop();
            }
            let mut result = HostResult::new(host, HostStatus::RolledBack);
            result.serves = served.last().cloned();
            return result;
        }
        let release = ReleaseId::from(&task.deployment);
        served.push(release.clone());
        HostResult::succeeded(host, release)
    }

    /// Counts an execution, and takes the script of it.
    fn begin(&self, host: &HostName) -> HostScript {
        let mut state = self.lock();
        *state.executions.entry(host.clone()).or_default() += 1;
        let scripts = state.scripts.get_mut(host);
        scripts
            .and_then(|scripts| match scripts.len() {
                0 | 1 => scripts.front().cloned(),
                _ => scripts.pop_front(),
            })
            .unwrap_or_else(HostScript::succeed)
    }

    async fn until(&self, mut wanted: impl FnMut(&State) -> bool) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if wanted(&self.lock()) {
                return;
            }
            // The sender lives in `self`, so there is always a next change.
            let _ = changes.changed().await;
        }
    }

    async fn until_released(&self, host: &HostName) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(count @ 1..) = self.lock().released.get_mut(host) {
                *count -= 1;
                return;
            }
            let _ = changes.changed().await;
        }
    }
}

/// A host that is worked on; dropped when it is not any more.
struct Running<'a>(&'a Shared);

impl<'a> Running<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut state = shared.lock();
        state.running += 1;
        state.most_running = state.most_running.max(state.running);
        Self(shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
    }
}

/// A host that hangs; dropped when it goes on or is cancelled.
struct Hanging<'a>(&'a Shared, &'a HostName);

impl<'a> Hanging<'a> {
    fn new(shared: &'a Shared, host: &'a HostName) -> Self {
        shared.lock().hanging.push(host.clone());
        shared.changed();
        Self(shared, host)
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Some(at) = state.hanging.iter().position(|host| host == self.1) {
            state.hanging.swap_remove(at);
        }
        drop(state);
        self.0.changed();
    }
}
