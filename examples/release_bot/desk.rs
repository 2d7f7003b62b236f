//! Answering what is asked, from a control node at work or at rest.

use deploy_core::model::{Actor, DeploymentId};
use deploy_core::{ControlNode, JournalQuery, NodeError};

use crate::account::Account;
use crate::input::chain;
use crate::message::{Answer, Ask, Wish};

/// Answers everything but `Follow`, which has no one answer.
pub(crate) async fn answer(node: &ControlNode, ask: Ask, who: &str) -> Answer {
    let answer = match ask {
        Ask::Status { deployment: Some(id) } => one(node, &id).await,
        Ask::Status { deployment: None } => unfinished(node).await,
        Ask::History { filter } => list(node, filter.query()).await,
        Ask::HostHistory { host, filter } => {
            let hosts = node.host_history(&host, filter.query()).await;
            hosts.map(|hosts| Answer::Hosts { hosts })
        }
        Ask::Say { deployment, wish, why } => {
            say(node, &deployment, wish, Actor::new(who, why)).await
        }
        Ask::Submit { request } => node
            .submit(*request)
            .await
            .map(|deployment| Answer::Submitted { deployment: deployment.id().clone() }),
        Ask::Plan { request } => {
            node.plan(*request).await.map(|plan| Answer::Planned { plan: Box::new(plan) })
        }
        Ask::Apply { plan } => node
            .apply(*plan)
            .await
            .map(|deployment| Answer::Submitted { deployment: deployment.id().clone() }),
        Ask::Follow { .. } => Ok(Answer::End),
    };
    answer.unwrap_or_else(|error| refused(&error))
}

/// What an error says to whoever asked.
pub(crate) fn refused(error: &NodeError) -> Answer {
    if let NodeError::Drifted { drifts } = error {
        return Answer::Drifted { drifts: drifts.clone() };
    }
    let bad_input = matches!(
        error,
        NodeError::NotNow { .. }
            | NodeError::Unknown { .. }
            | NodeError::Conflict { .. }
            | NodeError::Invalid(_)
    );
    let message = match error {
        NodeError::Unknown { id } => format!("no deployment {id} is known"),
        NodeError::Conflict { id } => {
            format!("another request was filed as {id}: give this one an id of its own, or none")
        }
        error => chain(error),
    };
    Answer::Refused { message, bad_input }
}

async fn one(node: &ControlNode, id: &DeploymentId) -> Result<Answer, NodeError> {
    Ok(Answer::Accounts { accounts: vec![Account::read(node, id).await?] })
}

async fn list(node: &ControlNode, query: JournalQuery) -> Result<Answer, NodeError> {
    let mut accounts = Vec::new();
    for summary in node.history(query).await? {
        if let Ok(id) = DeploymentId::try_from(&summary.task) {
            accounts.push(Account::read(node, &id).await?);
        }
    }
    Ok(Answer::Accounts { accounts })
}

/// All unfinished deployments, however many.
async fn unfinished(node: &ControlNode) -> Result<Answer, NodeError> {
    let query = JournalQuery::new().with_finished(false);
    list(node, query.with_limit(usize::MAX)).await
}

async fn say(
    node: &ControlNode,
    id: &DeploymentId,
    wish: Wish,
    by: Actor,
) -> Result<Answer, NodeError> {
    let deployment = node.deployment(id.clone());
    match wish {
        Wish::Pause => deployment.pause(by).await?,
        Wish::Resume => deployment.resume(by).await?,
        Wish::Promote => deployment.promote(by).await?,
        Wish::Cancel => deployment.cancel(by).await?,
        Wish::Skip(host) => deployment.skip(host, by).await?,
        Wish::Extend(until) => deployment.extend(until, by).await?,
        Wish::Retry => {
            let retried = deployment.retry_failed(by).await?;
            return one(node, retried.id()).await;
        }
        Wish::RollBack(to) => {
            let rolled_back = deployment.roll_back(to, by).await?;
            return one(node, rolled_back.id()).await;
        }
    }
    one(node, id).await
}
