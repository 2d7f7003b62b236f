//! The agent's API: what each of its routes does.

use axum::body::Body;
use axum::http::header::HeaderMap;
use axum::http::{Request, Response, StatusCode};
use deploy_core::model::{ReleaseTask, TaskId};
use deploy_core::{Accepted, AgentNode};
use serde_json::json;

use super::body;
use super::events::{last_event, stream};
use super::response::{answered, described, health, json, located, node_error, parse, segment};
use super::router::Api;
use crate::wire::CancelBody;
use crate::wire::problem::{Problem, ProblemKind};
use crate::wire::route::Route;

/// The description of the API.
const OPENAPI: &str = include_str!("agent_openapi.json");

/// The agent node behind the API.
#[derive(Debug)]
pub(super) struct AgentApi {
    node: AgentNode,
}

impl AgentApi {
    pub(super) fn new(node: AgentNode) -> Self {
        Self { node }
    }

    async fn submit(
        &self,
        caller: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response<Body>, Box<Problem>> {
        let task: ReleaseTask = parse(&body::read(headers, body).await?)?;
        let id = task.id.clone();
        let status = match self.node.accept(task).await {
            Ok(Accepted::New) => StatusCode::ACCEPTED,
            Ok(Accepted::Known) => StatusCode::OK,
            Err(error) => return Err(node_error(&error)),
        };
        tracing::info!(target: "deploy", caller, task = %id, "a task was given");
        Ok(located(json(status, &json!({ "task": id })), &format!("tasks/{id}")))
    }

    async fn state(&self, path: &str) -> Result<Response<Body>, Box<Problem>> {
        let id = task_of(path)?;
        let state = self.node.state(&id).await;
        let state = state.map_err(|error| node_error(&error))?;
        Ok(json(StatusCode::OK, &state))
    }

    async fn events(
        &self,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Box<Problem>> {
        let id = task_of(path)?;
        let after = last_event(headers)?;
        let known = self.node.state(&id).await;
        let known = known.map_err(|error| node_error(&error))?;
        stream(&known, after, || self.node.events(&id, after), ProblemKind::UnknownTask)
    }

    async fn cancel(
        &self,
        caller: &str,
        path: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response<Body>, Box<Problem>> {
        let id = task_of(path)?;
        let bytes = body::read(headers, body).await?;
        let CancelBody { reason } = serde_json::from_slice(&bytes)
            .map_err(|error| Problem::new(ProblemKind::Malformed).with_detail(error.to_string()))?;
        let cancelled = self.node.cancel(&id, &reason).await;
        cancelled.map_err(|error| node_error(&error))?;
        tracing::info!(target: "deploy", caller, task = %id, reason, "a task was cancelled");
        Ok(json(StatusCode::ACCEPTED, &json!({ "task": id })))
    }
}

impl Api for AgentApi {
    type Route = Route;

    async fn handle(&self, route: Route, caller: &str, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let (parts, body) = request.into_parts();
        let answer = match route {
            Route::Submit => self.submit(caller, &parts.headers, body).await,
            Route::State => self.state(&path).await,
            Route::Events => self.events(&path, &parts.headers).await,
            Route::Cancel => self.cancel(caller, &path, &parts.headers, body).await,
            Route::Health => Ok(health()),
            Route::OpenApi => Ok(described(OPENAPI)),
        };
        answered(answer, path)
    }
}

/// The id in the path of a route, `…/tasks/{id}` or `…/tasks/{id}/…`.
fn task_of(path: &str) -> Result<TaskId, Box<Problem>> {
    TaskId::new(segment(path, "/tasks/")).map_err(|_| {
        Problem::new(ProblemKind::UnknownTask).with_detail("the path holds no id of a task")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::description::{assert_described, assert_routes_described};
    use serde_json::Value;

    #[test]
    fn the_description_and_the_routes_are_the_same() {
        assert_routes_described::<Route>(OPENAPI);
    }

    #[test]
    fn what_is_written_is_described() {
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let task: Value =
            serde_json::from_str(include_str!("../../tests/golden/release_task.json")).unwrap();
        let file: Value =
            serde_json::from_str(include_str!("../../tests/golden/actions.json")).unwrap();
        let check = |name: &str, found: &Value| {
            let schema = &description["components"]["schemas"][name];
            assert!(schema.is_object(), "{name} is not described");
            assert_described(&description, schema, found, name);
        };
        check("ReleaseTask", &task);
        check("HostResult", &file["found"]);
        for action in file["actions"].as_array().unwrap() {
            check("ReleaseAction", action);
        }
    }

    #[test]
    fn the_id_is_found_wherever_the_router_is_mounted() {
        for path in ["/v1/tasks/t-1", "/v1/tasks/t-1/events", "/a/tasks/x/v1/tasks/t-1"] {
            assert_eq!(task_of(path).unwrap().as_str(), "t-1");
        }
        for path in ["/v1/tasks/", "/v1/tasks/%2e%2e/events", "/v1/tasks/a%20b"] {
            assert!(task_of(path).is_err(), "{path}");
        }
    }
}
