//! Fetching a package and checking that it is what was asked for.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::context::Context;
use crate::failure::{Failure, FailureCode, Retry};
use crate::model::{PackageDigests, PackageSource};

/// Fetches a package and checks its bytes.
///
/// # Contract
///
/// 1. What is given has the MD5 that was asked for, and the SHA-256 and the size where they were.
/// 2. When it has not, nothing of it is kept: [`VerifyError::Mismatch`] says which one differs.
/// 3. Bytes that were checked once are found by their SHA-256 and never by their MD5, since MD5s can
///    be made to collide, and are checked again before they are given.
/// 4. Memory does not grow with the package.
///
/// # Cancellation
///
/// Ends with `Cancelled` soon after the context is cancelled. Dropping the future keeps nothing.
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` does not verify packages",
        note = "use `HttpVerifier` of deploy-http, implement `deploy_core::Verifier`, or wrap a closure in `FnVerifier::new`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Verifier: fmt::Debug + Send + Sync + 'static {
    /// Fetches a package and checks it.
    ///
    /// # Errors
    ///
    /// Every variant of [`VerifyError`].
    async fn verify(
        &self,
        cx: Context,
        source: PackageSource,
    ) -> Result<VerifiedPackage, VerifyError>;
}

crate::wrappers::forward_async! {
    Verifier {
        async fn verify(&self, cx: Context, source: PackageSource) -> Result<VerifiedPackage, VerifyError>;
    }
}

/// A package whose bytes were checked: an open file, its digests and its name.
///
/// The file stays readable when a cache drops it in the meantime. Read it by position
/// (`std::os::unix::fs::FileExt::read_at`): its cursor is shared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifiedPackage {
    /// The package's bytes.
    pub file: Arc<File>,
    /// Their digests and their number.
    pub digests: PackageDigests,
    /// The name of the package, the last part of its address, safe as a file name.
    pub file_name: String,
}

impl VerifiedPackage {
    /// Says that the file's bytes were found to have these digests.
    #[must_use]
    pub fn new(file: Arc<File>, digests: PackageDigests, file_name: String) -> Self {
        Self { file, digests, file_name }
    }
}

/// Why a package could not be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The package server could not be reached, or broke off, as often as it was asked.
    #[error("the package could not be downloaded from {url}")]
    Unreachable {
        /// The address, without its query.
        url: String,
        /// What failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The package server, or a rule of ours, says no.
    #[error("the package at {url} was refused: {reason}")]
    Refused {
        /// The address, without its query.
        url: String,
        /// Why, such as `404 Not Found`.
        reason: String,
    },
    /// The bytes are not those that were asked for.
    #[error("the package at {url} has the {what} {found}, and {expected} was asked for")]
    Mismatch {
        /// The address, without its query.
        url: String,
        /// What differs: `MD5`, `SHA-256` or `size`.
        what: &'static str,
        /// What was found.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// The package is larger than it may be.
    #[error("the package at {url} is larger than the {limit} bytes allowed")]
    TooLarge {
        /// The address, without its query.
        url: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The package could not be kept: the disk is full, or not ours.
    #[error("the package could not be stored")]
    Storage {
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// It took longer than it may.
    #[error("the package at {url} took longer than it may")]
    TimedOut {
        /// The address, without its query.
        url: String,
    },
    /// The work was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl VerifyError {
    /// Checks the digests that were found against those that were asked for.
    ///
    /// # Errors
    ///
    /// `Mismatch` says what differs first: the size, the SHA-256, the MD5.
    pub fn check(source: &PackageSource, found: &PackageDigests) -> Result<(), Self> {
        let differs = |what, found: String, expected: String| Self::Mismatch {
            url: source.url.to_string(),
            what,
            found,
            expected,
        };
        match (source.size, source.sha256) {
            (Some(size), _) if size != found.size => {
                Err(differs("size", found.size.to_string(), size.to_string()))
            }
            (_, Some(sha256)) if sha256 != found.sha256 => {
                Err(differs("SHA-256", found.sha256.to_string(), sha256.to_string()))
            }
            _ if source.md5 != found.md5 => {
                Err(differs("MD5", found.md5.to_string(), source.md5.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Whether the same package is worth fetching again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Storage { .. } => {
                Retry::After(Duration::from_secs(10))
            }
            Self::Refused { .. }
            | Self::Mismatch { .. }
            | Self::TooLarge { .. }
            | Self::Cancelled => Retry::Never,
        }
    }
}

impl From<&VerifyError> for Failure {
    fn from(error: &VerifyError) -> Self {
        let code = match error {
            VerifyError::Unreachable { .. } | VerifyError::Refused { .. } => {
                FailureCode::PackageUnavailable
            }
            VerifyError::Mismatch { .. } => FailureCode::DigestMismatch,
            VerifyError::TooLarge { .. } => FailureCode::PackageRefused,
            VerifyError::Storage { .. } => FailureCode::Storage,
            VerifyError::TimedOut { .. } => FailureCode::TimedOut,
            VerifyError::Cancelled => FailureCode::Cancelled,
        };
        Self::of(code, error).with_retry(error.retry())
    }
}

/// What a [`FnVerifier`]'s closure returns, boxed.
type Answer = Pin<Box<dyn Future<Output = Result<VerifiedPackage, VerifyError>> + Send>>;

/// A verifier made of an async closure.
pub struct FnVerifier(Box<dyn Fn(Context, PackageSource) -> Answer + Send + Sync>);

impl FnVerifier {
    /// Calls `f` for every package.
    pub fn new<F, A>(f: F) -> Self
    where
        F: Fn(Context, PackageSource) -> A + Send + Sync + 'static,
        A: Future<Output = Result<VerifiedPackage, VerifyError>> + Send + 'static,
    {
        Self(Box::new(move |cx, source| Box::pin(f(cx, source))))
    }
}

impl fmt::Debug for FnVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnVerifier(…)")
    }
}

#[async_trait]
impl Verifier for FnVerifier {
    async fn verify(
        &self,
        cx: Context,
        source: PackageSource,
    ) -> Result<VerifiedPackage, VerifyError> {
        (self.0)(cx, source).await
    }
}
