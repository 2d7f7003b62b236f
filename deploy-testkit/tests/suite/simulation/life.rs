//! One life of a process: from its start until it is killed, perhaps in the middle of a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use deploy_core::CancelToken;

/// One life of a process. Clones are the same life.
#[derive(Clone, Debug)]
pub(super) struct Life {
    over: CancelToken,
    left: Arc<AtomicI64>,
}

impl Life {
    /// Begins a life that ends after so many steps at its store, or when it is killed.
    pub(super) fn new(steps: i64) -> Self {
        Self { over: CancelToken::new(), left: Arc::new(AtomicI64::new(steps)) }
    }

    pub(super) fn kill(&self) {
        self.over.cancel("killed");
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Nothing kills it any more but a word.
    pub(super) fn spare(&self) {
        self.left.store(i64::MAX, Ordering::Relaxed);
    }

    /// Waits until it is over.
    pub(super) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// A step at the store. Whoever takes it after the end of the life never comes back.
    pub(super) async fn step(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) <= 1 {
            self.kill();
        }
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }

    /// What is done while it lives; `None` when it ends first.
    pub(super) async fn of<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.over() => None,
            done = work => Some(done),
        }
    }
}
