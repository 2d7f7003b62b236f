//! What does a release cost on the host: how many processes, how much processor time?
//!
//! ```text
//! cargo bench -p deploy-benches --bench host_cost
//! ```
//!
//! A package of 1,000 files and two hooks, released on this machine again and again: with the host's
//! own tools, as over SSH, and in process. Processes are counted by strace in a run of their own.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use async_trait::async_trait;
use deploy_benches::package::Package;
use deploy_benches::release;
use deploy_core::model::{HostStatus, Target};
use deploy_core::{
    CommandIo, ConnectError, Connector, Context, Executor, Exit, LocalConnector, ReleaseExecutor,
    Session, SessionError,
};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: u64 = 7;

fn main() -> Result<(), AnyError> {
    let words: Vec<String> = std::env::args().collect();
    if let [_, word, package, root, mode, rounds] = &words[..]
        && word == "release"
    {
        return releases(package, root, mode == "in-process", rounds.parse()?);
    }
    let directory = tempfile::tempdir()?;
    for mib in [1, 20] {
        let package = Package::write(directory.path(), mib)?;
        for mode in ["streamed", "in-process"] {
            println!("{mib} MiB, {mode}:");
            let root = directory.path().join(format!("{mode}-{mib}"));
            let own = std::env::current_exe()?;
            let arguments = |command: &mut Command, root: &Path, rounds: u64| {
                command.arg("release").arg(&package.path).arg(root);
                command.args([mode, &rounds.to_string()]);
            };
            let mut timed = Command::new(&own);
            arguments(&mut timed, &root, ROUNDS);
            run(&mut timed)?;
            // The difference of four releases and two is what two cost, without the first ones.
            let mut counts = Vec::new();
            for rounds in [4, 6] {
                let log = directory.path().join("strace");
                let mut traced = Command::new("strace");
                traced.args(["-f", "-qq", "-e", "trace=process,fsync,sync,syncfs", "-o"]);
                traced.arg(&log).arg(&own);
                arguments(&mut traced, &root.with_extension(rounds.to_string()), rounds);
                traced.stdout(std::process::Stdio::null());
                run(&mut traced)?;
                counts.push(count(&std::fs::read_to_string(&log)?));
            }
            for ((name, few), (_, many)) in counts[0].iter().zip(&counts[1]) {
                println!("  {name}: {}", (many - few) / 2);
            }
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<(), AnyError> {
    let status =
        command.status().map_err(|e| format!("{command:?}: {e}; apt-get install strace"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

/// Processes, programs and syncs in a log of strace.
fn count(log: &str) -> [(&'static str, i64); 3] {
    let lines = |words: &[&str]| {
        let is = |line: &&str| {
            let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
            words.iter().any(|word| call.starts_with(word)) && !call.contains("CLONE_THREAD")
        };
        i64::try_from(log.lines().filter(is).count()).unwrap_or(i64::MAX)
    };
    [
        ("processes", lines(&["clone(", "clone3(", "fork(", "vfork("])),
        ("programs", lines(&["execve("])),
        ("syncs", lines(&["fsync(", "sync(", "syncfs("])),
    ]
}

/// Releases again and again, in this process, and says what one costs.
#[tokio::main]
async fn releases(
    package: &str,
    root: &str,
    in_process: bool,
    rounds: u64,
) -> Result<(), AnyError> {
    let package = Package::of(package.into())?;
    let connector = Reached { in_process };
    let executor = ReleaseExecutor::builder(connector, package.verifier()?).build();
    let target =
        Target::new("h1".parse()?, "127.0.0.1".parse()?, "local:/".parse()?, root.parse()?);
    let (mut walls, mut processors) = (Vec::new(), Vec::new());
    for number in 1..=rounds {
        let task = release::task(&package, vec![target.clone()], number)?;
        let (begun, before) = (Instant::now(), children_ticks()?);
        let report = executor.execute(Context::new(task.id.clone()), task).await?;
        if report.hosts.iter().any(|host| host.status != HostStatus::Succeeded) {
            return Err(format!("{report:?}").into());
        }
        walls.push(begun.elapsed().as_secs_f64() * 1e3);
        processors.push((children_ticks()? - before) * 10.0);
    }
    let (wall, processor) =
        (deploy_benches::process::median(walls), deploy_benches::process::median(processors));
    println!("  {wall:.0} ms, of which the processor works {processor:.0} ms in other processes");
    Ok(())
}

/// The processor time of the children that ended, in hundredths of a second.
fn children_ticks() -> Result<f64, AnyError> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    Ok(fields[13].parse::<f64>()? + fields[14].parse::<f64>()?)
}

/// This machine, reached as if it were another one, or not.
#[derive(Debug)]
struct Reached {
    in_process: bool,
}

#[async_trait]
impl Connector for Reached {
    async fn connect(&self, cx: Context, target: Target) -> Result<Box<dyn Session>, ConnectError> {
        let session = LocalConnector::new().connect(cx, target).await?;
        Ok(if self.in_process { session } else { Box::new(Remote(session)) })
    }
}

#[derive(Debug)]
struct Remote(Box<dyn Session>);

#[async_trait]
impl Session for Remote {
    async fn run(&self, cx: Context, script: String, io: CommandIo) -> Result<Exit, SessionError> {
        self.0.run(cx, script, io).await
    }
}
