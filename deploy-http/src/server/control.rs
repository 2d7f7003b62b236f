//! The control node's API: what each of its routes does.

use axum::body::Body;
use axum::http::header::HeaderMap;
use axum::http::{Request, Response, StatusCode};
use deploy_core::document::{Decode, Node};
use deploy_core::model::{
    Actor, DeploymentId, DeploymentRequest, HostName, RollbackTarget, Timestamp,
};
use deploy_core::{ControlNode, Deployment, NodeError, Plan};
use serde_json::json;

use super::body;
use super::events::{last_event, stream};
use super::query;
use super::response::{answered, described, health, json, located, node_error, parse, segment};
use super::router::Api;
use crate::wire::problem::{Problem, ProblemKind};
use crate::wire::route::ControlRoute;

/// The description of the API.
const OPENAPI: &str = include_str!("control_openapi.json");

type Answer = Result<Response<Body>, Box<Problem>>;

/// The control node behind the API.
#[derive(Debug)]
pub(super) struct ControlApi {
    node: ControlNode,
}

impl ControlApi {
    pub(super) fn new(node: ControlNode) -> Self {
        Self { node }
    }

    async fn submit(&self, request: DeploymentRequest) -> Answer {
        let deployment = self.node.submit(request).await.map_err(|error| refusal(&error))?;
        Ok(accepted(&deployment, "deployments/"))
    }

    async fn list(&self, query: Option<&str>) -> Answer {
        let found = self.node.history(query::read(query)?).await;
        let found = found.map_err(|error| refusal(&error))?;
        Ok(json(StatusCode::OK, &json!({ "deployments": found })))
    }

    async fn host(&self, path: &str, query: Option<&str>) -> Answer {
        let host = HostName::new(segment(path, "/hosts/")).map_err(|_| {
            Problem::new(ProblemKind::NoSuchRoute).with_detail("the path holds no name of a host")
        })?;
        let found = self.node.host_history(&host, query::read(query)?).await;
        let found = found.map_err(|error| refusal(&error))?;
        Ok(json(StatusCode::OK, &json!({ "deployments": found })))
    }

    async fn state(&self, path: &str) -> Answer {
        let state = self.deployment(path)?.state().await.map_err(|error| refusal(&error))?;
        Ok(json(StatusCode::OK, &state))
    }

    async fn events(&self, path: &str, headers: &HeaderMap) -> Answer {
        let deployment = self.deployment(path)?;
        let after = last_event(headers)?;
        let known = deployment.state().await.map_err(|error| refusal(&error))?;
        stream(&known, after, || deployment.events(after), ProblemKind::UnknownDeployment)
    }

    async fn plan(&self, request: DeploymentRequest) -> Answer {
        let plan = self.node.plan(request).await.map_err(|error| refusal(&error))?;
        Ok(json(StatusCode::OK, &plan))
    }

    async fn apply(&self, bytes: &[u8]) -> Answer {
        let plan: Plan = serde_json::from_slice(bytes)
            .map_err(|error| Problem::new(ProblemKind::Malformed).with_detail(error.to_string()))?;
        let deployment = self.node.apply(plan).await.map_err(|error| refusal(&error))?;
        Ok(accepted(&deployment, "../deployments/"))
    }

    /// Does to a deployment what somebody wants.
    async fn say(&self, verb: ControlRoute, caller: &str, path: &str, bytes: &[u8]) -> Answer {
        let deployment = self.deployment(path)?;
        let by = |Reason { reason }: Reason| Actor::new(caller, reason);
        let done = match verb {
            ControlRoute::Pause => deployment.pause(by(parse(bytes)?)).await,
            ControlRoute::Resume => deployment.resume(by(parse(bytes)?)).await,
            ControlRoute::Promote => deployment.promote(by(parse(bytes)?)).await,
            ControlRoute::Cancel => deployment.cancel(by(parse(bytes)?)).await,
            ControlRoute::Recheck => {
                let Reason { .. } = parse(bytes)?;
                deployment.recheck().await
            }
            ControlRoute::Skip => {
                let Skip { host, reason } = parse(bytes)?;
                deployment.skip(host, Actor::new(caller, reason)).await
            }
            ControlRoute::Extend => {
                let Extend { until, reason } = parse(bytes)?;
                deployment.extend(until, Actor::new(caller, reason)).await
            }
            ControlRoute::Retry => {
                return follow_up(deployment.retry_failed(by(parse(bytes)?)).await);
            }
            ControlRoute::RollBack => {
                let RollBack { to, reason } = parse(bytes)?;
                return follow_up(deployment.roll_back(to, Actor::new(caller, reason)).await);
            }
            _ => return Err(Problem::new(ProblemKind::NoSuchRoute)),
        };
        done.map_err(|error| refusal(&error))?;
        Ok(json(StatusCode::ACCEPTED, &json!({ "deployment": deployment.id() })))
    }

    /// The deployment of a path, `…/deployments/{id}` or `…/deployments/{id}/…`.
    fn deployment(&self, path: &str) -> Result<Deployment, Box<Problem>> {
        let id = DeploymentId::new(segment(path, "/deployments/")).map_err(|_| {
            Problem::new(ProblemKind::UnknownDeployment)
                .with_detail("the path holds no id of a deployment")
        })?;
        Ok(self.node.deployment(id))
    }
}

