//! The program that runs on a host: it takes the lock, does what its task says, and says how it went.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{
    Fence, HookPoint, HostName, HostResult, HostStatus, ReleaseAction, ReleaseId, ReleaseState,
    ReleaseTask, RollbackTarget, Target,
};
use deploy_core::{Failure, FailureCode, Retry, Step};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Shared;
use super::disk::{Disk, Door, Mark};
use super::faults::{FleetFaults, HostFlaw};
use super::session::{Line, noticed};
use super::word::{HostEffect, HostEvent, Word};

/// How long an earlier attempt at the same task is waited for.
const OUTLAST: Duration = Duration::from_secs(60);

/// How long a lock outlasts the time that a host has.
const BEYOND: Duration = Duration::from_secs(120);

pub(super) struct Program {
    shared: Arc<Shared>,
    task: ReleaseTask,
    host: HostName,
    release: ReleaseId,
    fence: Fence,
    run: u64,
    say: mpsc::UnboundedSender<Word>,
    line: watch::Receiver<Line>,
    faults: FleetFaults,
    flaw: Option<HostFlaw>,
    number: u64,
    previous: Option<ReleaseId>,
    published: bool,
    switched: bool,
    at: Step,
}

/// Why a program does not go on.
enum Stop {
    Failed(Box<Failure>),
    /// It was killed: it says nothing and puts nothing back.
    Died,
}

type Going = Result<(), Stop>;

impl Program {
    pub(super) fn new(
        shared: Arc<Shared>,
        task: ReleaseTask,
        target: &Target,
        fence: Fence,
        say: mpsc::UnboundedSender<Word>,
        line: watch::Receiver<Line>,
    ) -> Self {
        let mut state = shared.lock();
        state.programs += 1;
        let (run, mut faults, flaw) = (state.programs, state.faults, state.flaw);
        if state.spoiled.contains(&task.deployment) {
            faults.fails_after = 1_000;
        }
        drop(state);
        Self {
            host: target.host.clone(),
            release: ReleaseId::from(&task.deployment),
            run,
            faults,
            flaw,
            shared,
            task,
            fence,
            say,
            line,
            number: 0,
            previous: None,
            published: false,
            switched: false,
            at: Step::Lock,
        }
    }

    /// Runs to the end, or to its death.
    pub(super) async fn run(mut self) {
        let done = match self.task.action.clone() {
            ReleaseAction::Install => self.install().await,
            ReleaseAction::Rollback { release, to } => self.roll_back(&release, &to).await,
            ReleaseAction::Inspect => Ok(self.look()),
            _ => Ok(self.probe()),
        };
        let mut result = match done {
            Ok(result) => result,
            Err(Stop::Died) => {
                self.disk(|disk, program| disk.orphan(program.number));
                return self.tell(HostEffect::Died);
            }
            Err(Stop::Failed(failure)) => self.put_back(*failure).await,
        };
        result.serves = self.disk(|disk, _| disk.current.clone());
        if self.number > 0 {
            self.tell(HostEffect::Ended { how: result.status.to_string() });
            self.disk(|disk, program| disk.unlock(program.number));
        }
        // Whether anybody hears it is not the program's concern.
        let _ = self.say.send(Word::Last(Box::new(result)));
    }

    async fn install(&mut self) -> Result<HostResult, Stop> {
        self.take_lock().await?;
        let release = self.release.clone();
        let served = self.disk(|disk, program| {
            disk.clear_leftovers();
            let good = disk.state(&program.release) == Some(ReleaseState::Good);
            good && disk.current.as_ref() == Some(&program.release)
        });
        if served && self.flaw != Some(HostFlaw::InstallsAgain) {
            return Ok(HostResult::succeeded(self.host.clone(), release));
        }
        self.previous = self.disk(|disk, program| {
            disk.current.clone().filter(|current| *current != program.release)
        });
        let present = self.disk(|disk, program| {
            disk.marks.get(&program.release).map(|mark| mark.task == program.task.id)
        });
        if present.is_none() {
            self.step(Step::Transfer, 200..3_000).await?;
            self.step(Step::Unpack, 50..500).await?;
            self.still_ours()?;
            self.mark_unfinished();
        }
        if self.flaw == Some(HostFlaw::SwitchesEarly) {
            self.point_to(Some(release.clone()));
        }
        if present != Some(true) {
            self.hook(Step::BeforeSwitch, HookPoint::BeforeSwitch, self.faults.fails_before)
                .await?;
        }
        // One that was good before has to prove itself again.
        self.disk(|disk, program| disk.set_state(&program.release, ReleaseState::Complete));
        if present.is_none() {
            self.tell(HostEffect::Completed);
        }
        self.step(Step::Switch, 1..20).await?;
        self.still_ours()?;
        self.switched = true;
        if self.disk(|disk, program| disk.current.as_ref() != Some(&program.release)) {
            self.point_to(Some(release.clone()));
        }
        self.hook(Step::AfterSwitch, HookPoint::AfterSwitch, self.faults.fails_after).await?;
        if self.task.monitor.is_some() {
            self.verdict().await?;
        }
        self.still_ours()?;
        self.disk(|disk, program| {
            disk.set_state(&program.release, ReleaseState::Good);
            disk.prune(program.task.release.keep as usize);
        });
        self.tell(HostEffect::Proven);
        Ok(HostResult::succeeded(self.host.clone(), release))
    }

