//! How fast push, and claim with settlement, are beside their floors, and with many tasks queued.

use std::path::Path;
use std::sync::Arc;

use deploy_benches::process::{cpu_time, median};
use deploy_queue::DiskStore;

use crate::load::{self, DONE, PAYLOAD};
use crate::{AnyError, Options, floor};

const ROUNDS: usize = 5;

/// How many tasks wait in the stores that are compared.
const QUEUED: [usize; 3] = [1_000, 100_000, 1_000_000];

/// One kind of load: how it is called, and the floor that it is held against.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    parties: usize,
    /// How much is done in a round.
    count: usize,
    pushes: bool,
    aim: f64,
}

const KINDS: [Kind; 4] = [
    Kind { name: "push, 1 producer", parties: 1, count: 4_000, pushes: true, aim: 0.65 },
    Kind { name: "push, 64 producers", parties: 64, count: 32_000, pushes: true, aim: 0.45 },
    Kind { name: "claim + settle, 1 worker", parties: 1, count: 4_000, pushes: false, aim: 0.6 },
    Kind {
        name: "claim + settle, 16 workers",
        parties: 16,
        count: 32_000,
        pushes: false,
        aim: 0.6,
    },
];

impl Kind {
    /// How much is done in a round: one after the other takes long when a sync does.
    fn count(&self, options: &Options) -> usize {
        match (options.slow, self.parties) {
            (false, _) => options.count(self.count),
            (true, 1) => options.count(self.count / 8),
            (true, _) => options.count(self.count / 2),
        }
    }

    /// Runs the floor once.
    async fn floor(&self, options: &Options, directory: &Path) -> Result<f64, AnyError> {
        let file = directory.join("floor");
        let size = if self.pushes { PAYLOAD } else { DONE };
        let count = self.count(options);
        match self.parties {
            1 => floor::each(&file, size, count),
            parties => load::floor(&file, parties, size, count).await,
        }
    }

    /// Runs the load once, with as many tasks in the store afterwards as before. Gives how often it was
    /// done in a second, and the microseconds of processor time that each took, the load's included.
    async fn ours(
        &self,
        options: &Options,
        store: &Arc<DiskStore>,
        prefix: &str,
    ) -> Result<(f64, f64), AnyError> {
        let count = self.count(options);
        if !self.pushes {
            load::fill(store, prefix, count).await?;
        }
        let before = cpu_time()?;
        let speed = if self.pushes {
            load::push(store, prefix, self.parties, count).await?
        } else {
            load::work(store, self.parties, count).await?
        };
        let each = (cpu_time()? - before).as_secs_f64() * 1e6 / count as f64;
        if self.pushes {
            load::work(store, 40, count).await?;
        }
        Ok((speed, each))
    }
}

/// How fast are push, and claim with settlement, beside their floors?
pub(crate) async fn speed(options: &Options) -> Result<(), AnyError> {
    let directory = options.new_directory()?;
    let store = load::open(&directory.path().join("store")).await?;
    // The tasks that a round of workers may take beyond those of the round.
    load::fill(&store, "spare", 1000).await?;
    let mut figures = KINDS.map(|_| (Vec::new(), Vec::new()));
    for round in 0..ROUNDS {
        for (number, (kind, (floor, ours))) in KINDS.iter().zip(&mut figures).enumerate() {
            floor.push(kind.floor(options, directory.path()).await?);
            ours.push(kind.ours(options, &store, &format!("speed-{round}-{number}")).await?.0);
        }
    }
    println!("an almost empty queue, {ROUNDS} rounds in turn, medians:");
    for (kind, (floor, ours)) in KINDS.iter().zip(figures) {
        let (floor, ours) = (median(floor), median(ours));
        let (name, aim, ratio) = (kind.name, kind.aim, ours / floor);
        println!(
            "  {name:27} floor {floor:7.0}/s, store {ours:7.0}/s, ratio {ratio:.2} (aim {aim})"
        );
    }
    store.close().await;
    Ok(())
}

/// And with many tasks queued? The stores take turns, so that what else the machine does meets all.
pub(crate) async fn queued(options: &Options) -> Result<(), AnyError> {
    let directory = options.new_directory()?;
    let mut stores = Vec::new();
    for count in QUEUED {
        let store = load::open(&directory.path().join(format!("store-{count}"))).await?;
        load::fill(&store, "queued", count).await?;
        stores.push(store);
    }
    let mut figures = KINDS.map(|_| QUEUED.map(|_| Vec::new()));
    for round in 0..ROUNDS {
        for (number, (kind, figures)) in KINDS.iter().zip(&mut figures).enumerate() {
            for turn in 0..QUEUED.len() {
                // Another one is first each time.
                let which = (turn + round) % QUEUED.len();
                let prefix = format!("round-{round}-{number}");
                figures[which].push(kind.ours(options, &stores[which], &prefix).await?);
            }
        }
    }
    println!("{QUEUED:?} tasks queued, {ROUNDS} rounds in turn, medians (aim 0.8 of the first):");
    for (kind, figures) in KINDS.iter().zip(figures) {
        let speeds = figures.each_ref().map(|all| median(all.iter().map(|(s, _)| *s).collect()));
        let each = figures.map(|all| median(all.into_iter().map(|(_, each)| each).collect()));
        println!("  {}", kind.name);
        print(speeds, "a second");
        print(each, "µs of processor time for each");
    }
    for store in stores {
        store.close().await;
    }
    Ok(())
}

/// Prints three figures, and the last two beside the first.
fn print([few, many, most]: [f64; 3], what: &str) {
    let (of_many, of_most) = (many / few, most / few);
    println!("    {few:7.0}, {many:7.0} ({of_many:.2}), {most:7.0} ({of_most:.2}) {what}");
}
