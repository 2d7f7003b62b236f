//! The release bot and its agent, stopped at random times during rollouts over ten hosts with a real
//! sshd each: every rollout ends as it should.
//!
//! `KILLED_ROLLOUTS` says how many rollouts there are in all, `KILLED_SEED` with which seed each test
//! begins. A failure names the seed of its rollout. 200 rollouts take longer than nextest lets a test run:
//!
//! ```text
//! KILLED_ROLLOUTS=200 cargo test -p deploy-examples --features ssh killed:: -- --nocapture
//! ```

mod checker;
mod draw;
mod plan;
mod rollout;
mod seen;
mod tally;
mod tampered;

use plan::{Plan, Victim};
use rollout::Site;
use tally::Tally;

/// How many rollouts there are by default, in all tests.
const ROLLOUTS: u64 = 10;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let digits = text.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16));
    let number = digits.unwrap_or_else(|| text.parse());
    Some(number.unwrap_or_else(|_| panic!("{name}: {text:?} is not a number")))
}

/// Carries out a share, in percent, of all rollouts.
fn rollouts(mut site: Site, first_seed: u64, share: u64, victims: &[Victim]) {
    let count = (setting("KILLED_ROLLOUTS").unwrap_or(ROLLOUTS) * share).div_ceil(100);
    let first = setting("KILLED_SEED").unwrap_or(first_seed);
    let mut tally = Tally::default();
    for seed in first..first + count {
        println!("KILLED_SEED={seed:#x}");
        let seen = site.carry_out(Plan::draw(seed, victims));
        let faults = checker::faults(&seen);
        assert!(faults.is_empty(), "{}", tally::accuse(&seen, &faults));
        tally.add(&seen);
    }
    println!("{tally}");
}

#[test]
fn rollouts_end_as_they_should_though_the_bot_is_killed() {
    rollouts(Site::direct(), 0x0b07_0000, 40, &[Victim::Bot]);
}

#[test]
fn rollouts_end_as_they_should_though_the_agent_is_killed() {
    rollouts(Site::with_agent(), 0xa6e7_0000, 30, &[Victim::Agent]);
}

#[test]
fn rollouts_end_as_they_should_though_bot_and_agent_are_killed() {
    let victims = [Victim::Bot, Victim::Agent, Victim::Both];
    rollouts(Site::with_agent(), 0xb074_0000, 30, &victims);
}
