//! What a rollout is, when it is disturbed, and what must come of it: all of it drawn from one seed.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::model::{HostName, HostStatus, Outcome};
use serde_json::{Value, json};

use super::draw::Draw;

/// How many hosts there are.
pub(crate) const HOSTS: usize = 10;

/// Who is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Bot,
    Agent,
    Both,
}

/// A process is stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) victim: Victim,
    /// By TERM in place of KILL.
    pub(crate) gracefully: bool,
    /// After so many events that are new,
    pub(crate) after: u64,
    /// and then so long.
    pub(crate) delay: Duration,
    /// So soon after a start that it hits what the start itself has to do.
    pub(crate) while_recovering: bool,
    /// How long an agent stays away.
    pub(crate) away: Duration,
}

impl Stop {
    /// The agent, told to stop once a rollout is over.
    pub(crate) fn of_agent() -> Self {
        Self {
            victim: Victim::Agent,
            gracefully: true,
            after: 0,
            delay: Duration::ZERO,
            while_recovering: false,
            away: Duration::ZERO,
        }
    }
}

/// A rollout.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) id: String,
    /// The hosts on which a hook fails, and which.
    pub(crate) broken: BTreeMap<HostName, &'static str>,
    /// Whether the failure budget bears them.
    pub(crate) bears: bool,
    pub(crate) parallel: usize,
    rollout: Value,
    pub(crate) stops: Vec<Stop>,
}

impl Plan {
    /// Draws a rollout, in which one of `victims` is stopped each time.
    pub(crate) fn draw(seed: u64, victims: &[Victim]) -> Self {
        let mut draw = Draw::new(seed);
        let draw = &mut draw;
        let batches: &[&[&str]] =
            &[&["2", "3", "100%"], &["1", "50%", "100%"], &["4"], &["100%"], &["5"]];
        let bears = draw.percent(30);
        let parallel = *draw.pick(&[2, 4, 10, 10]);
        let limit = if bears { json!({"more_than": 2}) } else { json!({"at_least": 1}) };
        let mut rollout = json!({
            "batches": draw.pick(batches), "order": "name", "max_parallel": parallel,
            "failures": {"total": limit},
        });
        if draw.percent(40) {
            rollout["pause"] = json!({"fixed": "200ms", "jitter": "200ms"});
        }
        if draw.percent(30) {
            let hold = draw.pick(&["300ms", "promote"]);
            rollout["canary"] = json!({"hosts": draw.pick(&["1", "20%"]), "hold": hold});
        }
        let mut broken = BTreeMap::new();
        if bears || draw.percent(35) {
            for _ in 0..=draw.below(2) {
                let hook = *draw.pick(&["before_switch", "after_switch"]);
                broken.insert(host(draw.below(HOSTS as u64) + 1), hook);
            }
        }
        let stops = stops(draw, victims);
        Self { seed, id: format!("d{seed:016x}"), broken, bears, parallel, rollout, stops }
    }

    /// A rollout in which hosts end in every way: the second batch has a broken host, and the bot is
    /// killed once, and once told to stop.
    pub(crate) fn of_every_kind() -> Self {
        let rollout = json!({"batches": ["2", "3", "100%"], "order": "name"});
        let stop = |gracefully, after| Stop {
            victim: Victim::Bot,
            gracefully,
            after,
            delay: Duration::ZERO,
            while_recovering: false,
            away: Duration::ZERO,
        };
        Self {
            seed: 0,
            id: "of-every-kind".to_owned(),
            broken: BTreeMap::from([(host(3), "after_switch")]),
            bears: false,
            parallel: HOSTS,
            rollout,
            stops: vec![stop(false, 30), stop(true, 10)],
        }
    }

    /// What its request says beside the package.
    pub(crate) fn request(&self) -> String {
        let broken = self.broken.iter().map(|(host, hook)| format!("\"{host} {hook}\""));
        let broken: Vec<_> = broken.chain(["none".to_owned()]).collect();
        // The parent of a hook is the program that does the host: it tells attempts apart.
        let line = "$PPID $DEPLOY_ID $DEPLOY_HOOK ${DEPLOY_ROLLBACK:-0}\" >>\"$DEPLOY_ROOT/hooks\"";
        let hook = format!(
            "echo \"begin {line}; sleep 0.1; \
             [ -n \"$DEPLOY_ROLLBACK\" ] || case \"$DEPLOY_HOST $DEPLOY_HOOK\" in {}) exit 3;; esac; \
             echo \"end {line}",
            broken.join(" | ")
        );
        let hooks = json!({"before_switch": [hook], "after_switch": [hook], "on_failure": [hook]});
        let rollout = &self.rollout;
        let text = json!({"rollout": rollout, "release": {"keep": 3, "hooks": hooks}}).to_string();
        format!(", {}", text.trim_start_matches('{').strip_suffix('}').unwrap())
    }

    /// How the deployment has to end.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.broken.is_empty() { Outcome::Succeeded } else { Outcome::Failed }
    }

    /// How each host may end, by the batches of the rollout.
    pub(crate) fn ends(&self, batches: &[Vec<HostName>]) -> BTreeMap<HostName, Vec<HostStatus>> {
        let is_broken = |batch: &Vec<HostName>| batch.iter().any(|h| self.broken.contains_key(h));
        let last = batches.iter().position(is_broken).filter(|_| !self.bears);
        let mut ends = BTreeMap::new();
        for (number, batch) in batches.iter().enumerate() {
            for host in batch {
                let end = match self.broken.get(host) {
                    None => HostStatus::Succeeded,
                    Some(&"before_switch") => HostStatus::Failed,
                    Some(_) => HostStatus::RolledBack,
                };
                let allowed = match last {
                    Some(last) if number > last => vec![HostStatus::NotStarted],
                    // Those whose turn within the batch had not come, or had just come: their part is
                    // taken back.
                    Some(last) if number == last && self.parallel < batch.len() => {
                        vec![end, HostStatus::NotStarted, HostStatus::Cancelled]
                    }
                    _ => vec![end],
                };
                ends.insert(host.clone(), allowed);
            }
        }
        ends
    }
}

/// The name of a host.
pub(crate) fn host(number: u64) -> HostName {
    HostName::new(format!("host-{number}")).unwrap()
}

/// Nearly every rollout is disturbed, and of those a good part again while it recovers.
fn stops(draw: &mut Draw, victims: &[Victim]) -> Vec<Stop> {
    let mut stops = Vec::new();
    let mut chance = 95;
    while stops.len() < 4 && draw.percent(chance) {
        let while_recovering = !stops.is_empty() && draw.percent(85);
        let (after, delay) = match while_recovering {
            true => (0, draw.below(600)),
            false => (draw.below(140), draw.below(60)),
        };
        stops.push(Stop {
            victim: *draw.pick(victims),
            gracefully: draw.percent(20),
            after,
            delay: Duration::from_millis(delay),
            while_recovering,
            away: Duration::from_millis(draw.below(300)),
        });
        chance = 65;
    }
    stops
}
