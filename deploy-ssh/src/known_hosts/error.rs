//! Why a file of known hosts could not be used.

use std::io;
use std::path::PathBuf;

use deploy_core::Retry;

use crate::place::{LineFault, joined};

/// Why a file of known hosts could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownHostsError {
    /// The file cannot be read.
    #[error("the known hosts of {} could not be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// Lines of it are damaged.
    #[error("the known hosts are damaged: {}", joined(.faults))]
    Malformed {
        /// Every line that cannot be read, in the order of the file.
        faults: Vec<LineFault>,
    },
}

impl KnownHostsError {
    /// Whether the same file is worth reading again: never as it is.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Never
    }
}
