//! The parts of the bench, each with its question.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deploy_benches::process::{cpu_time, median, megabytes, peak_kib};
use deploy_core::{Queue, QueueAdmin, Settlement};
use deploy_queue::DiskStore;

use crate::load::{self, DONE, PAYLOAD};
use crate::{AnyError, Options, floor};

const ROUNDS: usize = 5;

/// As many as it takes to see through the noise, since filling takes its time.
const QUEUED_ROUNDS: usize = 3;

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

/// The figures of one kind of load, of all rounds.
#[derive(Debug, Default)]
struct Figures {
    floor: Vec<f64>,
    ours: Vec<f64>,
}

impl Kind {
    /// Runs the floor once.
    async fn floor(&self, options: &Options, directory: &Path) -> Result<f64, AnyError> {
        let file = directory.join("floor");
        let size = if self.pushes { PAYLOAD } else { DONE };
        let count = options.count(self.count);
        match self.parties {
            1 => floor::each(&file, size, count),
            parties => load::floor(&file, parties, size, count).await,
        }
    }

    /// Runs the load once, with as many tasks in the store afterwards as before.
    async fn ours(
        &self,
        options: &Options,
        store: &Arc<DiskStore>,
        prefix: &str,
    ) -> Result<f64, AnyError> {
        let count = options.count(self.count);
        if self.pushes {
            let speed = load::push(store, prefix, self.parties, count).await?;
            load::work(store, 40, count).await?;
            return Ok(speed);
        }
        load::fill(store, prefix, count).await?;
        load::work(store, self.parties, count).await
    }
}

/// Measures all kinds of load in turn with their floors.
async fn measure(
    options: &Options,
    directory: &Path,
    store: &Arc<DiskStore>,
    prefix: &str,
    rounds: usize,
) -> Result<Vec<Figures>, AnyError> {
    let mut figures: Vec<_> = KINDS.iter().map(|_| Figures::default()).collect();
    for round in 0..rounds {
        for (kind, figures) in KINDS.iter().zip(&mut figures) {
            figures.floor.push(kind.floor(options, directory).await?);
            let prefix = format!("{prefix}-{round}-{}", figures.ours.len());
            figures.ours.push(kind.ours(options, store, &prefix).await?);
        }
    }
    Ok(figures)
}

/// Prints what came out.
fn print(figures: Vec<Figures>) {
    for (kind, Figures { floor, ours }) in KINDS.iter().zip(figures) {
        let (floor, ours) = (median(floor), median(ours));
        let (name, aim, ratio) = (kind.name, kind.aim, ours / floor);
        println!(
            "  {name:27} floor {floor:7.0}/s, store {ours:7.0}/s, ratio {ratio:.2} (aim {aim})"
        );
    }
}

/// How fast are push, and claim with settlement, beside their floors?
pub(crate) async fn speed(options: &Options) -> Result<(), AnyError> {
    let directory = options.new_directory()?;
    let store = load::open(&directory.path().join("store")).await?;
    // The tasks that a round of workers may take beyond those of the round.
    load::fill(&store, "spare", 1000).await?;
    println!("an almost empty queue, {ROUNDS} rounds in turn, medians:");
    print(measure(options, directory.path(), &store, "speed", ROUNDS).await?);
    store.close().await;
    Ok(())
}

/// And with many tasks queued?
pub(crate) async fn queued(options: &Options) -> Result<(), AnyError> {
    let directory = options.new_directory()?;
    let store = load::open(&directory.path().join("store")).await?;
    let mut there = 0;
    for count in [1_000, 100_000, 1_000_000] {
        load::fill(&store, &format!("queued-{count}"), count - there).await?;
        there = count;
        println!("{count} tasks queued, {QUEUED_ROUNDS} rounds in turn, medians:");
        print(
            measure(options, directory.path(), &store, &format!("of-{count}"), QUEUED_ROUNDS)
                .await?,
        );
    }
    store.close().await;
    Ok(())
}

