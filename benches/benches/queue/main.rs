//! What does the queue on disk cost beside a file that is appended to and synced?
//!
//! ```text
//! cargo bench -p deploy-benches --bench queue [-- [--quick] [--slow] [--directory PATH] [PART]...]
//! ```
//!
//! The floor is a file on the same disk that grows by records of 1 KiB, each synced (`fdatasync`) before
//! the next by one producer, or synced in groups for 64 producers: whatever came while the last sync
//! ran is written and synced together. Floor and store run in turn, and the medians of the rounds are
//! compared. A claim writes nothing, so the floor of claim and settlement is a record of 32 bytes.
//!
//! Parts, all of them by default: `speed` (push and work on an almost empty queue), `queued` (the same
//! with 1,000, 100,000 and 1,000,000 tasks queued, beside each other), `wake` (from push to claim by an idle worker),
//! `size` (a million tasks: disk, memory, time to open), `idle` (processor time of an open store).
//! `--quick` does a tenth of the work in each round. `--slow` lets every sync take 2 ms more, those of
//! the floor as well: the bench then runs under strace, which holds each back as it returns, and nothing
//! else.

mod floor;
mod load;
mod size;
mod speed;
mod wake;

use std::path::PathBuf;
use std::process::Command;

pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Options {
    /// Does a tenth of the work in each round.
    quick: bool,
    /// Runs under strace, where every sync takes longer.
    slow: bool,
    /// Where the files are made.
    directory: PathBuf,
    parts: Vec<String>,
    /// Only open this store, and say what that costs: how `size` runs another process.
    open: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self, AnyError> {
        let directory = std::env::temp_dir();
        let parts = Vec::new();
        let mut options = Self { quick: false, slow: false, directory, parts, open: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                // Said by cargo to every bench.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--slow" => options.slow = true,
                "--directory" => options.directory = words.next().ok_or("which directory?")?.into(),
                "--open" => options.open = Some(words.next().ok_or("which store?")?.into()),
                "speed" | "queued" | "wake" | "size" | "idle" => options.parts.push(word),
                _ => return Err(format!("unknown: {word}; see the head of the bench").into()),
            }
        }
        Ok(options)
    }

    /// A number of things to do, for the mode.
    pub(crate) fn count(&self, whole: usize) -> usize {
        if self.quick { whole / 10 } else { whole }
    }

    /// A new directory.
    pub(crate) fn new_directory(&self) -> Result<tempfile::TempDir, AnyError> {
        Ok(tempfile::Builder::new().prefix("deploy-bench-").tempdir_in(&self.directory)?)
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|name| name == part)
    }
}

/// Says to the bench that strace is around it.
const SLOWED: &str = "DEPLOY_BENCH_SLOWED";

/// Runs the bench once more, under strace, which adds 2 ms to each sync.
fn run_slowed() -> Result<(), AnyError> {
    let status = Command::new("strace")
        .args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"])
        .args(["-e", "inject=fsync,fdatasync:delay_exit=2000"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(SLOWED, "1")
        .status()
        .map_err(|error| format!("{error}; `apt-get install strace` provides strace"))?;
    if status.success() { Ok(()) } else { Err(format!("strace ended with {status}").into()) }
}

fn main() -> Result<(), AnyError> {
    let options = Options::read()?;
    if options.slow && std::env::var_os(SLOWED).is_none() {
        return run_slowed();
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        if let Some(store) = &options.open {
            return size::open(store).await;
        }
        if options.wants("speed") {
            speed::speed(&options).await?;
        }
        if options.wants("queued") {
            speed::queued(&options).await?;
        }
        if options.wants("wake") {
            wake::wake(&options).await?;
        }
        if options.wants("size") {
            size::size(&options).await?;
        }
        if options.wants("idle") {
            size::idle(&options).await?;
        }
        Ok(())
    })
}
