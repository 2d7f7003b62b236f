//! What a store takes: disk, memory, time to open, and processor time while nothing happens.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deploy_benches::process::{cpu_time, megabytes, peak_kib};
use deploy_core::{Queue, QueueAdmin};

use crate::load::{self, PAYLOAD};
use crate::{AnyError, Options};

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