    async fn roll_back(
        &mut self,
        release: &ReleaseId,
        to: &RollbackTarget,
    ) -> Result<HostResult, Stop> {
        self.take_lock().await?;
        let back = HostResult::new(self.host.clone(), HostStatus::RolledBack);
        let serves = self.disk(|disk, _| disk.current.as_ref() == Some(release));
        if !serves || self.flaw == Some(HostFlaw::PretendsToGoBack) {
            return Ok(back);
        }
        let Some(target) = self.disk(|disk, _| disk.target(release, to)) else {
            let message = format!("the host has not {to}");
            return Err(self.failed(FailureCode::ReleaseMissing, message));
        };
        self.step(Step::Switch, 1..20).await?;
        self.still_ours()?;
        self.point_to(Some(target));
        self.disk(|disk, _| disk.set_state(release, ReleaseState::Failed));
        self.tell(HostEffect::HookRan { point: HookPoint::AfterSwitch, back: true });
        // What fails now is told, and the host stays where it went.
        self.pause(100..2_000).await?;
        Ok(back)
    }

    fn look(&self) -> HostResult {
        let mut result = HostResult::new(self.host.clone(), HostStatus::Checked);
        result.found = Some(Box::new(self.disk(|disk, _| disk.found())));
        result
    }

    fn probe(&self) -> HostResult {
        if !self.shared.dice.chance(self.faults.unhealthy) {
            return HostResult::new(self.host.clone(), HostStatus::Checked);
        }
        let failure = Failure::new(FailureCode::Unhealthy, "as the dice say");
        HostResult::failed(self.host.clone(), HostStatus::Failed, failure)
    }

    async fn take_lock(&mut self) -> Going {
        self.step(Step::Lock, 1..50).await?;
        let patience = Instant::now() + OUTLAST;
        loop {
            if self.flaw == Some(HostFlaw::IgnoresFences) {
                break;
            }
            self.check_fence()?;
            let door = self.disk(|disk, program| disk.door(&program.task.id, Instant::now()));
            let newer = self.disk(|disk, program| disk.is_newer(&program.task.id, program.fence));
            match door {
                Door::Open => break,
                Door::Ours if Instant::now() < patience => self.pause(100..500).await?,
                Door::Ours if newer => break,
                Door::Ours | Door::Shut => {
                    self.tell(HostEffect::Refused);
                    return Err(self.failed(FailureCode::HostLocked, "locked by another task"));
                }
            }
        }
        let until = Instant::now() + self.task.release.timeout + BEYOND;
        self.number = self.disk(|disk, program| {
            disk.fence = disk.fence.max(program.fence.number());
            disk.take(&program.task.id, program.fence, until)
        });
        self.tell(HostEffect::Locked);
        Ok(())
    }

    fn check_fence(&self) -> Going {
        let seen = self.disk(|disk, _| disk.fence);
        if seen <= self.fence.number() || self.flaw == Some(HostFlaw::IgnoresFences) {
            return Ok(());
        }
        if self.number == 0 {
            self.tell(HostEffect::Refused);
        }
        let message = format!("a newer deployment has been here (its number is {seen})");
        Err(self.failed(FailureCode::HostLocked, message))
    }

    /// Nothing is done for a holder whose time is over.
    fn still_ours(&self) -> Going {
        if self.flaw == Some(HostFlaw::IgnoresFences) {
            return Ok(());
        }
        if !self.holds_lock() {
            return Err(self.failed(FailureCode::HostLocked, "the lock was lost to a newer one"));
        }
        if self.disk(|disk, _| disk.expired(Instant::now())) {
            return Err(self.failed(FailureCode::TimedOut, "the lock has expired"));
        }
        self.check_fence()
    }

    fn holds_lock(&self) -> bool {
        self.disk(|disk, program| disk.holds(program.number))
    }

    fn mark_unfinished(&mut self) {
        self.published = true;
        self.disk(|disk, program| {
            let mark = Mark {
                state: ReleaseState::Unfinished,
                task: program.task.id.clone(),
                order: program.number,
                previous: program.previous.clone(),
            };
            disk.marks.insert(program.release.clone(), mark);
        });
        self.tell(HostEffect::Unpacked);
    }

