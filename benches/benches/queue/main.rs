//! What does the queue on disk cost beside a file that is appended to and synced?
//!
//! ```text
//! cargo bench -p deploy-benches --bench queue [-- [--quick] [--directory PATH] [PART]...]
//! ```
//!
//! The floor is a file on the same disk that grows by records of 1 KiB, each synced (`fdatasync`) before
//! the next by one producer, or synced in groups for 64 producers: whatever came while the last sync
//! ran is written and synced together. Floor and store run in turn, and the medians of the rounds are
//! compared. A claim writes nothing, so the floor of claim and settlement is a record of 32 bytes.
//!
//! Parts, all of them by default: `speed` (push and work on an almost empty queue), `queued` (the same
//! with 1,000, 100,000 and 1,000,000 tasks queued), `wake` (from push to claim by an idle worker),
//! `size` (a million tasks: disk, memory, time to open), `idle` (processor time of an open store).
//! `--quick` does a tenth of the work in each round.

mod floor;
mod load;
mod parts;

use std::path::PathBuf;

pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Options {
    /// Does a tenth of the work in each round.
    quick: bool,
    /// Where the files are made.
    directory: PathBuf,
    parts: Vec<String>,
    /// Only open this store, and say what that costs: how `size` runs another process.
    open: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self, AnyError> {
        let directory = std::env::temp_dir();
        let mut options = Self { quick: false, directory, parts: Vec::new(), open: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                // Said by cargo to every bench.
                "--bench" => {}
                "--quick" => options.quick = true,
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

fn main() -> Result<(), AnyError> {
    let options = Options::read()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        if let Some(store) = &options.open {
            return parts::open(store).await;
        }
        if options.wants("speed") {
            parts::speed(&options).await?;
        }
        if options.wants("queued") {
            parts::queued(&options).await?;
        }
        if options.wants("wake") {
            parts::wake(&options).await?;
        }
        if options.wants("size") {
            parts::size(&options).await?;
        }
        if options.wants("idle") {
            parts::idle(&options).await?;
        }
        Ok(())
    })
}
