//! Freeze windows: times at which no deployment starts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::window::Window;
use super::{Gate, GateDecision, GateError};
use crate::clock::{Clock, SystemClock};
use crate::context::Context;
use crate::document::{Decode, Node, Table};
use crate::model::{self, DeploymentId, DeploymentRequest};

/// How many days are looked through at once for the end of a freeze: a week and one to spare.
const DAYS: u32 = 8;

/// How often they are: more than a year ahead nothing is sure, not even a zone's rules.
const ROUNDS: u32 = 50;

/// Times at which no deployment starts: a [`Gate`] that holds it until they are over.
///
/// ```toml
/// [[freeze]]                      # nothing starts within it
/// reason = "nobody is there at the weekend"
/// zone = "Europe/Berlin"
/// weekly = { from = "fri 18:00", until = "mon 08:00" }
///
/// [[freeze]]
/// reason = "the end of the year"
/// once = { from = "2026-12-20T00:00:00+01:00", until = "2027-01-04T00:00:00+01:00" }
/// businesses = ["payments"]
///
/// [[allow]]                       # nothing starts outside of all of those that are for a project
/// reason = "the shop's quiet hours"
/// zone = "Asia/Shanghai"
/// daily = { from = "22:00", until = "06:00", days = ["mon", "tue", "wed", "thu"] }
/// projects = ["payments/checkout-api"]
/// ```
///
/// A window begins at `from` and is over at `until`. One that recurs holds whenever a clock on the
/// wall of its zone shows a time within it, whatever summer time does: an hour that comes twice is
/// held twice, and one that does not come is not held. `days` are those on which it begins. Without
/// `businesses` and `projects` it is for every deployment.
#[derive(Clone, Debug)]
pub struct FreezeWindows {
    freezes: Vec<Window>,
    allows: Vec<Window>,
    clock: Arc<dyn Clock>,
}

impl FreezeWindows {
    /// Reads the windows by another clock than this machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Reads the keys `freeze` and `allow` of a document.
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let (freezes, allows) = (table.or("freeze", Vec::new()), table.or("allow", Vec::new()));
        Some(Self { freezes: freezes?, allows: allows?, clock: Arc::new(SystemClock::new()) })
    }

    /// What it says of a request at a time.
    fn decide(&self, request: &DeploymentRequest, now: Timestamp) -> GateDecision {
        let relevant = |windows: &'_ [Window]| -> Vec<Window> {
            windows.iter().filter(|window| window.scope.covers(request)).cloned().collect()
        };
        let rules = Rules { freezes: relevant(&self.freezes), allows: relevant(&self.allows) };
        let Some(reason) = rules.closed(now) else { return GateDecision::Open };
        let until = std::time::SystemTime::from(rules.open_after(now));
        GateDecision::Held { reason, until: model::Timestamp::from(until) }
    }
}

impl Decode for FreezeWindows {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let windows = Self::read(&mut table);
        table.finish();
        windows
    }
}

#[async_trait]
impl Gate for FreezeWindows {
    async fn check(
        &self,
        _cx: Context,
        _deployment: DeploymentId,
        request: DeploymentRequest,
    ) -> Result<GateDecision, GateError> {
        Ok(self.decide(&request, self.clock.now().exact()))
    }
}

/// The windows that are for one request.
struct Rules {
    freezes: Vec<Window>,
    allows: Vec<Window>,
}

impl Rules {
    /// Why nothing starts at a time, where that is so.
    fn closed(&self, at: Timestamp) -> Option<String> {
        let holding = self.freezes.iter().filter(|window| window.when.holds(at));
        let mut reasons: Vec<_> =
            holding.map(|window| format!("frozen: {}", window.reason)).collect();
        if !self.allows.is_empty() && !self.allows.iter().any(|window| window.when.holds(at)) {
            let allowed: Vec<_> = self.allows.iter().map(|window| &*window.reason).collect();
            reasons.push(format!("outside of the allowed time: {}", allowed.join(", ")));
        }
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// The first moment after `now` that is open, as far as can be seen.
    fn open_after(&self, now: Timestamp) -> Timestamp {
        let span = SignedDuration::try_from(Duration::from_secs(u64::from(DAYS) * 24 * 3600));
        let span = span.unwrap_or(SignedDuration::MAX);
        let mut base = now;
        for _ in 0..ROUNDS {
            let Ok(end) = base.checked_add(span) else { break };
            let mut changes = Vec::new();
            for window in self.freezes.iter().chain(&self.allows) {
                window.when.changes(base, DAYS, &mut changes);
            }
            changes.retain(|at| *at > base && *at <= end);
            changes.sort_unstable();
            if let Some(open) = changes.into_iter().find(|at| self.closed(*at).is_none()) {
                return open;
            }
            base = end;
        }
        base
    }
}

#[cfg(test)]
mod tests;
