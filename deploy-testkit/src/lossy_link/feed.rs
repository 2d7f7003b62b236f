//! The stream of a task's events, as it comes from an agent.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{Endpoint, TaskId};
use deploy_core::{Event, Sequence};
use tokio::sync::mpsc;

use super::call::{CallError, Cause, call};
use super::{Listening, Shared};

/// How long a stream stays silent at most, so that both sides know that the other lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a stream says next.
#[derive(Debug)]
pub(super) enum Signal {
    Event(Box<Event>),
    /// A sign of life.
    Alive,
    /// The stream ended in order.
    End,
}

/// A stream of events.
#[derive(Debug)]
pub(super) struct Feed {
    signals: mpsc::Receiver<Signal>,
    quiet: Duration,
}

impl Feed {
    /// Opens the stream of a task's events after a number.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        endpoint: &Endpoint,
        task: &TaskId,
        after: Sequence,
    ) -> Result<Self, CallError> {
        let id = task.clone();
        let known = move |node: deploy_core::AgentNode| {
            let id = id.clone();
            async move { node.state(&id).await.map(|_| ()) }
        };
        call(shared, endpoint, known).await?;
        let Some(agent) = shared.agent(endpoint) else {
            return Err(CallError::Unclear("the connection broke off".into()));
        };
        let (sender, signals) = mpsc::channel(16);
        let task = task.clone();
        tokio::spawn(pump(Arc::clone(shared), endpoint.clone(), agent, task, after, sender));
        let quiet = shared.lock().patience.quiet;
        Ok(Self { signals, quiet })
    }

    /// The next signal; an error when the stream breaks off, or stays quiet for too long.
    pub(super) async fn next(&mut self) -> Result<Signal, Cause> {
        match tokio::time::timeout(self.quiet, self.signals.recv()).await {
            Err(_) => Err("the stream of events fell silent".into()),
            Ok(None) => Err("the connection broke off".into()),
            Ok(Some(signal)) => Ok(signal),
        }
    }
}

/// Sends a task's events up to its end, until the reader or the agent has gone.
async fn pump(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    agent: Listening,
    task: TaskId,
    after: Sequence,
    sender: mpsc::Sender<Signal>,
) {
    let gone = agent.gone.clone();
    let sends = async {
        let mut events = agent.node.events(&task, after);
        drop(agent);
        loop {
            let signal = match tokio::time::timeout(KEEP_ALIVE, events.next()).await {
                Err(_silence) => Signal::Alive,
                Ok(None) => Signal::End,
                Ok(Some(Ok(event))) => Signal::Event(Box::new(event)),
                // The stream breaks off, and the reader comes back for the rest.
                Ok(Some(Err(_))) => return,
            };
            let (dice, broken) = (&shared.dice, shared.lock().faults.broken);
            tokio::time::sleep(dice.millis(1..40)).await;
            if shared.loses(&endpoint, broken) {
                if dice.chance(500) {
                    return;
                }
                // Nothing is left out of a stream: it is silent from here on.
                return std::future::pending().await;
            }
            let ends = matches!(signal, Signal::End);
            if sender.send(signal).await.is_err() || ends {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = sender.closed() => {}
        () = gone.cancelled() => {}
        () = sends => {}
    }
}
