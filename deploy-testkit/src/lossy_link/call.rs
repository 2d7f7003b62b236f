//! One call to an agent: on its way there, done, and on its way back.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use deploy_core::model::Endpoint;
use deploy_core::{AgentNode, NodeError};
use tokio::sync::oneshot;

use super::Shared;

/// What failed, as a cause.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// Why a call did not do what it should.
#[derive(Debug)]
pub(super) enum CallError {
    /// It did not arrive, or the agent said that it did nothing: make it again.
    NotTaken(Cause),
    /// It may have arrived: make it again.
    Unclear(Cause),
    /// The agent says no.
    Refused(String),
    /// The agent does not know the task.
    UnknownTask,
}

/// Makes a call, once. It goes on by itself when the caller does not wait for it any more.
pub(super) async fn call<T, A>(
    shared: &Arc<Shared>,
    endpoint: &Endpoint,
    work: impl Fn(AgentNode) -> A + Send + Sync + 'static,
) -> Result<T, CallError>
where
    T: Send + 'static,
    A: Future<Output = Result<T, NodeError>> + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    tokio::spawn(travel(Arc::clone(shared), endpoint.clone(), work, answer));
    let patience = shared.lock().patience.call;
    match tokio::time::timeout(patience, answered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(CallError::Unclear("the connection broke off".into())),
        Err(_) => Err(CallError::Unclear("no answer in time".into())),
    }
}

type Answer<T> = oneshot::Sender<Result<T, CallError>>;

async fn travel<T, A>(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    work: impl Fn(AgentNode) -> A + Send + Sync,
    answer: Answer<T>,
) where
    A: Future<Output = Result<T, NodeError>> + Send,
{
    let (faults, dice) = (shared.lock().faults, &shared.dice);
    let late = dice.chance(faults.late);
    tokio::time::sleep(dice.millis(if late { 20_000..120_000 } else { 1..80 })).await;
    if shared.loses(&endpoint, faults.lost) {
        return keep_waiting(answer).await;
    }
    let Some(arrived) = arrive(&shared, &endpoint, &work).await else {
        let _ = answer.send(Err(CallError::NotTaken("the connection was refused".into())));
        return;
    };
    if dice.chance(faults.doubled) {
        tokio::time::sleep(dice.millis(1..120_000)).await;
        // What came first may be answered last.
        let again = arrive(&shared, &endpoint, &work).await;
        if dice.chance(500) {
            if let Some(again) = again {
                send(&shared, &endpoint, faults.unanswered, again, answer).await;
            }
            return;
        }
    }
    send(&shared, &endpoint, faults.unanswered, arrived, answer).await;
}

/// Has the agent do it; `None` when no agent is there. An agent that goes meanwhile answers nothing.
async fn arrive<T, A>(
    shared: &Shared,
    endpoint: &Endpoint,
    work: &(impl Fn(AgentNode) -> A + Send + Sync),
) -> Option<Option<Result<T, NodeError>>>
where
    A: Future<Output = Result<T, NodeError>> + Send,
{
    let listening = shared.agent(endpoint)?;
    tokio::select! {
        biased;
        () = listening.gone.cancelled() => Some(None),
        done = work(listening.node.clone()) => Some(Some(done)),
    }
}

async fn send<T>(
    shared: &Shared,
    endpoint: &Endpoint,
    unanswered: u32,
    done: Option<Result<T, NodeError>>,
    answer: Answer<T>,
) {
    tokio::time::sleep(shared.dice.millis(1..80)).await;
    // A connection that broke with its agent drops the answer.
    let Some(done) = done else { return };
    if shared.loses(endpoint, unanswered) {
        return keep_waiting(answer).await;
    }
    let _ = answer.send(done.map_err(|error| match error {
        NodeError::Unknown { .. } => CallError::UnknownTask,
        NodeError::Busy { .. } | NodeError::ShuttingDown => CallError::NotTaken(error.into()),
        NodeError::Storage { .. } => CallError::Unclear(error.into()),
        error => CallError::Refused(error.to_string()),
    }));
}

/// Nobody is told that something was lost.
async fn keep_waiting<T>(mut answer: Answer<T>) {
    answer.closed().await;
}
