//! Whose turn it is to open a way through a session: libssh2 opens one channel at a time, and
//! cannot stop waiting for the answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

/// How long others wait for one answer: a host that is there has taken a connection by then, also
/// when the first packet was lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// The turns of one session.
#[derive(Debug, Default)]
pub(super) struct Turns {
    turn: Mutex<()>,
    answers: AtomicU64,
    held_up: AtomicBool,
}

impl Turns {
    /// Waits for a turn as long as there are answers; `None` when the session is held up.
    pub(super) async fn take(&self) -> Option<Turn<'_>> {
        while !self.are_held_up() {
            let answers = self.answers.load(Ordering::SeqCst);
            match tokio::time::timeout(PATIENCE, self.turn.lock()).await {
                Ok(_) if self.are_held_up() => {}
                Ok(guard) => return Some(Turn { turns: self, answered: false, _guard: guard }),
                Err(_) if self.answers.load(Ordering::SeqCst) == answers => self.hold_up(),
                Err(_) => {}
            }
        }
        None
    }

    pub(super) fn are_held_up(&self) -> bool {
        self.held_up.load(Ordering::SeqCst)
    }

    fn hold_up(&self) {
        self.held_up.store(true, Ordering::SeqCst);
    }
}

/// A turn. Dropped before there is an answer, it holds the session up.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    answered: bool,
    _guard: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// There is an answer, or there will be none.
    pub(super) fn answered(mut self) {
        self.answered = true;
        self.turns.answers.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.turns.hold_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_waited_for_as_long_as_there_are_answers() {
        let turns = Turns::default();
        let slowly = async || {
            let turn = turns.take().await.unwrap();
            tokio::time::sleep(PATIENCE - Duration::from_millis(1)).await;
            turn.answered();
        };
        tokio::join!(slowly(), slowly(), slowly(), slowly());
        assert!(!turns.are_held_up());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_without_an_answer_holds_the_session_up() {
        let turns = Turns::default();
        let turn = turns.take().await.unwrap();
        assert!(turns.take().await.is_none());
        assert!(turns.are_held_up());
        drop(turn);
        let given_up = Turns::default();
        drop(given_up.take().await);
        assert!(given_up.take().await.is_none());
    }
}
