//! Asking a host's monitoring address until it is decided whether the release is healthy.

use tokio::time::Instant;
use url::Url;

use super::health::{Health, HealthGate, MAX_BODY};
use crate::context::Context;
use crate::model::Monitor;
use crate::prober::{ProbeError, ProbeQuestion, Prober};

/// Asks every `interval` until the gate decides; gives why the host is not healthy. Cancel safety:
/// dropping the future ends the request that is under way.
pub(crate) async fn probe(
    cx: Context,
    prober: &dyn Prober,
    monitor: &Monitor,
    url: Url,
) -> Result<(), String> {
    let start = Instant::now();
    let mut gate = HealthGate::new(monitor);
    loop {
        let left = monitor.deadline.saturating_sub(start.elapsed());
        let timeout = monitor.timeout.min(left);
        let question = ProbeQuestion::new(url.clone(), timeout, MAX_BODY);
        let asked = Instant::now();
        // The prober keeps to the timeout by its contract; we do not depend on it.
        let answer = tokio::time::timeout(timeout, prober.probe(cx.clone(), question))
            .await
            .unwrap_or(Err(ProbeError::TimedOut { timeout }));
        match gate.hear(start.elapsed(), &answer) {
            Health::Healthy => return Ok(()),
            Health::Unhealthy(reason) => return Err(reason),
            Health::KeepTrying => {}
        }
        let next = (asked + monitor.interval).max(Instant::now());
        let last = start + monitor.deadline;
        if next > last {
            return Err(gate.give_up());
        }
        tokio::time::sleep_until(next).await;
    }
}
