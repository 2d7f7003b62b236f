//! The store's directory: whose it is, who has it open, and how it comes to be.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::error::OpenError;
use super::log::Log;
use super::mark::Mark;
use super::names::Names;
use crate::failpoint::fail_point;

/// The newest format that is known here.
const FORMAT: u32 = 2;

/// The format without a log.
const WITHOUT_LOG: u32 = 1;

/// What the file `FORMAT` begins with.
const MAGIC: &str = "deploy-queue store, format ";

/// The files of a store.
const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "LOCK";
const MARK_FILE: &str = "MARK";
const DATABASE_FILE: &str = "store.redb";
const LOG_FILE: &str = "store.log";

/// A database that is being made.
const NEW_DATABASE_FILE: &str = "store.redb.new";

/// What is beside the database.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) mark: Mark,
    /// For the marks to come.
    pub(super) mark_file: File,
    /// The content of the log; none in a store of format 1.
    pub(super) log: Option<Vec<u8>>,
}

/// The directory of a store, locked for us until it is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    lock: File,
}

impl Directory {
    /// Finds or makes the directory, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::io(path, error);
        if let Some(file) = path.ancestors().find(|path| path.is_file()) {
            let (path, found) = (path.to_owned(), format!("{} is a file", file.display()));
            return Err(OpenError::NotAStore { path, found });
        }
        make(path).map_err(failed)?;
        // Looked at before the lock is made, so that nothing is left in a directory that is not ours.
        check_format(path)?;
        let lock = options().open(path.join(LOCK_FILE)).map_err(failed)?;
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            return Err(if error == rustix::io::Errno::WOULDBLOCK {
                OpenError::Locked { path: path.to_owned(), holder: holder(lock) }
            } else {
                failed(error.into())
            });
        }
        let machine = rustix::system::uname();
        let machine = machine.nodename().to_string_lossy().into_owned();
        let text = format!("process {} on {machine}\n", std::process::id());
        lock.write_all_at(text.as_bytes(), 0).map_err(failed)?;
        lock.set_len(text.len() as u64).map_err(failed)?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// The database.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    /// Makes the store's files unless they are there, with a database that `make` makes.
    ///
    /// The order is such that a crash in between leaves either a directory that is made again or a
    /// whole store: `FORMAT` comes after the database is complete, which gets its name last.
    pub(super) fn prepare(
        &self,
        make: impl FnOnce(&Path) -> Result<(), OpenError>,
    ) -> Result<Files, OpenError> {
        let failed = |error| OpenError::io(&self.path, error);
        let missing = |file| OpenError::Missing { path: self.path.clone(), file };
        let new = self.path.join(NEW_DATABASE_FILE);
        let format = check_format(&self.path)?;
        if format.is_none() {
            // Nothing can be made anew where something was kept.
            if !self.is_new().map_err(failed)? {
                return Err(missing(FORMAT_FILE));
            }
            if new.exists() {
                fs::remove_file(&new).map_err(failed)?;
            }
            // Made by us, so that nobody else may read it.
            drop(options().open(&new).map_err(failed)?);
            make(&new)?;
            fail_point("make.database");
            self.put(MARK_FILE, Mark::NEW.encode().as_bytes()).map_err(failed)?;
            fail_point("make.mark");
            self.put_log(&Log::new_content()).map_err(failed)?;
        }
        if !self.database().exists() {
            if !new.exists() {
                return Err(missing(DATABASE_FILE));
            }
            fs::rename(&new, self.database()).map_err(failed)?;
            sync(&self.path).map_err(failed)?;
        }
        if !self.path.join(MARK_FILE).exists() {
            return Err(missing(MARK_FILE));
        }
        let log = if format == Some(WITHOUT_LOG) {
            None
        } else if self.path.join(LOG_FILE).exists() {
            Some(self.read(LOG_FILE).map_err(failed)?.1)
        } else {
            return Err(missing(LOG_FILE));
        };
        let (mark_file, content) = self.read(MARK_FILE).map_err(failed)?;
        let mark = Mark::decode(&content).ok_or_else(|| OpenError::Corrupt {
            path: self.path.clone(),
            source: format!("the file {MARK_FILE} is not what was written").into(),
        })?;
        Ok(Files { mark, mark_file, log })
    }

    /// Opens the log, once all of it is in the database. A store without one is given one.
    pub(super) fn log(&self, read: Option<Vec<u8>>) -> Result<Log, OpenError> {
        let failed = |error| OpenError::io(&self.path, error);
        let content = match read {
            Some(content) => content,
            None => {
                let content = Log::new_content();
                self.put_log(&content).map_err(failed)?;
                content
            }
        };
        let file = options().open(self.path.join(LOG_FILE)).map_err(failed)?;
        Log::reuse(file, &content).map_err(|error| OpenError::store(&self.path, error))
    }

    /// The files of the store that is open now.
    pub(super) fn names(&self) -> Result<Names, OpenError> {
        let open = |name| Ok((name, File::open(self.path.join(name))?));
        let files = [LOG_FILE, DATABASE_FILE, MARK_FILE].into_iter().map(open);
        files.collect::<io::Result<_>>().map(Names::new).map_err(|e| OpenError::io(&self.path, e))
    }

    /// Says whether what is there, if anything, is left of a store that was being made.
    fn is_new(&self) -> io::Result<bool> {
        let read = |name| match fs::read(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            content => content.map(Some),
        };
        let mark = read(MARK_FILE)?.is_none_or(|mark| Mark::decode(&mark) == Some(Mark::NEW));
        Ok(mark && read(LOG_FILE)?.is_none_or(|log| log.len() == Log::NEW))
    }

    /// Opens a file, and reads all of it.
    fn read(&self, name: &str) -> io::Result<(File, Vec<u8>)> {
        let mut file = options().open(self.path.join(name))?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok((file, content))
    }

    /// Makes an empty log, and a store of it and the database.
    fn put_log(&self, content: &[u8]) -> io::Result<()> {
        self.put(LOG_FILE, content)?;
        fail_point("make.log");
        self.put(FORMAT_FILE, format!("{MAGIC}{FORMAT}\n").as_bytes())?;
        fail_point("make.format");
        Ok(())
    }

    /// Makes a small file, whole or not at all.
    fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = self.path.join(format!("{name}.new"));
        let mut file = options().truncate(true).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, self.path.join(name))?;
        sync(&self.path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A child process that is just being started still has the file open, and with it the lock;
        // so closing the file is not enough. When this fails, closing it is all there is.
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// What the holder of a lock says of itself. It is for people: a lock without a name is as good.
fn holder(mut lock: File) -> String {
    let mut text = String::new();
    let _ = lock.read_to_string(&mut text);
    match text.trim() {
        "" => "a process that has not said its name yet".to_owned(),
        name => name.to_owned(),
    }
}

/// How our files are opened: ours alone, since payloads may hold what is nobody else's business.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options
}

