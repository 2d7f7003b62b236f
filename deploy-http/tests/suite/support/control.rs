//! A control node with scripted hosts, served over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use deploy_core::model::DeploymentRequest;
use deploy_core::{CancelToken, ControlNode};
use deploy_http::{ServeConfig, control_router, serve};
use deploy_queue::{MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::{FakeVerifier, ScriptedExecutor, StaticResolver, samples};
use serde_json::Value;
use tokio::net::TcpListener;

use super::agent::{DEPLOY, READ, access};
use super::client::{Answer, Request};
use super::{Background, SOON};

/// A control node that is served.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) address: SocketAddr,
    pub(crate) hosts: ScriptedExecutor,
    _node: ControlNode,
    _serving: Background,
}

impl Control {
    pub(crate) async fn start(hosts: ScriptedExecutor) -> Self {
        let node = ControlNode::builder()
            .resolver(StaticResolver::new(samples::fleet(3)))
            .verifier(FakeVerifier::new(*b"package"))
            .executor(hosts.clone())
            .queue(Arc::new(MemoryQueue::new(QueueConfig::new())))
            .journal(MemoryJournal::new())
            .drain(SOON)
            .build()
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = control_router(node.clone(), access());
        let serving = tokio::spawn(async move {
            serve(listener, router, ServeConfig::new(), CancelToken::new()).await.unwrap();
        });
        Self { address, hosts, _node: node, _serving: Background(serving) }
    }

    /// Looks at something.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Request::new("GET", path).token(READ).send(self.address).await
    }

    /// Says something.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        Request::new("POST", path).token(DEPLOY).json(body).send(self.address).await
    }

    /// Files a request, and follows it to its end: gives the names of its facts.
    pub(crate) async fn deployed(&self, id: &str) -> Vec<String> {
        assert_eq!(self.post("/v1/deployments", request(id)).await.status, 202);
        self.events(id).await
    }

    /// The names of a deployment's facts, up to its end.
    pub(crate) async fn events(&self, id: &str) -> Vec<String> {
        let answer = self.get(&format!("/v1/deployments/{id}/events")).await;
        assert_eq!(answer.status, 200);
        let names = answer.body.lines().filter_map(|line| line.strip_prefix("event: "));
        names.map(str::to_owned).collect()
    }

    pub(crate) async fn state(&self, id: &str) -> Value {
        self.get(&format!("/v1/deployments/{id}")).await.json()
    }
}

/// The document of a request for all hosts at once.
pub(crate) fn request(id: &str) -> String {
    let request: DeploymentRequest = samples::request(samples::package(b"package"));
    let mut request = serde_json::to_value(request.with_id(id.parse().unwrap())).unwrap();
    request["rollout"]["batches"] = serde_json::json!(["100%"]);
    request.to_string()
}
