//! A child process: started, listened to, and killed.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};

use super::book::Book;
use super::tracer::Tracer;

/// Names the store to the child; without it the child's test has nothing to do.
pub(super) const STORE: &str = "DEPLOY_QUEUE_CHILD_STORE";
/// What the child is to do.
pub(super) const PLAN: &str = "DEPLOY_QUEUE_CHILD_PLAN";
/// The number of the cycle, for ids that are used once.
pub(super) const CYCLE: &str = "DEPLOY_QUEUE_CHILD_CYCLE";

/// A fail point to be set, if any.
pub(super) const FAIL_POINT: &str = "DEPLOY_QUEUE_CHILD_FAIL_POINT";

/// What a child is to do with its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Work until it is killed.
    Load,
    /// The same, and acknowledge each call before it is made: the planted bug.
    Early,
    /// Do each thing a few times, one after the other, and close.
    Script,
    /// The same, and open once more, in the same process.
    Twice,
    /// Open and close.
    Recover,
    /// Open, and close when the standard input ends.
    Hold,
}

impl Plan {
    const ALL: [Self; 6] =
        [Self::Load, Self::Early, Self::Script, Self::Twice, Self::Recover, Self::Hold];

    pub(super) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|plan| format!("{plan:?}") == name).unwrap()
    }
}

/// A child to be started.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) store: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) cycle: u64,
    tracer: Option<Tracer>,
    fail_point: Option<String>,
}

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    says: BufReader<ChildStderr>,
    /// Whether what it says of finished calls is no longer believed.
    doubted: bool,
    /// The child's own process id, under a tracer another one than that of what was started.
    pid: Option<Pid>,
    /// What it said that is no word: panics, and the tracer's complaints.
    pub(crate) noise: Vec<String>,
}

impl Job {
    pub(crate) fn new(store: &Path, plan: Plan, cycle: u64) -> Self {
        Self { store: store.to_owned(), plan, cycle, tracer: None, fail_point: None }
    }

    pub(crate) fn with_tracer(mut self, tracer: Tracer) -> Self {
        self.tracer = Some(tracer);
        self
    }

    /// Lets the child `panic` or `abort` when it comes to a point for the `times`th time.
    pub(crate) fn with_fail_point(mut self, point: &str, times: u32, action: &str) -> Self {
        self.fail_point = Some(format!("{point} {times} {action}"));
        self
    }

    pub(crate) fn start(&self) -> Running {
        let program = std::env::current_exe().unwrap();
        let arguments = ["harness::child::child", "--exact", "--nocapture", "--test-threads=1"];
        let mut command = match &self.tracer {
            None => Command::new(program),
            Some(tracer) => {
                let mut command = Command::new("strace");
                command.args(tracer.arguments()).arg(OsString::from(program));
                command
            }
        };
        if let Some(point) = &self.fail_point {
            command.env(FAIL_POINT, point);
        }
        let child = command
            .args(arguments)
            .env(STORE, &self.store)
            .env(PLAN, format!("{:?}", self.plan))
            .env(CYCLE, self.cycle.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{error}; `apt-get install strace` provides strace"));
        let mut child = child;
        let says = BufReader::new(child.stderr.take().unwrap());
        Running { child, says, doubted: false, pid: None, noise: Vec::new() }
    }

    /// Runs the child to its end.
    pub(crate) fn run(&self, book: &mut Book) -> Vec<String> {
        self.start().end(book)
    }
}

impl Running {
    /// Listens until the child has said so many words more. Says whether it did, or ended before.
    pub(crate) fn hear(&mut self, words: u64, book: &mut Book) -> bool {
        for _ in 0..words {
            loop {
                let Some(line) = self.line() else {
                    return false;
                };
                if self.take(&line, book) {
                    break;
                }
            }
        }
        true
    }

    /// Listens to all that the child has said up to now. What it says later of calls that have ended
    /// is not believed: an fdatasync during which a file system is shut down may return without an
    /// error and without the data on disk (Linux 6.18, ext4), which a real power loss does not do.
    pub(crate) fn doubt(&mut self, book: &mut Book) {
        let waiting = ioctl_fionread(self.says.get_ref()).unwrap();
        let mut said = self.says.buffer().len() + usize::try_from(waiting).unwrap();
        while said > 0
            && let Some(line) = self.line()
        {
            // A line that was not whole yet ends later than what was said.
            said = said.saturating_sub(line.len());
            self.take(&line, book);
        }
        self.doubted = true;
    }

    /// The next line, with what ends it.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.says.read_line(&mut line);
        read.is_ok_and(|length| length > 0).then_some(line)
    }

    /// Takes down a line, and says whether it was a word.
    fn take(&mut self, line: &str, book: &mut Book) -> bool {
        let line = line.trim_end_matches('\n');
        let Some(word) = line.strip_prefix('@') else {
            self.noise.push(line.to_owned());
            return false;
        };
        if let Some(pid) = word.strip_prefix("pid ") {
            self.pid = Pid::from_raw(pid.parse().unwrap());
        }
        let ended = matches!(word.split(' ').next(), Some("ok" | "claimed" | "open"));
        if !(self.doubted && ended) {
            book.note(word);
        }
        true
    }

    /// Listens until the child says a word that belongs to no call.
    pub(crate) fn hear_of(&mut self, mark: &str, book: &mut Book) {
        let before = book.said(mark);
        while book.said(mark) == before {
            assert!(self.hear(1, book), "the child ended before `{mark}`: {:?}", self.noise);
        }
    }

    /// The child's own process id.
    pub(crate) fn id(&self) -> String {
        self.pid.unwrap().as_raw_nonzero().to_string()
    }

    /// Kills the child with -9.
    pub(crate) fn kill(&self) {
        // A child that has ended by itself is as dead.
        let _ = kill_process(self.pid.unwrap(), Signal::KILL);
    }

    /// Listens until the child has ended: what it still said is true as well.
    pub(crate) fn end(mut self, book: &mut Book) -> Vec<String> {
        drop(self.child.stdin.take());
        while self.hear(1, book) {}
        self.child.wait().unwrap();
        let panicked = self.noise.iter().any(|line| line.contains("panicked at"))
            && !self.noise.iter().any(|line| line.contains("the fail point"));
        assert!(!panicked, "the child failed: {:#?}", self.noise);
        self.noise
    }
}

/// How many cycles of a kind there are: so many, unless a variable says another number.
pub(crate) fn cycles(variable: &str, normal: u64) -> u64 {
    std::env::var(variable).map_or(normal, |number| number.parse().unwrap())
}

/// A directory in memory, for what is opened thousands of times and needs no real disk.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

/// Makes a directory of files like another one.
pub(crate) fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Numbers that look random and are the same each time: xorshift (Marsaglia, 2003).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}
