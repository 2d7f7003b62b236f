//! What does a release on hosts over SSH take, against a shell pipeline as an expert tunes it?
//!
//! ```text
//! cargo bench -p deploy-benches --bench ssh_fleet     everything, or after `--` one of these alone:
//!   push 10 1          10 hosts, 1 MiB
//!   distant 10 1 20    the same, with a round trip of 20 ms
//!   steps 10 1 20      when each step of ours began, near and with a round trip of 20 ms
//!   stream 256 0       256 MiB through one connection, with a round trip of 0 ms
//!   again              a second release of a package that is there
//!   hanging            one of ten hosts says nothing
//! ```
//!
//! The hosts are sshd's on loopback, so they share the processor with the side that deploys. The floor
//! is `xargs -P` with one tuned `ssh` a host, the whole job in one command (see `src/floor.rs`); ours is
//! `ReleaseExecutor` over `SshConnector` in a process of its own, whose start counts. Both run in
//! turn, 16 hosts at once; processor time and memory are of the deploying side alone. The floor
//! leaves the release in the page cache; ours has it on the disk before it switches, so the floor also
//! runs with a `sync -f` there.

use std::time::Duration;

use deploy_benches::cost::{self, Cost};
use deploy_benches::floor::Floor;
use deploy_benches::ours::{self, Ours};
use deploy_benches::package::Package;
use deploy_benches::process::median;
use deploy_benches::stream;
use deploy_testkit::{Direction, FaultProxy, Faults, SshFleet};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

const PARALLEL: usize = 16;

/// How far away distant hosts are, in milliseconds there and back.
const ROUND_TRIP: u64 = 20;

fn main() -> Result<(), AnyError> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["release", package, task, pins, identity] => {
            runtime()?.block_on(ours::run(package, task, pins, identity))
        }
        ["stream", file, endpoint, pins, identity] => {
            runtime()?.block_on(stream::run(file, endpoint, pins, identity))
        }
        ["push", hosts, mib] => push(hosts.parse()?, mib.parse()?),
        ["again"] => again(),
        ["distant", hosts, mib, trip] => distant(hosts.parse()?, &[mib.parse()?], trip.parse()?),
        ["steps", hosts, mib, trip] => steps(hosts.parse()?, mib.parse()?, trip.parse()?),
        ["hanging"] => hanging(),
        ["stream", mib, trip] => streamed(mib.parse()?, trip.parse()?),
        [] => {
            for hosts in [1, 10, 50] {
                push(hosts, 1)?;
                push(hosts, 20)?;
            }
            again()?;
            distant(10, &[1, 20], ROUND_TRIP)?;
            hanging()?;
            streamed(256, 0)?;
            streamed(64, ROUND_TRIP)
        }
        _ => Err("see the first lines of benches/ssh_fleet.rs".into()),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// One bench: a floor, the same with a sync, and ours.
struct Bench {
    directory: tempfile::TempDir,
    package: Package,
    floor: Floor,
    ours: Ours,
    number: u64,
}

impl Bench {
    fn new(fleet: &SshFleet, mib: usize) -> Result<Self, AnyError> {
        let directory = tempfile::tempdir()?;
        let package = Package::write(directory.path(), mib)?;
        let (floor, ours) = (Floor::of(fleet, PARALLEL), Ours::of(fleet, PARALLEL));
        Ok(Self { directory, package, floor, ours, number: 0 })
    }

    /// What one run is not to pay of what another one left unwritten.
    fn settle() -> Result<(), AnyError> {
        std::process::Command::new("sync").status()?;
        Ok(())
    }

    fn floor(&mut self, floor: &Floor) -> Result<(std::path::PathBuf, Vec<String>), AnyError> {
        self.number += 1;
        Self::settle()?;
        let id = format!("f{}", self.number);
        Ok(("env".into(), floor.words(&self.package, &id, self.directory.path())?))
    }

