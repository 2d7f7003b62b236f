//! How long does a release on 50 local hosts take through an agent, against a shell that does the
//! same?
//!
//! ```text
//! cargo bench -p deploy-benches --bench local_fleet
//! ```
//!
//! The package is a tar.gz of about 1,000 files and 20 MiB. The floor does for each host what an expert
//! would put into a script: md5sum, tar xz into a new release, sync, the link renamed over, three
//! releases kept; two hosts at a time, since the machine has two cores. Ours is the release bot against
//! an agent of its own: it downloads twice, checks on the way, inspects, unpacks in process, syncs,
//! switches, prunes and records, and the processes' start is counted. Both run in turn.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use deploy_benches::{bot, process, server};
use deploy_core::model::Md5Digest;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

const HOSTS: usize = 50;
const ROUNDS: usize = 5;

const FLOOR: &str = r#"
set -e
root=$1/floor/h$2/srv/p id=$3
mkdir -p "$root/releases/$id"
echo "$MD5  $PACKAGE" | md5sum -c --quiet
tar xzf "$PACKAGE" -C "$root/releases/$id"
sync -f "$root/releases/$id"
ln -s "releases/$id" "$root/current.new"
mv -T "$root/current.new" "$root/current"
ls -1t "$root/releases" | tail -n +4 | while read -r old; do rm -rf "$root/releases/$old"; done
"#;

fn main() -> Result<(), AnyError> {
    let bot = bot::build()?;
    let directory = tempfile::tempdir()?;
    let package = write_package(directory.path())?;
    let bytes = std::fs::read(&package)?;
    let md5 = Md5Digest::of(&bytes).to_string();
    println!("package: {} KiB", bytes.len() / 1024);
    drop(bytes);
    let agent = bot::start_agent(&bot, directory.path(), HOSTS)?;
    let url = format!("http://{}/p.tar.gz", server::serve(&package)?);
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        floors.push(floor(directory.path(), &package, &md5, round)?);
        let begun = Instant::now();
        let status = bot::deploy(&bot, directory.path(), &url, &md5, 8)?.status()?;
        if !status.success() {
            return Err(format!("the deployment ended with {status}").into());
        }
        ours.push(begun.elapsed().as_secs_f64());
    }
    let peak = process::peak_kib(agent.id()).unwrap_or(0) / 1024;
    let (floor, ours) = (process::median(floors), process::median(ours));
    println!("{HOSTS} hosts, {ROUNDS} rounds in turn, medians:");
    println!("shell {floor:.2} s, ours {ours:.2} s, ratio {:.2}; agent's peak {peak} MiB", ours / floor);
    Ok(())
}

fn floor(directory: &Path, package: &Path, md5: &str, round: usize) -> Result<f64, AnyError> {
    let begun = Instant::now();
    let hosts: String = (1..=HOSTS).map(|n| format!("{n}\n")).collect();
    let mut xargs = Command::new("xargs")
        .args(["-P", "2", "-I", "{}", "sh", "-c", FLOOR, "floor"])
        .arg(directory)
        .args(["{}", &format!("r{round}")])
        .env("MD5", md5)
        .env("PACKAGE", package)
        .stdin(Stdio::piped())
        .spawn()?;
    std::io::Write::write_all(&mut xargs.stdin.take().ok_or("no input")?, hosts.as_bytes())?;
    if !xargs.wait()?.success() {
        return Err("the floor failed".into());
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// About 1,000 files whose bytes compress about as code does.
fn write_package(directory: &Path) -> Result<std::path::PathBuf, AnyError> {
    let script = r#"
set -e
mkdir -p "$1/src"
cd "$1/src"
for n in $(seq 1 1000); do
    { head -c 20480 /dev/urandom; seq "$n" "$((n + 3000))"; } > "file-$n"
done
tar czf "$1/p.tar.gz" .
rm -rf "$1/src"
"#;
    let status = Command::new("sh").args(["-c", script, "package"]).arg(directory).status()?;
    if !status.success() {
        return Err("the package could not be made".into());
    }
    Ok(directory.join("p.tar.gz"))
}
