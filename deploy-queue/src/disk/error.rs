//! Why a store could not be opened, and why an open one failed.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use deploy_core::{JournalError, QueueError, Retry};

use super::cause::Cause;

/// Why a store could not be opened. What is in the directory stays as it was, unless the database
/// found damage in the middle of a repair.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another part of this one, has the store open.
    #[error(
        "the store in {} is open already, by {holder}; stop that one first, or use another directory",
        path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who has it open: process id and machine.
        holder: String,
    },
    /// The directory holds something else.
    #[error(
        "{} is not a store of deploy-queue: {found}; name an empty directory, or one that does not exist yet",
        path.display()
    )]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// What was found there.
        found: String,
    },
    /// The store was written by a newer version of this crate.
    #[error(
        "the store in {} has the format {found}, and this version of deploy-queue reads up to {known}; use a newer version",
        path.display()
    )]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// The store's format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// A part of the store is gone.
    #[error(
        "the store in {} has lost its file {file}; restore the directory from a backup",
        path.display()
    )]
    Missing {
        /// The directory.
        path: PathBuf,
        /// The file that is not there.
        file: &'static str,
    },
    /// The store is damaged.
    #[error(
        "the store in {} is damaged and stays closed; restore the directory from a backup",
        path.display()
    )]
    Corrupt {
        /// The directory.
        path: PathBuf,
        /// What is damaged.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The directory cannot be written to.
    #[error(
        "the store in {} cannot be written; give this process the right to, or mount it writable",
        path.display()
    )]
    ReadOnly {
        /// The directory.
        path: PathBuf,
        /// What was refused.
        #[source]
        source: io::Error,
    },
    /// The disk is full.
    #[error("there is no room for the store in {}; make some and open it again", path.display())]
    Full {
        /// The directory.
        path: PathBuf,
        /// What was refused.
        #[source]
        source: io::Error,
    },
    /// The file system failed in another way.
    #[error("the store in {} could not be read or written", path.display())]
    Storage {
        /// The directory.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl OpenError {
    /// Whether the same call is worth making again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            // Whoever has it is perhaps about to end: a process that is replaced by a newer one.
            Self::Locked { .. } => Retry::After(Duration::from_secs(1)),
            // A person has to do something first.
            Self::NotAStore { .. }
            | Self::NewerFormat { .. }
            | Self::Missing { .. }
            | Self::Corrupt { .. }
            | Self::ReadOnly { .. }
            | Self::Full { .. }
            | Self::Storage { .. } => Retry::Never,
        }
    }

    /// Tells the errors of a file system apart.
    pub(super) fn io(path: &std::path::Path, source: io::Error) -> Self {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let path = path.to_owned();
        match source.kind() {
            PermissionDenied | ReadOnlyFilesystem => Self::ReadOnly { path, source },
            StorageFull | QuotaExceeded => Self::Full { path, source },
            _ => Self::Storage { path, source: Box::new(source) },
        }
    }

    /// Damage, or a disk that does not work.
    pub(super) fn store(path: &std::path::Path, error: StoreError) -> Self {
        let owned = path.to_owned();
        match error {
            StoreError::Corrupt { .. } => Self::Corrupt { path: owned, source: Box::new(error) },
            StoreError::Disk { source } => match source.kind() {
                Some(kind) => Self::io(path, io::Error::new(kind, source)),
                None => Self::Storage { path: owned, source: Box::new(source) },
            },
        }
    }

    /// Tells the errors of the database apart.
    pub(super) fn database(path: &std::path::Path, error: redb::Error) -> Self {
        let owned = path.to_owned();
        match error {
            // That is how the database says that the file is none, or ends too early.
            redb::Error::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Self::Corrupt { path: owned, source: Box::new(error) }
            }
            redb::Error::Io(error) => Self::io(path, error),
            redb::Error::DatabaseAlreadyOpen => {
                Self::Locked { path: owned, holder: "another program".to_owned() }
            }
            error => Self::Corrupt { path: owned, source: Box::new(error) },
        }
    }
}

/// Why an open store stopped. Found as the source of [`QueueError::Storage`] and
/// [`JournalError::Storage`]; every call after the first that failed has the same one.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A record is not what was written.
    #[error("{what} is damaged; the store has stopped, restore its directory from a backup")]
    Corrupt {
        /// Which record.
        what: String,
    },
    /// The disk could not be read or written. What was acknowledged before is kept; the store has
    /// to be opened again.
    #[error("the disk could not be read or written; the store has to be opened again")]
    Disk {
        /// What failed.
        #[source]
        source: Cause,
    },
}

impl StoreError {
    /// Whether the same call is worth making again: never, the store has to be opened anew.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Never
    }

    pub(super) fn disk(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Disk { source: Cause::new(error) }
    }

    /// Tells damage from a disk that does not work.
    pub(super) fn database(error: impl Into<redb::Error>) -> Self {
        use redb::Error::{TableDoesNotExist, TableIsMultimap, TableTypeMismatch};
        match error.into() {
            redb::Error::Corrupted(what) => Self::Corrupt { what },
            // It has other tables than ours: it was put in its place by somebody.
            error @ (TableDoesNotExist(_) | TableIsMultimap(_) | TableTypeMismatch { .. }) => {
                Self::Corrupt { what: format!("the database ({error})") }
            }
            error => Self::disk(error),
        }
    }
}

/// Why a task was not settled, or its events were not recorded: neither was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The queue refused.
    #[error(transparent)]
    Queue(QueueError),
    /// The journal refused.
    #[error(transparent)]
    Journal(JournalError),
}

impl SettleError {
    /// Whether the same call is worth making again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Queue(error) => error.retry(),
            Self::Journal(error) => error.retry(),
        }
    }
}

impl From<QueueError> for SettleError {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

impl From<JournalError> for SettleError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<StoreError> for QueueError {
    fn from(error: StoreError) -> Self {
        Self::Storage { source: Box::new(error) }
    }
}

impl From<StoreError> for JournalError {
    fn from(error: StoreError) -> Self {
        Self::Storage { source: Box::new(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_somebody_else_has_is_worth_another_try_and_a_full_disk_is_not() {
        let path = PathBuf::from("store");
        let locked = OpenError::Locked { path: path.clone(), holder: "process 7".to_owned() };
        assert!(matches!(locked.retry(), Retry::After(_)), "{locked:?}");
        let full = OpenError::io(&path, io::ErrorKind::StorageFull.into());
        assert_eq!((matches!(full, OpenError::Full { .. }), full.retry()), (true, Retry::Never));
        assert_eq!(StoreError::disk("broken").retry(), Retry::Never);
        let error = SettleError::from(QueueError::Full { limit: 1 });
        assert!(matches!(error.retry(), Retry::After(_)), "it is that of its cause");
        assert_eq!(SettleError::from(JournalError::Closed).retry(), Retry::Never);
    }
}
