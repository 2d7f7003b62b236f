//! Why a part of this crate could not be built.

use deploy_core::Retry;

/// Why a part of this crate could not be built from what it was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigureError {
    /// A root certificate is not one.
    #[error("the root certificates are not valid PEM certificates")]
    RootCertificate {
        /// What is wrong with them.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A certificate or a private key of this side cannot be used.
    #[error("the certificate and the private key of this side cannot be used")]
    Identity {
        /// What is wrong with them.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Client {
        /// What failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The directory of a cache could not be opened.
    #[error("the cache directory could not be opened")]
    Cache {
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// A host and port, or a token for them, is not one.
    #[error("{0}")]
    Invalid(#[source] deploy_core::document::Invalid),
    /// A token is too short to be secret.
    #[error("the token named {name:?} is shorter than {least} bytes")]
    ShortToken {
        /// The name of the token.
        name: String,
        /// How long it must be at least, in bytes.
        least: usize,
    },
    /// The same token was given twice.
    #[error("the token named {name:?} was given before, under another name")]
    RepeatedToken {
        /// The name of the later one.
        name: String,
    },
}

impl ConfigureError {
    /// Whether the same input is worth trying again: only where a disk stands behind it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Cache { .. } => Retry::Immediately,
            _ => Retry::Never,
        }
    }
}
