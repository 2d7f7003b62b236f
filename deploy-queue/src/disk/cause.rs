//! The cause of an error that several callers are told.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The cause of an error that several callers are told: it reads like the error it holds.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    pub(super) fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into().into())
    }

    /// How the file system failed, when it did.
    pub(super) fn kind(&self) -> Option<io::ErrorKind> {
        match self.0.downcast_ref() {
            Some(redb::Error::Io(error)) => Some(error.kind()),
            _ => self.0.downcast_ref().map(io::Error::kind),
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
