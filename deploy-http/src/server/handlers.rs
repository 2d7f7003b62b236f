//! What each route does, once the caller was let in.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, LOCATION};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use deploy_core::model::{ReleaseTask, TaskId};
use deploy_core::{Accepted, AgentNode, Format, ParseError, Phase, Sequence};
use serde_json::json;

use super::body;
use super::events::EventBody;
use super::response::{json, node_error, problem};
use crate::wire::problem::{Problem, ProblemKind};
use crate::wire::route::Route;
use crate::wire::{CancelBody, EVENT_STREAM, JSON, LAST_EVENT_ID};

/// The description of the API.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

/// The node behind the API.
#[derive(Debug)]
pub(super) struct Handlers {
    node: AgentNode,
}

impl Handlers {
    pub(super) fn new(node: AgentNode) -> Self {
        Self { node }
    }

    /// Answers a request that was let in.
    pub(super) async fn handle(
        &self,
        route: Route,
        caller: &str,
        request: Request<Body>,
    ) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let (parts, body) = request.into_parts();
        let answer = match route {
            Route::Submit => self.submit(caller, &parts.headers, body).await,
            Route::State => self.state(&path).await,
            Route::Events => self.events(&path, &parts.headers).await,
            Route::Cancel => self.cancel(caller, &path, &parts.headers, body).await,
            Route::Health => Ok(health()),
            Route::OpenApi => Ok(openapi()),
        };
        answer.unwrap_or_else(|mut found| {
            found.instance = Some(path);
            problem(&found)
        })
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
        let mut response = json(status, &json!({ "task": id }));
        // Relative, so that it holds wherever the router is mounted. An id fits into a header.
        if let Ok(location) = HeaderValue::try_from(format!("tasks/{id}")) {
            response.headers_mut().insert(LOCATION, location);
        }
        Ok(response)
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
        let after = match headers.get(LAST_EVENT_ID) {
            None => Sequence::START,
            Some(last) => {
                let last = last.to_str().ok().and_then(|last| last.parse().ok());
                Sequence::new(last.ok_or_else(|| {
                    Problem::new(ProblemKind::Malformed)
                        .with_detail("Last-Event-ID is the number of an event")
                })?)
            }
        };
        let known = self.node.state(&id).await;
        let known = known.map_err(|error| node_error(&error))?;
        // Such events were seen in another journal, and the rest of theirs never comes.
        if after > known.last {
            return Err(Problem::new(ProblemKind::UnknownTask)
                .with_detail("no event of this number is known of the task"));
        }
        let body = if after == known.last && known.phase == Phase::Finished {
            Body::empty()
        } else {
            Body::new(EventBody::new(self.node.events(&id, after)))
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
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

/// The id in the path of a route, `…/tasks/{id}` or `…/tasks/{id}/…`.
fn task_of(path: &str) -> Result<TaskId, Box<Problem>> {
    let (_, rest) = path.rsplit_once("/tasks/").unwrap_or_default();
    let id = rest.split('/').next().unwrap_or_default();
    TaskId::new(id).map_err(|_| {
        Problem::new(ProblemKind::UnknownTask).with_detail("the path holds no id of a task")
    })
}

/// Reads a task, and finds all that is wrong with it.
fn parse(bytes: &[u8]) -> Result<ReleaseTask, Box<Problem>> {
    Format::Json.read(bytes).map_err(|error| match error {
        ParseError::Invalid(faults) => {
            let mut invalid = Problem::new(ProblemKind::Invalid);
            invalid.faults = faults;
            invalid
        }
        ParseError::TooLarge { .. } => Problem::new(ProblemKind::TooLarge),
        error => Problem::new(ProblemKind::Malformed).with_detail(error.to_string()),
    })
}

fn health() -> Response<Body> {
    let health = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
    json(StatusCode::OK, &health)
}

fn openapi() -> Response<Body> {
    let mut response = Response::new(Body::from(OPENAPI));
    let kind = HeaderValue::from_static(JSON);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_description_and_the_routes_are_the_same() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let paths = document["paths"].as_object().unwrap();
        let operation = |route: Route| {
            let method = route.method().to_ascii_lowercase();
            &paths[route.path()][method.as_str()]
        };
        for &route in Route::ALL {
            let operation = operation(route);
            let scope = format!("{:?}", route.scope()).to_ascii_lowercase();
            assert_eq!(operation["x-scope"], scope, "{route:?}");
            for status in ["401", "403"] {
                assert!(operation["responses"][status].is_object(), "{route:?} {status}");
            }
        }
        let methods = paths.values().map(|path| {
            let keys = path.as_object().unwrap().keys();
            keys.filter(|key| *key != "parameters").count()
        });
        assert_eq!(methods.sum::<usize>(), Route::ALL.len());
    }

    /// Holds a document against a schema of the description, as far as that goes: types, the texts that
    /// are allowed, and which keys there are and have to be.
    fn assert_described(description: &Value, schema: &Value, found: &Value, at: &str) {
        if let Some(name) = schema["$ref"].as_str() {
            let schema = description.pointer(name.trim_start_matches('#')).unwrap();
            return assert_described(description, schema, found, at);
        }
        if let Some(ways) = schema["oneOf"].as_array() {
            let way = ways.iter().find(|way| way["type"].is_null() == found.is_string());
            return assert_described(description, way.unwrap(), found, at);
        }
        if let Some(allowed) = schema["enum"].as_array() {
            assert!(allowed.contains(found), "{at}: {found} is none of {allowed:?}");
        }
        let fits = match schema["type"].as_str() {
            Some("object") => found.is_object(),
            Some("array") => found.is_array(),
            Some("string") => found.is_string(),
            Some("integer") => found.is_u64(),
            other => other.is_none(),
        };
        assert!(fits, "{at}: {found} is no {}", schema["type"]);
        for entry in found.as_array().into_iter().flatten() {
            assert_described(description, &schema["items"], entry, at);
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            assert!(!found[key.as_str().unwrap()].is_null(), "{at} has no {key}");
        }
        for (key, value) in found.as_object().into_iter().flatten() {
            let schema = match &schema["properties"][key] {
                Value::Null if schema["additionalProperties"] == false => {
                    panic!("{at}: {key} is not described")
                }
                schema => schema,
            };
            assert_described(description, schema, value, &format!("{at}.{key}"));
        }
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
    fn every_type_of_problem_is_described() {
        for kind in ProblemKind::ALL {
            assert!(OPENAPI.contains(kind.uri()), "{kind:?}");
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
