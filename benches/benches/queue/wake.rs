//! How long it takes from a push until an idle worker has the task.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deploy_benches::process::median;
use deploy_core::{Queue, Settlement};

use crate::load::{self, PAYLOAD};
use crate::{AnyError, Options};

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
