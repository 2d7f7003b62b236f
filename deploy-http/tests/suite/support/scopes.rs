//! Who may do what, asked of every route that an API describes.

use std::net::SocketAddr;

use super::agent::{DEPLOY, READ};
use super::client::Request;

/// Asks each route, with an id in its path, with wrong tokens and with those of each scope. Gives how
/// many routes there are.
pub(crate) async fn every_route_asks_for_its_scope(address: SocketAddr, id: &str) -> usize {
    // A unit test compares the description with the list of routes that the router is made of.
    let description = Request::new("GET", "/v1/openapi.json").token(READ).send(address).await;
    let description = description.json();
    let mut routes = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        let path = path.replace("{id}", id);
        for (method, operation) in operations.as_object().unwrap() {
            let Some(scope) = operation["x-scope"].as_str() else {
                continue;
            };
            routes += 1;
            let method = method.to_ascii_uppercase();
            let ask = async |authorization: Option<&str>| {
                let mut request = Request::new(&method, &path);
                if let Some(value) = authorization {
                    request = request.header("authorization", value);
                }
                request.json("{}").send(address).await.status
            };
            let bearer = |token: &str| format!("Bearer {token}");
            for wrong in [
                None,
                Some(""),
                Some("Bearer"),
                Some("Bearer "),
                Some("Bearer wrong-0123456789abcdef"),
                Some("Basic cm9ib3Q6eA=="),
                Some(DEPLOY),
                Some(&bearer(&DEPLOY[1..])),
                Some(&bearer(&DEPLOY.to_uppercase())),
                Some(&bearer(&format!("{DEPLOY}x"))),
                Some(&bearer(&format!(" {DEPLOY}"))),
            ] {
                assert_eq!(ask(wrong).await, 401, "{method} {path} {wrong:?}");
            }
            let reading = ask(Some(&bearer(READ))).await;
            assert_eq!(reading == 403, scope == "deploy", "{method} {path}");
            let deploying = ask(Some(&bearer(DEPLOY))).await;
            assert!(![401, 403].contains(&deploying), "{method} {path}");
        }
    }
    routes
}