    fn ours(&mut self) -> Result<(std::path::PathBuf, Vec<String>), AnyError> {
        self.number += 1;
        Self::settle()?;
        let words = self.ours.words(&self.package, self.number, self.directory.path())?;
        Ok((std::env::current_exe()?, words))
    }

    /// Reaches the hosts through proxies.
    fn through(&mut self, fleet: &SshFleet, between: &[FaultProxy]) {
        for (index, (host, proxy)) in fleet.hosts().iter().zip(between).enumerate() {
            self.floor.hosts[index].0 = proxy.address();
            let endpoint = host.through(proxy.address());
            self.ours.targets[index] = host.target_at(endpoint, "/ours");
        }
    }

    fn compare(&mut self, name: &str, rounds: usize) -> Result<(), AnyError> {
        let (plain, synced) = (self.floor.clone(), self.floor.clone().synced());
        let (mut floors, mut synceds, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        let (mut peaks, mut floor_peak) = (Vec::new(), 0);
        // The first round makes the directories and is not counted.
        for round in 0..=rounds {
            let (program, words) = self.floor(&plain)?;
            let floor = cost::timed(&program, &words)?.0;
            let (program, words) = self.ours()?;
            let (cost, said) = cost::timed(&program, &words)?;
            let peak = said.lines().find_map(|line| line.strip_prefix("peak ")?.parse().ok());
            let (program, words) = self.floor(&synced)?;
            let synced = cost::timed(&program, &words)?.0;
            if round > 0 {
                floors.push(floor);
                ours.push(cost);
                synceds.push(synced);
                peaks.push(peak.unwrap_or(f64::NAN));
            } else {
                let (program, words) = self.floor(&plain)?;
                floor_peak = cost::peak_of_all(&program, &words)?;
            }
        }
        let (floor, synced, ours) = (middle(&floors), middle(&synceds), middle(&ours));
        let peak = median(peaks) / 1024.0;
        println!("{name}, {rounds} rounds in turn, medians:");
        println!(
            "  floor         {:.3} s wall, {:.3} s processor, {} MiB",
            floor.wall,
            floor.processor,
            floor_peak / 1024
        );
        println!("  floor, synced {:.3} s wall, {:.3} s processor", synced.wall, synced.processor);
        println!(
            "  ours          {:.3} s wall, {:.3} s processor, {peak:.0} MiB",
            ours.wall, ours.processor
        );
        println!(
            "  ratios        {:.2} wall ({:.2} of the synced floor), {:.2} processor",
            ours.wall / floor.wall,
            ours.wall / synced.wall,
            ours.processor / floor.processor
        );
        Ok(())
    }
}

fn middle(costs: &[Cost]) -> Cost {
    Cost {
        wall: median(costs.iter().map(|cost| cost.wall).collect()),
        processor: median(costs.iter().map(|cost| cost.processor).collect()),
    }
}

fn push(hosts: usize, mib: usize) -> Result<(), AnyError> {
    let fleet = SshFleet::builder().start(hosts)?;
    let rounds = if hosts * mib > 200 { 3 } else { 5 };
    Bench::new(&fleet, mib)?.compare(&format!("{hosts} hosts, {mib} MiB"), rounds)
}

/// Hosts that are some milliseconds away, there and back.
fn distant(hosts: usize, sizes: &[usize], trip: u64) -> Result<(), AnyError> {
    let fleet = SshFleet::builder().start(hosts)?;
    let between = far_away(&fleet, trip);
    for &mib in sizes {
        let mut bench = Bench::new(&fleet, mib)?;
        // The hosts remember the numbers of the releases before.
        bench.number = mib as u64 * 1000;
        bench.through(&fleet, &between);
        bench.compare(&format!("{hosts} hosts, {mib} MiB, a round trip of {trip} ms"), 5)?;
    }
    Ok(())
}

/// When each step of a release began, near and far away.
fn steps(hosts: usize, mib: usize, trip: u64) -> Result<(), AnyError> {
    let fleet = SshFleet::builder().start(hosts)?;
    let between = far_away(&fleet, trip);
    let mut bench = Bench::new(&fleet, mib)?;
    for name in ["warming up", "near", "far"] {
        if name == "far" {
            bench.through(&fleet, &between);
        }
        let (program, words) = bench.ours()?;
        println!("{name}:\n{}", cost::timed(&program, &words)?.1);
    }
    Ok(())
}

/// A proxy in front of each host, which makes a round trip take so many milliseconds.
fn far_away(fleet: &SshFleet, trip: u64) -> Vec<FaultProxy> {
    let half = Duration::from_millis(trip) / 2;
    let way = |faults: Faults, way| faults.delay(way, half);
    let faults = Direction::BOTH.into_iter().fold(Faults::none(), way);
    fleet.hosts().iter().map(|host| FaultProxy::start(host.address(), faults)).collect()
}

/// A second release of a package that is on the host.
fn again() -> Result<(), AnyError> {
    let fleet = SshFleet::builder().start(1)?;
    let host = &fleet.hosts()[0];
    let proxy = FaultProxy::start(host.address(), Faults::none());
    let mut bench = Bench::new(&fleet, 20)?;
    bench.ours.targets[0] = host.target_at(host.through(proxy.address()), "/ours");
    bench.ours.keep_packages = 2;
    println!("1 host, a package of {} bytes:", bench.package.digests.size);
    for name in ["first release", "second release"] {
        let before = proxy.passed(Direction::Upstream);
        let (program, words) = bench.ours()?;
        let cost = cost::timed(&program, &words)?.0;
        let sent = proxy.passed(Direction::Upstream) - before;
        println!("  {name}: {sent} bytes sent in all, {:.3} s", cost.wall);
    }
    Ok(())
}

/// One of ten hosts accepts connections and says nothing.
fn hanging() -> Result<(), AnyError> {
    let fleet = SshFleet::builder().start(10)?;
    let mut bench = Bench::new(&fleet, 1)?;
    println!("10 hosts, 1 MiB, seconds until all that answer are done:");
    for name in ["all answer", "all answer", "one hangs"] {
        if name == "one hangs" {
            fleet.hosts()[4].hang();
        }
        let (program, words) = bench.ours()?;
        let (cost, said) = cost::timed(&program, &words)?;
        let ends = |word: &str| {
            let of = said.lines().filter(|line| line.contains(word));
            let ends = of.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            ends.fold(0.0, f64::max)
        };
        let count = said.lines().filter(|line| line.contains("Succeeded")).count();
        println!(
            "  {name}: {count} done after {:.3}, all after {:.3}",
            ends("Succeeded"),
            cost.wall
        );
    }
    Ok(())
}

/// So many MiB through one connection, to a host that is so many milliseconds away.
fn streamed(mib: u32, trip: u64) -> Result<(), AnyError> {
    let fleet = SshFleet::builder().start(1)?;
    let between = far_away(&fleet, trip);
    let host = &fleet.hosts()[0];
    let far = || host.through(between[0].address());
    let endpoint = if trip > 0 { far() } else { host.endpoint() };
    let directory = tempfile::tempdir()?;
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    let bench = stream::Stream::new(&fleet, endpoint, directory.path(), mib.into())?;
    for round in 0..=5 {
        let floor = cost::timed("sh".as_ref(), &bench.floor_words())?.0;
        let cost = cost::timed(&std::env::current_exe()?, &bench.words())?.0;
        if round > 0 {
            floors.push(floor);
            ours.push(cost);
        }
    }
    let (floor, ours) = (middle(&floors), middle(&ours));
    println!(
        "{mib} MiB through one connection, {trip} ms there and back, 5 rounds in turn, medians:"
    );
    for (name, cost) in [("cat | ssh", floor), ("ours", ours)] {
        let speed = f64::from(mib) / cost.wall;
        println!("  {name}: {speed:.0} MiB/s, {:.3} s of processor", cost.processor);
    }
    println!("  ratio of the speeds: {:.2}", floor.wall / ours.wall);
    Ok(())
}
