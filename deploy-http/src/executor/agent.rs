//! The calls of an agent's API, each made once.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use deploy_core::Sequence;
use deploy_core::model::{Endpoint, ReleaseTask, TaskId};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use url::Url;

use super::Patience;
use super::feed::Feed;
use crate::backoff::retry_after;
use crate::policy::Forbidden;
use crate::tls::was_not_let_in;
use crate::transport::cause;
use crate::wire::problem::{Problem, ProblemKind};
use crate::wire::route::Route;
use crate::wire::{CancelBody, EVENT_STREAM, JSON, LAST_EVENT_ID};

/// What failed, as a cause.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// Why a call did not do what it should.
#[derive(Debug)]
pub(super) enum CallError {
    /// The call did not arrive, or the agent said that it did nothing: make it again.
    NotTaken { source: Cause, wait: Option<Duration> },
    /// The call may have arrived: make it again.
    Unclear { source: Cause },
    /// The agent says no.
    Refused { reason: String },
    /// The agent does not know the task.
    UnknownTask,
}

/// An agent, and the task that it is about.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    client: Client,
    base: Url,
    authorization: HeaderValue,
    id: TaskId,
    task: Bytes,
    patience: Patience,
}

impl Agent {
    pub(super) fn new(
        client: Client,
        endpoint: &Endpoint,
        authorization: HeaderValue,
        task: &ReleaseTask,
        patience: Patience,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            client,
            base: endpoint.url().clone(),
            authorization,
            id: task.id.clone(),
            task: serde_json::to_vec(task)?.into(),
            patience,
        })
    }

    /// The endpoint, for messages.
    pub(super) fn endpoint(&self) -> String {
        self.base.to_string()
    }

    /// Gives the task.
    pub(super) async fn submit(&self) -> Result<(), CallError> {
        let request = self.client.post(Route::Submit.url(&self.base, &self.id));
        let request = request.header(CONTENT_TYPE, JSON).body(self.task.clone());
        self.call(request).await.map(drop)
    }

    /// Cancels the task.
    pub(super) async fn cancel(&self, reason: &str) -> Result<(), CallError> {
        let body = CancelBody { reason: reason.to_owned() };
        let body = serde_json::to_vec(&body)
            .map_err(|error| CallError::Refused { reason: error.to_string() })?;
        let request = self.client.post(Route::Cancel.url(&self.base, &self.id));
        self.call(request.header(CONTENT_TYPE, JSON).body(body)).await.map(drop)
    }

    /// Opens the stream of the task's events after a number.
    pub(super) async fn events(&self, after: Sequence) -> Result<Feed, CallError> {
        let request = self.client.get(Route::Events.url(&self.base, &self.id));
        let request = request.header(ACCEPT, EVENT_STREAM).header(LAST_EVENT_ID, after.number());
        let response = self.call(request).await?;
        let kind = response.headers().get(CONTENT_TYPE);
        if kind.is_none_or(|kind| !kind.as_bytes().starts_with(EVENT_STREAM.as_bytes())) {
            let reason = "it answers with something else than a stream of events".to_owned();
            return Err(CallError::Refused { reason });
        }
        Ok(Feed::new(response, self.patience.quiet))
    }

    async fn call(&self, request: RequestBuilder) -> Result<Response, CallError> {
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        let sent = tokio::time::timeout(self.patience.call, request.send()).await;
        let Ok(sent) = sent else {
            let source = "no answer in time".into();
            return Err(CallError::Unclear { source });
        };
        match sent {
            Ok(response) if response.status().is_success() => Ok(response),
            Ok(response) => Err(self.refusal(response).await),
            Err(error) => Err(match Forbidden::find(&error) {
                Some(reason) => CallError::Refused { reason: reason.to_string() },
                None if error.is_connect() || was_not_let_in(&error) => {
                    CallError::NotTaken { source: cause(error), wait: None }
                }
                None => CallError::Unclear { source: cause(error) },
            }),
        }
    }

    async fn refusal(&self, mut response: Response) -> CallError {
        /// A problem of ours has a kilobyte, with many faults some more.
        const LONGEST: usize = 64 * 1024;
        let status = response.status();
        let wait = retry_after(response.headers());
        let mut body = Vec::new();
        let read = async {
            while body.len() < LONGEST {
                match response.chunk().await {
                    Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        // What is there after the time counts.
        let _ = tokio::time::timeout(self.patience.call, read).await;
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let reason = match &problem {
            Some(problem) => format!("{}: {}", status.as_u16(), problem.reason()),
            None => format!("it answers {status}"),
        };
        match status.as_u16() {
            429 | 503 => CallError::NotTaken { source: reason.into(), wait },
            408 | 500..=599 => CallError::Unclear { source: reason.into() },
            404 if problem.is_some_and(|p| p.r#type == ProblemKind::UnknownTask.uri()) => {
                CallError::UnknownTask
            }
            _ => CallError::Refused { reason },
        }
    }
}
