//! How much does downloading, two digests and a durable file cost beside MD5 alone?
//!
//! ```text
//! cargo bench -p deploy-benches --bench download
//! ```
//!
//! The floor reads a file of 1 GiB, which is in the page cache, and computes its MD5 on one thread. Ours
//! downloads the same file from a server on loopback, computes MD5 and SHA-256, writes it, and syncs it.
//! Both run in turn.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use deploy_benches::{process, server};
use deploy_core::model::{Md5Digest, Md5Hasher, PackageSource, PackageUrl, TaskId};
use deploy_core::{Context, Verifier};
use deploy_http::{HttpVerifier, UrlPolicy};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

const SIZE: usize = 1 << 30;
const ROUNDS: usize = 5;

fn main() -> Result<(), AnyError> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("package");
    write_random(&file)?;
    let address = server::serve(&file)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let md5 = md5_of(&file)?;
        floors.push(begun.elapsed().as_secs_f64());
        let cache = directory.path().join(format!("cache-{round}"));
        let policy = UrlPolicy::new().allow_loopback();
        let verifier = HttpVerifier::builder(&cache).policy(policy).build()?;
        let url = PackageUrl::new(&format!("http://{address}/package"))?;
        let source = PackageSource::new(url, md5);
        let cx = Context::new(TaskId::new("bench")?);
        let begun = Instant::now();
        runtime.block_on(verifier.verify(cx, source))?;
        ours.push(begun.elapsed().as_secs_f64());
        std::fs::remove_dir_all(&cache)?;
    }
    let speed = |seconds: f64| f64::from(1024_u32) / seconds;
    let (floor, ours) = (process::median(floors), process::median(ours));
    println!("1 GiB, {ROUNDS} rounds in turn, medians:");
    println!(
        "MD5 alone {:.0} MiB/s, download with both digests and sync {:.0} MiB/s, ratio {:.2}",
        speed(floor),
        speed(ours),
        floor / ours
    );
    Ok(())
}

fn write_random(path: &Path) -> Result<(), AnyError> {
    let (mut from, mut to) = (File::open("/dev/urandom")?, File::create(path)?);
    let mut chunk = vec![0; 1 << 20];
    for _ in 0..SIZE >> 20 {
        from.read_exact(&mut chunk)?;
        to.write_all(&chunk)?;
    }
    Ok(())
}

fn md5_of(path: &Path) -> Result<Md5Digest, AnyError> {
    let mut file = File::open(path)?;
    let mut hasher = Md5Hasher::new();
    let mut chunk = vec![0; 1 << 18];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&chunk[..count]),
        }
    }
}