    fn point_to(&self, to: Option<ReleaseId>) {
        let whole = self.disk(|disk, _| {
            disk.current.clone_from(&to);
            to.as_ref().is_none_or(|release| disk.is_whole(release))
        });
        self.tell(HostEffect::Switched { to, whole });
    }

    /// A step that takes its time, in which the program may be told to stop or be killed.
    async fn step(&mut self, step: Step, millis: std::ops::Range<u64>) -> Going {
        self.at = step;
        let _ = self.say.send(Word::Begin(step));
        self.pause(millis).await?;
        let _ = self.say.send(Word::End(step));
        Ok(())
    }

    async fn hook(&mut self, step: Step, point: HookPoint, fails: u32) -> Going {
        let there = match point {
            HookPoint::BeforeSwitch => !self.task.release.hooks.before_switch.is_empty(),
            _ => !self.task.release.hooks.after_switch.is_empty(),
        };
        if there {
            self.at = step;
            let _ = self.say.send(Word::Begin(step));
            self.tell(HostEffect::HookRan { point, back: false });
            if self.shared.dice.chance(self.faults.hangs) {
                self.pause(300_000..300_001).await?;
                return Err(self.failed(FailureCode::HookTimedOut, "the hook hangs"));
            }
            self.pause(100..5_000).await?;
        }
        if self.shared.dice.chance(fails) {
            return Err(self.failed(FailureCode::HookFailed, "as the dice say"));
        }
        let _ = self.say.send(Word::End(step));
        Ok(())
    }

    /// The node's word on the health of the release: it does not come when nobody is there.
    async fn verdict(&mut self) -> Going {
        self.step(Step::Probe, 1_000..10_000).await?;
        if *self.line.borrow() == Line::Open {
            return Ok(());
        }
        let rest = self.task.release.timeout + BEYOND;
        self.sleep(rest).await?;
        Err(self.failed(FailureCode::TimedOut, "nobody said whether it is healthy"))
    }

    async fn pause(&mut self, millis: std::ops::Range<u64>) -> Going {
        let dice = &self.shared.dice;
        let mut span = dice.millis(millis);
        if dice.chance(self.faults.slow) {
            span += dice.millis(60_000..180_000);
        }
        // A run has some eight pauses.
        if dice.chance(self.faults.dies) && dice.chance(125) {
            tokio::time::sleep(span / 2).await;
            return Err(Stop::Died);
        }
        self.sleep(span).await
    }

    async fn sleep(&mut self, span: Duration) -> Going {
        let stopped = {
            tokio::select! {
                biased;
                () = noticed(&mut self.line) => true,
                () = tokio::time::sleep(span) => false,
            }
        };
        if stopped {
            return Err(self.failed(FailureCode::Cancelled, "the host was told to stop"));
        }
        Ok(())
    }

    fn failed(&self, code: FailureCode, message: impl Into<String>) -> Stop {
        let retry = match code {
            FailureCode::HostLocked => Retry::After(Duration::from_secs(15)),
            _ => Retry::Never,
        };
        let failure = Failure::new(code, message).with_step(self.at).with_host(self.host.clone());
        Stop::Failed(Box::new(failure.with_retry(retry)))
    }

    /// Puts the host back after a failure: how it ends then.
    async fn put_back(&mut self, failure: Failure) -> HostResult {
        let cancelled = failure.code == FailureCode::Cancelled;
        let mut status = HostStatus::Failed;
        let installs = self.task.action.aim() == HostStatus::Succeeded;
        if installs && self.holds_lock() {
            if self.switched && self.task.release.rollback {
                self.point_to(self.previous.clone());
                status = HostStatus::RolledBack;
                if self.previous.is_some() && !self.task.release.hooks.after_switch.is_empty() {
                    self.tell(HostEffect::HookRan { point: HookPoint::AfterSwitch, back: true });
                    let span = self.shared.dice.millis(100..2_000);
                    tokio::time::sleep(span).await;
                }
            }
            if self.switched && self.holds_lock() {
                self.disk(|disk, program| disk.set_state(&program.release, ReleaseState::Failed));
            } else if self.published && self.holds_lock() {
                self.disk(|disk, program| disk.marks.remove(&program.release));
                self.tell(HostEffect::Discarded);
            }
        }
        let status = if cancelled { HostStatus::Cancelled } else { status };
        HostResult::failed(self.host.clone(), status, failure)
    }

    fn disk<R>(&self, work: impl FnOnce(&mut Disk, &Self) -> R) -> R {
        let key = (self.host.clone(), self.task.project.clone());
        work(self.shared.lock().disks.entry(key).or_default(), self)
    }

    fn tell(&self, effect: HostEffect) {
        (self.shared.observer)(HostEvent {
            host: self.host.clone(),
            project: self.task.project.clone(),
            task: self.task.id.clone(),
            deployment: self.task.deployment.clone(),
            fence: self.fence,
            run: self.run,
            effect,
        });
    }
}
