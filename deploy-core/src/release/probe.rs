//! Asking a host's monitoring address until it is decided whether the release is healthy, or still is.

use tokio::time::Instant;
use url::Url;

use super::ask::{AskError, Asker};
use super::health::{Health, HealthGate, MAX_BODY};
use crate::context::Context;
use crate::failure::{Failure, FailureCode};
use crate::model::Monitor;
use crate::prober::{ProbeAnswer, ProbeError, ProbeQuestion};
use crate::release_step::Step;

/// How often a host that was healthy is asked whether it still is.
const LOOKS: u32 = 3;

/// Asks every `interval` until the gate decides; gives why the host is not healthy. Cancel safety:
/// dropping the future ends the request that is under way.
pub(crate) async fn probe(
    cx: Context,
    asker: &Asker,
    monitor: &Monitor,
    url: Url,
) -> Result<(), Failure> {
    let start = Instant::now();
    let mut gate = HealthGate::new(monitor);
    loop {
        let left = monitor.deadline.saturating_sub(start.elapsed());
        let asked = Instant::now();
        let answer = ask(&cx, asker, url.clone(), monitor.timeout.min(left)).await?;
        match gate.hear(start.elapsed(), &answer) {
            Health::Healthy => return Ok(()),
            Health::Unhealthy(reason) => return Err(unhealthy(reason)),
            Health::KeepTrying => {}
        }
        let next = (asked + monitor.interval).max(Instant::now());
        let last = start + monitor.deadline;
        if next > last {
            return Err(unhealthy(gate.give_up()));
        }
        tokio::time::sleep_until(next).await;
    }
}

/// Asks a host that was healthy whether it still is: it is when one of three answers, an `interval`
/// apart, is as expected. One that is slow for a moment does not stop a rollout.
pub(crate) async fn look_after(
    cx: Context,
    asker: &Asker,
    monitor: &Monitor,
    url: Url,
) -> Result<(), Failure> {
    let mut look = 1;
    loop {
        let asked = Instant::now();
        let answer = ask(&cx, asker, url.clone(), monitor.timeout).await?;
        let gate = HealthGate::new(monitor);
        let Some(fault) = gate.fault(&answer) else {
            return Ok(());
        };
        if look == LOOKS {
            let reason =
                format!("it did not answer as expected {LOOKS} times; the last time: {fault}");
            return Err(unhealthy(reason));
        }
        look += 1;
        tokio::time::sleep_until(asked + monitor.interval).await;
    }
}

/// One answer, or why there was none; fails when there never will be one.
async fn ask(
    cx: &Context,
    asker: &Asker,
    url: Url,
    timeout: std::time::Duration,
) -> Result<Result<ProbeAnswer, ProbeError>, Failure> {
    let question = ProbeQuestion::new(url, timeout, MAX_BODY);
    // The prober keeps to the timeout by its contract; we do not depend on it.
    match tokio::time::timeout(timeout, asker.ask(cx.clone(), question)).await {
        Ok(Ok(answer)) => Ok(Ok(answer)),
        Ok(Err(AskError::Failed(error))) => Ok(Err(error)),
        Ok(Err(AskError::Hopeless(failure))) => Err(failure),
        Err(_) => Ok(Err(ProbeError::TimedOut { timeout })),
    }
}

fn unhealthy(reason: String) -> Failure {
    Failure::new(FailureCode::Unhealthy, reason).with_step(Step::Probe)
}