impl Api for ControlApi {
    type Route = ControlRoute;

    async fn handle(
        &self,
        route: ControlRoute,
        caller: &str,
        request: Request<Body>,
    ) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let (parts, body) = request.into_parts();
        let (headers, query) = (&parts.headers, parts.uri.query());
        let answer = async {
            match route {
                ControlRoute::List => self.list(query).await,
                ControlRoute::State => self.state(&path).await,
                ControlRoute::Events => self.events(&path, headers).await,
                ControlRoute::Host => self.host(&path, query).await,
                ControlRoute::Health => Ok(health()),
                ControlRoute::OpenApi => Ok(described(OPENAPI)),
                ControlRoute::Submit => {
                    self.submit(parse(&body::read(headers, body).await?)?).await
                }
                ControlRoute::Plan => self.plan(parse(&body::read(headers, body).await?)?).await,
                ControlRoute::Apply => self.apply(&body::read(headers, body).await?).await,
                verb => self.say(verb, caller, &path, &body::read(headers, body).await?).await,
            }
        };
        answered(answer.await, path)
    }
}

/// What a node's error says to the one who asked for a deployment.
fn refusal(error: &NodeError) -> Box<Problem> {
    match error {
        NodeError::Unknown { id } => Problem::new(ProblemKind::UnknownDeployment)
            .with_detail(format!("no deployment {id} is known")),
        error => node_error(error),
    }
}

fn accepted(deployment: &Deployment, place: &str) -> Response<Body> {
    let id = deployment.id();
    let response = json(StatusCode::ACCEPTED, &json!({ "deployment": id }));
    located(response, &format!("{place}{id}"))
}

/// The deployment that does something about another one, which may be that itself.
fn follow_up(done: Result<Deployment, NodeError>) -> Answer {
    let deployment = done.map_err(|error| refusal(&error))?;
    Ok(accepted(&deployment, "../"))
}

/// Why something is done to a deployment.
#[derive(Debug)]
struct Reason {
    reason: String,
}

impl Decode for Reason {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let reason = table.or("reason", String::new());
        table.finish();
        Some(Self { reason: reason? })
    }
}

/// Which host a deployment goes on without, and why.
#[derive(Debug)]
struct Skip {
    host: HostName,
    reason: String,
}

impl Decode for Skip {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let host = table.required("host");
        let reason = table.or("reason", String::new());
        table.finish();
        Some(Self { host: host?, reason: reason? })
    }
}

/// Until when a rollout has time, and why.
#[derive(Debug)]
struct Extend {
    until: Timestamp,
    reason: String,
}

impl Decode for Extend {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let until = table.required("until");
        let reason = table.or("reason", String::new());
        table.finish();
        Some(Self { until: until?, reason: reason? })
    }
}

/// What the hosts of a deployment go back to, and why.
#[derive(Debug)]
struct RollBack {
    to: RollbackTarget,
    reason: String,
}

impl Decode for RollBack {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let to = table.or("to", RollbackTarget::default());
        let reason = table.or("reason", String::new());
        table.finish();
        Some(Self { to: to?, reason: reason? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::description::{assert_described, assert_routes_described};
    use deploy_core::{Event, Fact, HostRecord, Sequence, TaskState, TaskSummary};
    use serde_json::Value;

    #[test]
    fn the_description_and_the_routes_are_the_same() {
        assert_routes_described::<ControlRoute>(OPENAPI);
    }

    #[test]
    fn what_is_written_is_described() {
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let check = |name: &str, found: &Value| {
            let schema = &description["components"]["schemas"][name];
            assert!(schema.is_object(), "{name} is not described");
            assert_described(&description, schema, found, name);
        };
        let request = json!({
            "id": "d1", "business": "shop", "project": "checkout",
            "package": {"url": "http://h/a.tar.gz", "md5": "0".repeat(32)},
            "work_order": "WO-7", "requirement": {"id": "REQ-1"}, "requested_by": "anna",
            "not_before": "2026-11-23T00:00:00Z", "expires_at": "2026-11-24T00:00:00Z",
            "monitor": {"url": "http://h/health"}, "hosts": ["h1"]
        });
        let request: DeploymentRequest = parse(request.to_string().as_bytes()).unwrap();
        check("DeploymentRequest", &serde_json::to_value(&request).unwrap());
        let deployment = DeploymentId::new("d1").unwrap();
        let fact = Fact::Accepted { deployment, request: Box::new(request) };
        let at = "2026-11-23T00:00:00Z".parse().unwrap();
        let event = Event::new("d1".parse().unwrap(), Sequence::new(1), at, fact);
        check("Event", &serde_json::to_value(&event).unwrap());
        check("TaskState", &serde_json::to_value(TaskState::of(&event)).unwrap());
        let summary = serde_json::to_value(TaskSummary::of(&event)).unwrap();
        check("Summary", &summary);
        let record = json!({
            "host": "h1", "deployment": summary, "began_at": at, "ended_at": at, "turns": 1,
            "result": {"host": "h1", "status": "failed"}
        });
        // What is checked is what is written.
        let written: HostRecord = serde_json::from_value(record).unwrap();
        check("HostRecord", &serde_json::to_value(written).unwrap());
    }
}
