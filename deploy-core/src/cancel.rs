//! A word that travels from whoever cancels to everything that works.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, FailureCode};

/// A cheap, cloneable flag: set once, seen by every clone and every child.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    token: CancellationToken,
    reason: Arc<Reason>,
}

/// Why a token was cancelled; a child that was not cancelled alone has its parent's reason.
#[derive(Debug, Default)]
struct Reason {
    own: OnceLock<String>,
    parent: Option<Arc<Self>>,
}

impl Reason {
    fn find(&self) -> Option<&str> {
        self.own.get().map(String::as_str).or_else(|| self.parent.as_ref()?.find())
    }
}

impl CancelToken {
    /// Makes a token that nobody has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels this token and its children, with a reason for people. Only the first reason counts.
    pub fn cancel(&self, reason: &str) {
        let _ = self.reason.own.set(reason.to_owned());
        self.token.cancel();
    }

    /// Makes a token that is cancelled with this one, and that can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        let parent = Some(Arc::clone(&self.reason));
        Self {
            token: self.token.child_token(),
            reason: Arc::new(Reason { own: OnceLock::new(), parent }),
        }
    }

    /// Says whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it is cancelled. Cancel safety: safe.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// The reason, when it was cancelled with one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.find()
    }

    /// The failure of whatever was cancelled.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let reason = self.reason().unwrap_or("cancelled");
        Failure::new(FailureCode::Cancelled, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_follows_its_parent_and_not_the_other_way() {
        let parent = CancelToken::new();
        let child = parent.child();
        let other = parent.child();
        other.cancel("only me");
        assert!(!parent.is_cancelled() && !child.is_cancelled());
        parent.cancel("enough");
        parent.cancel("again");
        assert!(child.is_cancelled());
        assert_eq!(child.reason(), Some("enough"));
        assert_eq!(other.reason(), Some("only me"));
    }
}
