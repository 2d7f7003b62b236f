//! Why a session was not opened.

use std::error::Error;
use std::io;

use deploy_core::ConnectError;

use crate::address::Address;

/// Why a session was not opened.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection broke, or is none of SSH.
    Broken(Box<dyn Error + Send + Sync>),
    /// The host is not who it should be, is not safe, or refused us.
    Rejected(String),
    /// The host does not keep to strict key exchange, and what was agreed on needs it.
    NotStrict,
    TimedOut,
    /// The session with a jump host waits for another host that does not answer.
    HeldUp,
}

/// A jump host could not be reached, or does not reach further.
#[derive(Debug, thiserror::Error)]
#[error("the way through the jump host {address} is not open")]
struct JumpBroken {
    address: String,
    source: Box<dyn Error + Send + Sync>,
}

impl Fault {
    pub(crate) fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Broken(error.into())
    }

    pub(crate) fn errno(error: rustix::io::Errno) -> Self {
        Self::broken(io::Error::from(error))
    }

    /// The same, for somebody else who waited for what failed.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Broken(error) => {
                let mut texts = vec![error.to_string()];
                let mut cause = error.source();
                while let Some(error) = cause {
                    texts.push(error.to_string());
                    cause = error.source();
                }
                Self::broken(texts.join(": "))
            }
            Self::Rejected(reason) => Self::Rejected(reason.clone()),
            Self::NotStrict => Self::NotStrict,
            Self::TimedOut => Self::TimedOut,
            Self::HeldUp => Self::HeldUp,
        }
    }

    /// It was met at a jump host.
    pub(crate) fn at_jump(self, address: &Address) -> Self {
        match self {
            Self::Broken(source) => {
                Self::broken(JumpBroken { address: address.to_string(), source })
            }
            Self::Rejected(reason) => {
                Self::Rejected(format!("by the jump host {address}: {reason}"))
            }
            other => other,
        }
    }

    pub(crate) fn at(self, endpoint: &str) -> ConnectError {
        let endpoint = endpoint.to_owned();
        match self {
            Self::Broken(source) => ConnectError::Unreachable { endpoint, source },
            Self::Rejected(reason) => ConnectError::Rejected { endpoint, reason },
            Self::NotStrict => {
                let reason = "it offers no algorithms that are safe without strict key exchange";
                ConnectError::Rejected { endpoint, reason: reason.to_owned() }
            }
            Self::TimedOut | Self::HeldUp => ConnectError::TimedOut { endpoint },
        }
    }
}
