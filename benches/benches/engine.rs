//! Does the engine cost the same for each host, whether there are a hundred or a hundred thousand?
//!
//! ```text
//! cargo bench -p deploy-benches --bench engine
//! ```
//!
//! One control node with its store on disk, and an executor that says at once that every host serves the
//! release: what is left is the engine's own work, the facts of each host recorded durably among it. A
//! rollout has ten batches and up to a thousand hosts at once. Each size runs in a process of its own, whose
//! memory over that of the smallest is what the hosts take.

use std::process::Command;
use std::time::{Duration, Instant};

use deploy_benches::process::{median, peak_kib};
use deploy_core::model::{DeploymentId, HostResult, ReleaseId, ReleaseReport, RolloutSpec, Target};
use deploy_core::{ControlNode, Fact, FnExecutor};
use deploy_queue::{DiskStore, QueueConfig};
use deploy_testkit::{FakeVerifier, StaticResolver, samples};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
const ROUNDS: usize = 3;

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("child") {
        return child(arguments.next().ok_or("no size")?.parse()?);
    }
    let mut least = None;
    for hosts in SIZES {
        let (mut micros, mut peaks) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (time, peak) = run(hosts)?;
            micros.push(time * 1e6 / hosts as f64);
            peaks.push(peak as f64);
        }
        let (micros, peak) = (median(micros), median(peaks));
        let least = *least.get_or_insert(peak);
        let bytes = (peak - least) * 1024.0 / hosts as f64;
        let rate = 1e6 / micros;
        println!(
            "{hosts:>7} hosts: {micros:>6.1} µs a host, {rate:>7.0} hosts a second, {bytes:>5.0} bytes a host"
        );
    }
    Ok(())
}

/// Runs one size in a process of its own: seconds, and its peak of memory in KiB.
fn run(hosts: usize) -> Result<(f64, u64), AnyError> {
    let this = std::env::current_exe()?;
    let output = Command::new(this).args(["child", &hosts.to_string()]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let said = String::from_utf8(output.stdout)?;
    let mut words = said.split_whitespace();
    let mut next = || words.next().ok_or("the child said nothing");
    Ok((next()?.parse()?, next()?.parse()?))
}

#[tokio::main]
async fn child(hosts: usize) -> Result<(), AnyError> {
    let directory = tempfile::tempdir()?;
    let store = std::sync::Arc::new(DiskStore::open(directory.path(), QueueConfig::new()).await?);
    let optimist = FnExecutor::new(|cx, task| async move {
        let release = ReleaseId::from(&task.deployment);
        let done = |target: Target| {
            cx.report(Fact::HostStarted { host: target.host.clone() });
            let result = HostResult::succeeded(target.host, release.clone());
            cx.report(Fact::HostFinished { result: result.clone() });
            result
        };
        Ok(ReleaseReport::new(task.hosts.into_iter().map(done).collect()))
    });
    let node = ControlNode::builder()
        .resolver(StaticResolver::new(samples::fleet(hosts)))
        .verifier(FakeVerifier::new(*b"package"))
        .executor(optimist)
        .queue(std::sync::Arc::clone(&store))
        .journal(store)
        .build()
        .await?;
    let rollout =
        RolloutSpec::default().with_batches(vec!["10%".parse()?]).with_max_parallel(1_000);
    let request = samples::request(samples::package(b"package"))
        .with_id(DeploymentId::new("d1")?)
        .with_rollout(rollout.with_deadline(Duration::from_secs(3_600)));
    let begun = Instant::now();
    let report = node.submit(request).await?.wait().await?;
    let taken = begun.elapsed();
    if !report.succeeded() {
        return Err(format!("{:?}", report.failure).into());
    }
    println!("{} {}", taken.as_secs_f64(), peak_kib(std::process::id()).unwrap_or(0));
    Ok(())
}
