//! An inventory that is asked over HTTP: one that answers, and ones that do not.

use std::time::Duration;

use deploy_core::model::Target;
use deploy_core::{AgentResolver, ResolveError, Secret};
use deploy_http::{ConfigureError, HttpResolver};
use deploy_testkit::conformance::ResolverBench;
use deploy_testkit::samples;
use serde_json::json;

use crate::support::context;
use crate::support::server::{Reply, Server, header};

const TOKEN: &str = "canary-token-0123456789";

/// A server that answers every question in one way.
async fn answering(reply: Reply) -> Server {
    Server::start(move |_, _| reply.clone()).await
}

fn resolver(server: &Server) -> HttpResolver {
    let url = format!("http://{}/cmdb/{{business}}?project={{project}}", server.address);
    HttpResolver::builder(url).token(Secret::new(TOKEN)).build().unwrap()
}

async fn ask(resolver: &HttpResolver) -> Result<Vec<Target>, ResolveError> {
    resolver.resolve(context(), samples::business(), samples::project("checkout")).await
}

deploy_testkit::resolver_conformance!(over_http, async |_clock| {
    let known = format!("GET /cmdb/{}?project=checkout ", samples::business());
    let server = Server::start(move |_, request| match request.starts_with(&known) {
        true => Reply::ok(json!({"hosts": samples::fleet(3), "etag": 7}).to_string().as_bytes()),
        false => Reply::status("404 Not Found", ""),
    })
    .await;
    let hosts = (1..=3).map(samples::host).collect();
    let (business, project) = (samples::business(), samples::project("checkout"));
    (ResolverBench::new(resolver(&server), business, project, hosts), server)
});

#[tokio::test]
async fn a_token_is_shown_and_nothing_of_it_or_of_the_address_in_what_is_printed() {
    let server = answering(Reply::status("500 Internal Server Error", "")).await;
    let url = format!("http://{}/{{business}}/{{project}}?key=canary", server.address);
    let builder = HttpResolver::builder(url).token(Secret::new(TOKEN));
    let shown = format!("{builder:?}");
    let resolver = builder.build().unwrap();
    let error = ask(&resolver).await.unwrap_err();
    assert!(error.retry().is_worth_it());
    let failure = deploy_core::Failure::from(&error);
    let shown = format!("{shown} {resolver:?} {error} {error:?} {failure}");
    assert!(shown.contains("it answers 500"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    let request = &server.requests()[0];
    assert_eq!(header(request, "authorization"), Some(&*format!("Bearer {TOKEN}")));
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_told_whole() {
    let wrong =
        json!({"hosts": [{"host": "No", "endpoint": "nonsense", "root": "/srv", "tag": 1}]});
    let server = answering(Reply::ok(wrong.to_string().as_bytes())).await;
    let error = ask(&resolver(&server)).await.unwrap_err();
    let ResolveError::Malformed { source } = &error else { panic!("{error:?}") };
    let faults = source.faults().unwrap().as_slice();
    let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    for path in ["hosts[0].host", "hosts[0].address", "hosts[0].endpoint", "hosts[0].tag"] {
        assert!(paths.contains(&path), "{path} is missing in {paths:?}");
    }
    assert!(!error.retry().is_worth_it());
    for body in ["", "<html>", "[]", "{}"] {
        let server = answering(Reply::ok(body.as_bytes())).await;
        let error = ask(&resolver(&server)).await.unwrap_err();
        assert!(matches!(error, ResolveError::Malformed { .. }), "{body}: {error:?}");
    }
    let server = answering(Reply::ok(br#"{"hosts": []}"#)).await;
    let error = ask(&resolver(&server)).await.unwrap_err();
    assert!(matches!(error, ResolveError::NoHosts { .. }), "{error:?}");
}

#[tokio::test]
async fn an_inventory_that_is_down_silent_huge_or_elsewhere_is_unavailable() {
    let silent = Server::start(|_, _| Reply::raw("").then_stall()).await;
    let url = format!("http://{}/{{business}}/{{project}}", silent.address);
    let hasty = HttpResolver::builder(url).timeout(Duration::from_millis(50)).build().unwrap();
    let elsewhere =
        answering(Reply::status("302 Found", "location: http://127.0.0.1:1/\r\n")).await;
    let huge = answering(Reply::ok(&vec![b' '; 2 * deploy_core::MAX_DOCUMENT])).await;
    let gone = answering(Reply::raw("")).await;
    for resolver in [hasty, resolver(&elsewhere), resolver(&huge), resolver(&gone)] {
        let error = ask(&resolver).await.unwrap_err();
        assert!(matches!(error, ResolveError::Unavailable { .. }), "{error:?}");
    }
}

#[test]
fn a_url_that_does_not_name_one_server_is_refused_and_not_repeated() {
    for url in [
        "canary",
        "http://canary/{business}",
        "ftp://canary/{business}/{project}",
        "http://{business}.canary/{project}",
        "http://{business}@canary/{project}",
    ] {
        let error = HttpResolver::builder(url).build().unwrap_err();
        assert!(matches!(error, ConfigureError::Invalid(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}
