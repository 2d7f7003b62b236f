//! The whole system in one process, on a clock of its own, from one seed: control nodes, agents, hosts,
//! network, disks, clocks and people, of which everything breaks now and then.
//!
//! A seed that fails is replayed, with its history, by
//!
//! ```text
//! SIMULATION_SEED=7 cargo nextest run -p deploy-testkit --no-capture simulation::replay
//! ```

mod check;
mod clock;
mod flaw;
mod gates;
mod history;
mod life;
mod nodes;
mod people;
mod run;
mod scenario;
mod store;
mod world;

use self::run::simulate;

#[test]
fn replay() {
    let Some(seed) = std::env::var("SIMULATION_SEED").ok() else { return };
    let seed = seed.parse().unwrap();
    let record = simulate(seed, None);
    for entry in &record.entries {
        println!("{entry}");
    }
    let wrong = record.violations();
    for (name, what) in &wrong {
        println!("{name}: {what}");
    }
    assert!(wrong.is_empty());
}

/// Runs many seeds, and says of each that fails how it is replayed.
fn seeds(from: u64, count: u64) {
    let mut failed = 0;
    for seed in from..from + count {
        let wrong = simulate(seed, None).violations();
        for (name, what) in wrong.iter().take(5) {
            println!("seed {seed}: {name}: {what}");
        }
        failed += u64::from(!wrong.is_empty());
    }
    assert_eq!(failed, 0, "seeds failed");
}

#[test]
fn scan() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    seeds(number("FROM").unwrap_or(0), number("COUNT").unwrap_or(0));
}
