//! strace around a child: which calls it makes on its store's files, and what is done to the Nth.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What changes a file or a directory, or makes a change survive.
const CHANGES: &str = "write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate,rename,renameat,\
    renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,copy_file_range,sync_file_range,msync,\
    fsync,fdatasync";

/// strace around a child.
#[derive(Clone, Debug)]
pub(crate) struct Tracer {
    log: PathBuf,
    /// The paths whose calls count; all, when there are none.
    paths: Vec<PathBuf>,
    inject: Vec<String>,
}

impl Tracer {
    /// Looks, and writes down what it sees.
    pub(crate) fn new(log: &Path) -> Self {
        Self { log: log.to_owned(), paths: Vec::new(), inject: Vec::new() }
    }

    /// Does something to each call on the paths that were seen: `fsync:error=EIO:when=3`.
    pub(crate) fn injecting(&self, calls: &Calls, what: &str) -> Self {
        let paths = calls.paths.iter().cloned().collect();
        Self { log: self.log.clone(), paths, inject: vec![what.to_owned()] }
    }

    /// Lets every fsync do nothing and say that all is well: the planted bug.
    pub(crate) fn without_fsync(log: &Path) -> Self {
        let inject = vec!["fsync,fdatasync,sync_file_range,msync,sync,syncfs:retval=0".to_owned()];
        Self { log: log.to_owned(), paths: Vec::new(), inject }
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        let log = self.log.to_str().unwrap();
        let trace = format!("trace={CHANGES}");
        let mut arguments: Vec<String> =
            ["-f", "-qq", "-y", "-o", log, "-e", &trace].map(str::to_owned).into();
        // Which is faster, and delivers no signals.
        if !self.inject.iter().any(|inject| inject.contains("signal=")) {
            arguments.push("--seccomp-bpf".to_owned());
        }
        for path in &self.paths {
            arguments.extend(["-P".to_owned(), path.to_str().unwrap().to_owned()]);
        }
        for inject in &self.inject {
            arguments.extend(["-e".to_owned(), format!("inject={inject}")]);
        }
        arguments
    }

    /// The lines that were written down.
    pub(crate) fn seen(&self) -> Vec<String> {
        fs::read_to_string(&self.log).unwrap().lines().map(str::to_owned).collect()
    }

    /// The calls on files of a directory, and on the directory, that were written down.
    pub(crate) fn calls(&self, directory: &Path) -> Calls {
        let mut calls = Calls::default();
        let mut threads: BTreeMap<(String, String), u64> = BTreeMap::new();
        for line in self.seen() {
            let mut paths = paths(&line).filter(|path| path.starts_with(directory)).peekable();
            if paths.peek().is_none() {
                continue;
            }
            calls.paths.extend(paths);
            let Some((thread, call)) = line.split_once(|c: char| c.is_ascii_whitespace()) else {
                continue;
            };
            let Some((name, _)) = call.trim_start().split_once('(') else {
                continue;
            };
            *threads.entry((thread.to_owned(), name.to_owned())).or_default() += 1;
        }
        for ((_, name), count) in threads {
            let most = calls.counts.entry(name).or_default();
            *most = count.max(*most);
        }
        calls
    }
}

/// What a child did to its store's files.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) paths: BTreeSet<PathBuf>,
    /// How often each call was made by the thread that made it most.
    pub(crate) counts: BTreeMap<String, u64>,
}

/// The paths in a line of strace: quoted, or after a number in angle brackets.
fn paths(line: &str) -> impl Iterator<Item = PathBuf> + '_ {
    let quoted = line.split('"').skip(1).step_by(2);
    let opened = line.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(p, _)| p));
    quoted.chain(opened).filter(|path| path.starts_with('/')).map(PathBuf::from)
}
