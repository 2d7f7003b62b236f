//! What happened in many rollouts, counted; and one that went wrong, told.

use std::fmt;

use super::seen::Seen;

/// Counts over rollouts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    rollouts: usize,
    succeeded: usize,
    disturbed: usize,
    kills: usize,
    kills_while_recovering: usize,
    recoveries_killed: usize,
    told_to_stop: usize,
    hosts_done: usize,
    hosts_in_flight: usize,
    attempts_repeated: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, seen: &Seen) {
        // The last one of an agent is how its journal is read.
        let halts = || seen.halts.iter().filter(|halt| !(halt.of_agent && halt.over));
        let kills = || halts().filter(|halt| !halt.gracefully);
        let recovering = kills().filter(|halt| halt.while_recovering).count();
        self.rollouts += 1;
        self.succeeded += usize::from(seen.exit == Some(0));
        self.disturbed += usize::from(halts().count() > 0);
        self.kills += kills().count();
        self.kills_while_recovering += recovering;
        self.recoveries_killed += usize::from(recovering > 0);
        self.told_to_stop += halts().count() - kills().count();
        self.hosts_in_flight +=
            kills().filter(|halt| halt.installs).map(|halt| halt.in_flight.len()).sum::<usize>();
        for host in &seen.hosts {
            let mut attempts: Vec<_> = host.lines.iter().map(|line| line.attempt).collect();
            attempts.dedup();
            self.hosts_done += usize::from(!attempts.is_empty());
            self.attempts_repeated += attempts.len().saturating_sub(1);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rollouts, succeeded, disturbed, kills, told_to_stop, hosts_done, .. } = self;
        write!(
            f,
            "{rollouts} rollouts ended as they should, {succeeded} of them well; {disturbed} were disturbed: \
             {kills} kills, {} of them during a recovery (in {} rollouts), {told_to_stop} told to stop; \
             {hosts_done} hosts done, {} in flight at a kill, {} attempts repeated",
            self.kills_while_recovering,
            self.recoveries_killed,
            self.hosts_in_flight,
            self.attempts_repeated
        )
    }
}

/// Everything that helps to understand what went wrong.
pub(crate) fn accuse(seen: &Seen, faults: &[String]) -> String {
    let mut text = format!("KILLED_SEED={:#x} KILLED_ROLLOUTS=1\n", seen.plan.seed);
    for fault in faults {
        text += &format!("  {fault}\n");
    }
    text += &format!("{:#?}\n{:#?}\n{:#?}\n", seen.plan, seen.halts, seen.hosts);
    for event in seen.journal.iter().chain(seen.tasks.iter().flatten()) {
        text += &serde_json::to_string(event).unwrap();
        text.push('\n');
    }
    text
}
