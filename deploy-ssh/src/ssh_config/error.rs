//! Why an ssh config could not be used.

use std::io;
use std::path::PathBuf;

use deploy_core::Retry;

use crate::place::{LineFault, joined};

/// Why an ssh config could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshConfigError {
    /// The file cannot be read.
    #[error("the ssh config {} could not be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// Lines of it cannot be understood, whatever the host.
    #[error("the ssh config is refused: {}", joined(.faults))]
    Malformed {
        /// Every such line, in the order in which they are read.
        faults: Vec<LineFault>,
    },
    /// Lines that apply to the host cannot be followed.
    #[error("the ssh config cannot be followed for {host}: {}", joined(.faults))]
    Unsupported {
        /// The host, by the name that was asked for.
        host: String,
        /// Every such line.
        faults: Vec<LineFault>,
    },
}

impl SshConfigError {
    /// Whether the same config is worth reading again: never as it is.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Never
    }
}
