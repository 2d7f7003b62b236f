//! Routers: every route of an API's list behind one door that asks for a token first.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Request, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use deploy_core::{AgentNode, ControlNode};

use super::access::AccessTokens;
use super::agent::AgentApi;
use super::control::ControlApi;
use super::response::problem;
use crate::wire::problem::{Problem, ProblemKind};
use crate::wire::route::{Listed, Scope};

/// Makes the router of an agent's API, to be served by [`serve`](crate::serve) or mounted where the
/// host application likes.
///
/// Every path needs a token, also those that do not exist: nothing can be found out without one. The
/// token is looked at before the body is read.
///
/// | route | scope | answers |
/// |---|---|---|
/// | `POST /v1/tasks` | deploy | 202 new, 200 known, 409, 422 with all faults, 429, 503 |
/// | `GET /v1/tasks/{id}` | read | 200 the state, 404 |
/// | `GET /v1/tasks/{id}/events` | read | 200 a stream of events, 404 |
/// | `POST /v1/tasks/{id}/cancel` | deploy | 202, 404 |
/// | `GET /v1/health` | read | 200 |
/// | `GET /v1/openapi.json` | read | 200 the description of all this |
pub fn agent_router(node: AgentNode, access: AccessTokens) -> Router {
    router(AgentApi::new(node), access)
}

/// Makes the router of a control node's API, to be served by [`serve`](crate::serve) or mounted where
/// the host application likes: for dashboards, chat bots, and tools in other languages.
///
/// Tokens are as for [`agent_router`]. Who does something is the name of its token; why is in the
/// body, as `reason`. What says something again changes nothing.
///
/// | route | scope | answers |
/// |---|---|---|
/// | `POST /v1/deployments` | deploy | 202, also when it was filed before; 409, 422 with all faults, 429, 503 |
/// | `GET /v1/deployments` | read | 200 those that match, by `business`, `project`, `work_order`, `phase`, `outcome`, `finished`, `since`, `until`; paged by `after` and `limit` |
/// | `GET /v1/deployments/{id}` | read | 200 the state, 404 |
/// | `GET /v1/deployments/{id}/events` | read | 200 a stream of events, 404 |
/// | `POST /v1/deployments/{id}/pause`, `resume`, `promote`, `cancel` | deploy | 202, 404, 409 when it makes no sense |
/// | `POST /v1/deployments/{id}/retry`, `rollback` | deploy | 202 the deployment that does it, 404, 409 |
/// | `POST /v1/deployments/{id}/skip`, `extend`, `recheck` | deploy | 202, 404, 409 |
/// | `POST /v1/plans` | deploy | 200 what a request would do, 422 when that cannot be found out |
/// | `POST /v1/plans/apply` | deploy | 202, 409 with all that has changed since |
/// | `GET /v1/hosts/{id}/deployments` | read | 200 what became of a host |
/// | `GET /v1/health` | read | 200 |
/// | `GET /v1/openapi.json` | read | 200 the description of all this |
pub fn control_router(node: ControlNode, access: AccessTokens) -> Router {
    router(ControlApi::new(node), access)
}

/// What an API does for each of its routes, once the caller was let in.
pub(super) trait Api: fmt::Debug + Send + Sync + 'static {
    /// Its routes.
    type Route: Listed;

    /// Answers a request.
    fn handle(
        &self,
        route: Self::Route,
        caller: &str,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

fn router<A: Api>(api: A, access: AccessTokens) -> Router {
    let door = Arc::new(Door { api, access });
    let mut router = Router::new();
    for &route in A::Route::ALL {
        router = router.route(route.path(), door.method(route));
    }
    let (nothing, nothing_like_that) = (Arc::clone(&door), door);
    router
        .fallback(move |request| async move { nothing.refuse(&request, ProblemKind::NoSuchRoute) })
        .method_not_allowed_fallback(move |request| async move {
            nothing_like_that.refuse(&request, ProblemKind::NoSuchMethod)
        })
}

/// Lets in whoever has a token that allows what is asked.
#[derive(Debug)]
struct Door<A> {
    api: A,
    access: AccessTokens,
}

impl<A: Api> Door<A> {
    fn method(self: &Arc<Self>, route: A::Route) -> MethodRouter {
        let method = match route.method() {
            "POST" => MethodFilter::POST,
            _ => MethodFilter::GET,
        };
        let door = Arc::clone(self);
        on(method, move |request: Request<Body>| async move {
            let path = request.uri().path().to_owned();
            match door.judge(&request, route.scope()) {
                Ok(caller) => {
                    let caller = caller.to_owned();
                    door.api.handle(route, &caller, request).await
                }
                Err(kind) => refusal(kind, path),
            }
        })
    }

    /// The name of the caller, when the token allows this.
    fn judge(&self, request: &Request<Body>, scope: Scope) -> Result<&str, ProblemKind> {
        let token = request.headers().get(AUTHORIZATION);
        let caller = self.access.judge(token.map(HeaderValue::as_bytes));
        let refused = match caller {
            Some(caller) if caller.scope >= scope => return Ok(caller.name),
            Some(_) => ProblemKind::NotAllowed,
            None => ProblemKind::Unauthenticated,
        };
        let name = caller.map(|caller| caller.name);
        let (method, path) = (request.method(), request.uri().path());
        tracing::warn!(target: "deploy", %method, path, caller = name, "a request was refused");
        Err(refused)
    }

    /// Says that there is nothing, but only to those who may know.
    fn refuse(&self, request: &Request<Body>, kind: ProblemKind) -> Response<Body> {
        let judged = self.judge(request, Scope::Read);
        let kind = judged.err().unwrap_or(kind);
        refusal(kind, request.uri().path().to_owned())
    }
}

fn refusal(kind: ProblemKind, path: String) -> Response<Body> {
    let mut refusal = Problem::new(kind);
    refusal.instance = Some(path);
    problem(&refusal)
}
