//! Asking a monitoring address once.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use crate::context::Context;
use crate::failure::Retry;

/// Asks a monitoring address and gives its answer. What the answer means is decided elsewhere.
///
/// # Contract
///
/// 1. One request is made; nothing is tried again and no redirect is followed.
/// 2. It takes no longer than `timeout`, however slowly the answer comes.
/// 3. No more than `max_body` bytes of the body are read.
///
/// # Cancellation
///
/// Dropping the future ends the request.
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` does not probe monitoring addresses",
        note = "use `HttpProber` of deploy-http, or implement `deploy_core::Prober`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Prober: fmt::Debug + Send + Sync + 'static {
    /// Asks once.
    ///
    /// # Errors
    ///
    /// [`ProbeError`] when no answer came.
    async fn probe(&self, cx: Context, question: ProbeQuestion) -> Result<ProbeAnswer, ProbeError>;
}

crate::wrappers::forward_async! {
    Prober {
        async fn probe(&self, cx: Context, question: ProbeQuestion) -> Result<ProbeAnswer, ProbeError>;
    }
}

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeQuestion {
    /// The address: http or https, or tcp, where a connection is made and ended.
    pub url: Url,
    /// How long it may take in all.
    pub timeout: Duration,
    /// How much of the body is wanted, in bytes.
    pub max_body: usize,
}

impl ProbeQuestion {
    /// Asks an address.
    #[must_use]
    pub fn new(url: Url, timeout: Duration, max_body: usize) -> Self {
        Self { url, timeout, max_body }
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeAnswer {
    /// The HTTP status; none where a connection was all that was asked for.
    pub status: Option<u16>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

impl ProbeAnswer {
    /// Says what was answered.
    #[must_use]
    pub fn new(status: u16, body: Vec<u8>) -> Self {
        Self { status: Some(status), body }
    }

    /// Says that a connection was taken.
    #[must_use]
    pub fn connected() -> Self {
        Self { status: None, body: Vec::new() }
    }
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The address could not be reached, or broke off.
    #[error("no answer")]
    Unreachable {
        /// What failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A rule of ours forbids the address.
    #[error("the address is not allowed: {reason}")]
    Forbidden {
        /// Why.
        reason: String,
    },
    /// It took longer than it may.
    #[error("no answer within {timeout:?}")]
    TimedOut {
        /// How long it might take.
        timeout: Duration,
    },
}

impl ProbeError {
    /// Whether asking again is worth it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => Retry::Immediately,
            Self::Forbidden { .. } => Retry::Never,
        }
    }
}
