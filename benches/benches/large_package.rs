//! How much memory do a control node and an agent need for a package of 1 GiB and three hosts?
//!
//! ```text
//! cargo bench -p deploy-benches --bench large_package
//! ```
//!
//! Real processes: the release bot downloads and verifies the package, an agent downloads and verifies
//! it again and unpacks it onto three hosts. Prints the peak of resident memory of each process.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use deploy_benches::{bot, process, server};
use deploy_core::model::{Digests, Md5Digest};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

const FILES: u64 = 64;
const FILE: u64 = 16 * 1024 * 1024;

fn main() -> Result<(), AnyError> {
    let bot = bot::build()?;
    let directory = tempfile::tempdir()?;
    let package = directory.path().join("large.tar");
    let md5 = write_package(&package)?;
    let address = server::serve(&package)?;
    let agent = bot::start_agent(&bot, directory.path(), 3)?;
    let idle = process::peak_kib(agent.id()).unwrap_or(0);
    let url = format!("http://{address}/large.tar");
    let begun = Instant::now();
    let mut control = bot::deploy(&bot, directory.path(), &url, &md5.to_string(), 3)?.spawn()?;
    let (status, control_peak) = process::wait_with_peak(&mut control)?;
    let took = begun.elapsed();
    let agent_peak = process::peak_kib(agent.id()).unwrap_or(0);
    if !status.success() {
        return Err(format!("the deployment ended with {status}").into());
    }
    println!("package: 1 GiB in {FILES} files, 3 hosts, {took:.1?}");
    println!("peak memory, control node: {} MiB", control_peak / 1024);
    println!("peak memory, agent: {} MiB (idle: {} MiB)", agent_peak / 1024, idle / 1024);
    Ok(())
}

/// Writes a tar of random bytes and gives its MD5.
fn write_package(path: &Path) -> Result<Md5Digest, AnyError> {
    let mut random = File::open("/dev/urandom")?;
    let mut out = BufWriter::new(File::create(path)?);
    let mut digests = Digests::new();
    let mut chunk = vec![0; 1024 * 1024];
    let mut put = |bytes: &[u8]| {
        digests.update(bytes);
        out.write_all(bytes)
    };
    for number in 0..FILES {
        put(&header(&format!("data/{number}"), FILE))?;
        for _ in 0..FILE / 1024 / 1024 {
            random.read_exact(&mut chunk)?;
            put(&chunk)?;
        }
    }
    put(&[0; 1024])?;
    out.flush()?;
    Ok(digests.finish().md5)
}

/// The header of a file in a ustar archive.
fn header(name: &str, size: u64) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}
