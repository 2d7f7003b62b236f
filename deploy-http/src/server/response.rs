//! Reading documents, and making answers: documents and problems.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, Response, StatusCode};
use deploy_core::document::{Decode, Faults};
use deploy_core::{Format, NodeError, ParseError, Retry};
use serde::Serialize;
use serde_json::json;

use crate::wire::JSON;
use crate::wire::problem::{PROBLEM_JSON, Problem, ProblemKind};

/// A document.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(document) {
        Ok(bytes) => with_type(status, JSON, bytes),
        // What we serialize are plain tables with text keys.
        Err(_) => problem(&Problem::new(ProblemKind::Storage)),
    }
}

/// A problem.
pub(super) fn problem(problem: &Problem) -> Response<Body> {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let bytes = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = with_type(status, PROBLEM_JSON, bytes);
    if status == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
    if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) {
        // The rest of the body is not read, so nothing can follow it.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    if let Some(wait) = problem.retry_after {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// What a node's error says to the one who asked. The cause of a failed store is for the log alone.
pub(super) fn node_error(error: &NodeError) -> Box<Problem> {
    let kind = match error {
        NodeError::Conflict { .. } => ProblemKind::Conflict,
        NodeError::NotNow { .. } => ProblemKind::NotNow,
        NodeError::Drifted { .. } => ProblemKind::Drifted,
        NodeError::Unplannable { .. } => ProblemKind::Unplannable,
        NodeError::Unknown { .. } => ProblemKind::UnknownTask,
        NodeError::Invalid(_) => ProblemKind::Invalid,
        NodeError::Busy { .. } => ProblemKind::Busy,
        NodeError::ShuttingDown => ProblemKind::ShuttingDown,
        _ => ProblemKind::Storage,
    };
    let mut problem = Problem::new(kind);
    match error {
        NodeError::Invalid(faults) => problem.faults = faults.clone(),
        NodeError::Drifted { drifts } => problem.drifts = drifts.clone(),
        _ => problem.detail = Some(error.to_string()),
    }
    if let Retry::After(wait) = error.retry() {
        problem.retry_after = Some(wait);
    }
    if kind == ProblemKind::Storage {
        tracing::error!(target: "deploy", error = %chain(error), "a request failed");
    }
    problem
}

/// An answer, or the problem in its place; it says what was asked for.
pub(super) fn answered(
    answer: Result<Response<Body>, Box<Problem>>,
    path: String,
) -> Response<Body> {
    answer.unwrap_or_else(|mut found| {
        found.instance = Some(path);
        problem(&found)
    })
}

/// Says where the thing is that an answer is about: relative, so that it holds wherever the router is
/// mounted.
pub(super) fn located(mut response: Response<Body>, location: &str) -> Response<Body> {
    // An id fits into a header.
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// What stands in a path behind a word, up to the next slash. The router may be mounted anywhere.
pub(super) fn segment<'a>(path: &'a str, word: &str) -> &'a str {
    let (_, rest) = path.rsplit_once(word).unwrap_or_default();
    rest.split('/').next().unwrap_or_default()
}

/// Reads a document, and finds all that is wrong with it.
pub(super) fn parse<T: Decode>(bytes: &[u8]) -> Result<T, Box<Problem>> {
    Format::Json.read(bytes).map_err(|error| match error {
        ParseError::Invalid(faults) => invalid(faults),
        ParseError::TooLarge { .. } => Problem::new(ProblemKind::TooLarge),
        error => Problem::new(ProblemKind::Malformed).with_detail(error.to_string()),
    })
}

/// All that is wrong with what was sent.
pub(super) fn invalid(faults: Faults) -> Box<Problem> {
    let mut invalid = Problem::new(ProblemKind::Invalid);
    invalid.faults = faults;
    invalid
}

/// That the node is there.
pub(super) fn health() -> Response<Body> {
    let health = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
    json(StatusCode::OK, &health)
}

/// The description of an API.
pub(super) fn described(openapi: &'static str) -> Response<Body> {
    with_type(StatusCode::OK, JSON, openapi.as_bytes().to_vec())
}

fn with_type(status: StatusCode, kind: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error and its causes, for the log.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    deploy_core::Failure::of(deploy_core::FailureCode::Storage, error).message
}