/// How long does it take from a push until an idle worker has the task, beside one sync?
pub(crate) async fn wake(options: &Options) -> Result<(), AnyError> {
    let directory = options.new_directory()?;
    let store = load::open(&directory.path().join("store")).await?;
    let mut file = File::create(directory.path().join("floor"))?;
    let idle = Duration::from_millis(20);
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for number in 0..options.count(500) {
        tokio::time::sleep(idle).await;
        let begun = Instant::now();
        file.write_all(&[7; PAYLOAD])?;
        file.sync_data()?;
        floors.push(begun.elapsed().as_secs_f64() * 1e6);

        let worker = Arc::clone(&store);
        let claim = tokio::spawn(async move {
            let claim = worker.claim("idle".to_owned(), vec![], Duration::from_secs(600)).await;
            claim.map(|claim| (claim.token, Instant::now()))
        });
        tokio::time::sleep(idle).await;
        let begun = Instant::now();
        store.push(load::task("wake", number)?).await?;
        let (token, claimed) = claim.await??;
        ours.push(claimed.duration_since(begun).as_secs_f64() * 1e6);
        store.settle(token, Settlement::Done).await?;
    }
    println!("push to claim by an idle worker, {} times in turn:", ours.len());
    let high = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() * 99 / 100]
    };
    let (half, ours_half) = (median(floors.clone()), median(ours.clone()));
    let (floors, ours) = (high(floors), high(ours));
    println!("  one sync      p50 {half:5.0} µs, p99 {floors:5.0} µs");
    println!("  push to claim p50 {ours_half:5.0} µs, p99 {ours:5.0} µs");
    println!("  ratio of the medians {:.2} (aim 1.5)", ours_half / half);
    store.close().await;
    Ok(())
}

/// How much disk, memory and time to open do many tasks take?
pub(crate) async fn size(options: &Options) -> Result<(), AnyError> {
    for count in [100_000, 1_000_000] {
        let directory = options.new_directory()?;
        let path = directory.path().join("store");
        let store = load::open(&path).await?;
        load::fill(&store, "task", count).await?;
        let (open, peak) = (megabytes(&path)?, peak_megabytes());
        assert_eq!(store.statistics().await?.ready, count as u64);
        store.close().await;
        let closed = megabytes(&path)?;
        println!("{count} tasks of {PAYLOAD} bytes:");
        println!("  {open:.0} MB on disk, {closed:.0} MB when closed (aim 1600 for a million)");
        println!("  filled with a peak of {peak} MB of memory (aim 300 for a million)");
        // In a process of its own, for its own peak.
        let status = std::process::Command::new(std::env::current_exe()?)
            .arg("--open")
            .arg(&path)
            .status()?;
        if !status.success() {
            return Err("the store could not be opened".into());
        }
    }
    Ok(())
}

/// How long does it take to open a store, and how much memory?
pub(crate) async fn open(path: &Path) -> Result<(), AnyError> {
    let begun = Instant::now();
    let store = load::open(path).await?;
    let (took, peak) = (begun.elapsed().as_secs_f64(), peak_megabytes());
    println!("  opened in {took:.2} s (aim 1 s for 100,000) with a peak of {peak} MB");
    store.close().await;
    Ok(())
}

/// The peak of this process's memory.
fn peak_megabytes() -> u64 {
    peak_kib(std::process::id()).unwrap_or(0) * 1024 / 1_000_000
}

/// How much processor time does an open store use while nothing happens?
pub(crate) async fn idle(options: &Options) -> Result<(), AnyError> {
    let directory = options.new_directory()?;
    let store = load::open(&directory.path().join("store")).await?;
    load::fill(&store, "task", 1000).await?;
    let (worker, kinds) = (Arc::clone(&store), vec!["nothing".to_owned()]);
    let waits = tokio::spawn(async move {
        worker.claim("idle".to_owned(), kinds, Duration::from_secs(600)).await.map(drop)
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = cpu_time()?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let used = cpu_time()? - before;
    println!("an idle store with a waiting worker: {used:?} of processor time in 5 s (aim 0)");
    waits.abort();
    store.close().await;
    Ok(())
}
