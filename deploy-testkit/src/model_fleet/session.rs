//! The line between a node and a program on a host.

use std::sync::Arc;

use deploy_core::model::{Fence, ReleaseTask, Target};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Shared;
use super::program::Program;
use super::word::Word;

/// The node's end of the line: when it is dropped, the program learns that nobody is there.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) words: mpsc::UnboundedReceiver<Word>,
    line: watch::Sender<Line>,
}

/// The line as the host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Open,
    /// The node has gone; the host notices at this time, or never.
    Gone(Option<Instant>),
}

impl Session {
    /// Starts a program on a host.
    pub(super) fn open(
        shared: &Arc<Shared>,
        task: &ReleaseTask,
        target: &Target,
        fence: Fence,
    ) -> Self {
        let (say, words) = mpsc::unbounded_channel();
        let (line, hears) = watch::channel(Line::Open);
        let program = Program::new(Arc::clone(shared), task.clone(), target, fence, say, hears);
        tokio::spawn(program.run());
        Self { words, line }
    }

    /// Tells the program to stop.
    pub(super) fn hang_up(&self) {
        self.goes(Some(Instant::now()));
    }

    /// The line breaks; the host notices at a time, or never.
    pub(super) fn goes(&self, noticed: Option<Instant>) {
        self.line.send_if_modified(|line| {
            let first = *line == Line::Open;
            if first {
                *line = Line::Gone(noticed);
            }
            first
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.hang_up();
    }
}

/// Waits until the host notices that nobody is there any more.
pub(super) async fn noticed(line: &mut watch::Receiver<Line>) {
    loop {
        let gone = *line.borrow_and_update();
        match gone {
            Line::Open => {
                if line.changed().await.is_err() {
                    return;
                }
            }
            Line::Gone(Some(at)) => return tokio::time::sleep_until(at).await,
            Line::Gone(None) => return std::future::pending().await,
        }
    }
}
