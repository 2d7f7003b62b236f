//! One download at a time for the same bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use deploy_core::model::Sha256Digest;
use tokio::sync::OwnedMutexGuard;

/// Who is fetching which bytes.
#[derive(Debug, Default)]
pub(super) struct Flights {
    turns: Mutex<HashMap<Sha256Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl Flights {
    /// Waits until nobody else fetches these bytes. Cancel safety: safe.
    pub(super) async fn take_turn(&self, sha256: Sha256Digest) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            if let Some(turn) = turns.get(&sha256).and_then(Weak::upgrade) {
                turn
            } else {
                let turn = Arc::default();
                turns.insert(sha256, Arc::downgrade(&turn));
                turn
            }
        };
        turn.lock_owned().await
    }
}