/// Makes the directory unless it is there, and those above it, so that their names survive a power
/// loss.
fn make(path: &Path) -> io::Result<()> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.is_dir();
    let missing: Vec<_> = path.ancestors().take_while(missing).collect();
    if !missing.is_empty() {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    for above in missing.into_iter().filter_map(Path::parent) {
        // What is above a name alone is the working directory.
        sync(if above.as_os_str().is_empty() { Path::new(".") } else { above })?;
    }
    Ok(())
}

/// Makes the names in a directory survive a power loss.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The format of the store that is there, or none when there is an empty place for one.
fn check_format(path: &Path) -> Result<Option<u32>, OpenError> {
    let failed = |error| OpenError::io(path, error);
    let not_ours = |found: String| OpenError::NotAStore { path: path.to_owned(), found };
    let content = match fs::read_to_string(path.join(FORMAT_FILE)) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // What a crash leaves while a store is made, and nothing else.
            let ours = |name: &str| {
                name == LOCK_FILE
                    || name == MARK_FILE
                    || name == LOG_FILE
                    || name == NEW_DATABASE_FILE
                    || name == "MARK.new"
                    || name == "store.log.new"
                    || name == "FORMAT.new"
            };
            for entry in fs::read_dir(path).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name();
                if !name.to_str().is_some_and(ours) {
                    let is_here = |file| path.join(file).exists();
                    if is_here(FORMAT_FILE) {
                        // Somebody has made a store in between.
                        return check_format(path);
                    }
                    if is_here(DATABASE_FILE) && is_here(MARK_FILE) {
                        let (path, file) = (path.to_owned(), FORMAT_FILE);
                        return Err(OpenError::Missing { path, file });
                    }
                    return Err(not_ours(format!("it holds {name:?} and no file {FORMAT_FILE}")));
                }
            }
            return Ok(None);
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(not_ours(format!("its file {FORMAT_FILE} is not text")));
        }
        Err(error) => return Err(failed(error)),
    };
    let format = content.strip_prefix(MAGIC).and_then(|rest| rest.strip_suffix('\n'));
    match format.and_then(|format| format.parse().ok()) {
        Some(found @ (WITHOUT_LOG | FORMAT)) => Ok(Some(found)),
        Some(found) if found > FORMAT => {
            Err(OpenError::NewerFormat { path: path.to_owned(), found, known: FORMAT })
        }
        _ => Err(not_ours(format!("its file {FORMAT_FILE} says {content:?}"))),
    }
}
