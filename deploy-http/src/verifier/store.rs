//! The directory of kept packages: each under its SHA-256, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use deploy_core::model::Sha256Digest;
use uuid::Uuid;

/// How the names of unfinished files begin.
const PARTIAL: &str = ".partial-";

/// A directory of packages, `<directory>/sha256/<hex>`.
#[derive(Clone, Debug)]
pub(super) struct Store {
    directory: PathBuf,
    max_size: u64,
    evicting: Arc<Mutex<()>>,
}

impl Store {
    /// Opens the directory, and removes what crashed downloads left there.
    pub(super) fn open(cache: &Path, max_size: u64) -> io::Result<Self> {
        let directory = cache.join("sha256");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        let store = Self {
            directory,
            max_size,
            evicting: Arc::default(),
        };
        store.remove_leftovers()?;
        Ok(store)
    }

    /// A live download holds a lock on its file; what nobody holds is left over.
    fn remove_leftovers(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                continue;
            }
            let Ok(file) = File::open(entry.path()) else {
                continue;
            };
            if file.try_lock().is_ok() {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Begins a new file. It vanishes unless it is kept.
    pub(super) fn begin(&self) -> io::Result<Partial> {
        loop {
            let path = self.directory.join(format!("{PARTIAL}{}", Uuid::now_v7()));
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            let partial = Partial { path, file };
            // Somebody who opened the store in this moment may have taken it for a leftover.
            if partial.file.try_lock().is_ok() && partial.file.metadata()?.nlink() == 1 {
                return Ok(partial);
            }
        }
    }

    /// Keeps a finished file, durably, and gives it for reading. Drops others when there is too much.
    pub(super) fn keep(&self, partial: &Partial, sha256: &Sha256Digest) -> io::Result<File> {
        let file = File::open(&partial.path)?;
        partial.file.sync_all()?;
        fs::rename(&partial.path, self.path(sha256))?;
        File::open(&self.directory)?.sync_all()?;
        if let Err(error) = self.evict(sha256) {
            tracing::warn!(target: "deploy", %error, "old packages could not be dropped");
        }
        Ok(file)
    }

    /// Opens what is kept under a SHA-256, and marks it as used.
    pub(super) fn find(&self, sha256: &Sha256Digest) -> io::Result<Option<File>> {
        let path = self.path(sha256);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let file = File::open(&path)?;
        // Only the order of eviction depends on it.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(file))
    }

    /// Removes what is kept under a SHA-256.
    pub(super) fn discard(&self, sha256: &Sha256Digest) -> io::Result<()> {
        remove(&self.path(sha256))
    }

    fn path(&self, sha256: &Sha256Digest) -> PathBuf {
        self.directory.join(sha256.to_string())
    }

    /// Drops what was not used for longest until the rest fits, but never `just_given`.
    fn evict(&self, just_given: &Sha256Digest) -> io::Result<()> {
        let _one_at_a_time = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(sha256) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let sha256: Sha256Digest = sha256;
            if let Ok(metadata) = entry.metadata() {
                kept.push((metadata.modified()?, metadata.len(), sha256));
            }
        }
        let mut total: u64 = kept.iter().map(|(_, size, _)| size).sum();
        kept.sort();
        for (_, size, sha256) in kept {
            if total <= self.max_size {
                break;
            }
            if sha256 != *just_given {
                self.discard(&sha256)?;
                total -= size;
            }
        }
        Ok(())
    }
}

/// A file that is being written. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    /// The file, for whoever writes it.
    pub(super) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After it was kept there is nothing under this name any more.
        let _ = fs::remove_file(&self.path);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
