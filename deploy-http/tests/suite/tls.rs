//! An agent that speaks TLS, and whom it hears.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::Endpoint;
use deploy_core::{ExecuteError, Executor, Secret};
use deploy_http::{
    ConfigureError, HttpExecutor, HttpExecutorBuilder, ServeConfig, ServerTls, TlsIdentity,
};
use deploy_queue::QueueConfig;
use deploy_testkit::ScriptedExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::agent::{Agent, DEPLOY, READ, task};
use crate::support::authority::Authority;
use crate::support::{SOON, context};

async fn agent(tls: ServerTls) -> Agent {
    let config = ServeConfig::new().with_tls(tls).with_header_timeout(Duration::from_millis(200));
    Agent::with(ScriptedExecutor::new(), QueueConfig::new(), config).await
}

fn https(address: SocketAddr) -> Endpoint {
    Endpoint::new(&format!("https://{address}")).unwrap()
}

/// An executor that believes an authority, and soon gives up.
fn executor(agent: &Agent, roots: &Authority) -> HttpExecutorBuilder {
    HttpExecutor::builder()
        .token(&https(agent.address), Secret::new(DEPLOY))
        .root_certificate_pem(roots.pem())
        .first_pause(SOON)
        .retry_window(Duration::from_millis(50))
}

/// Nothing was done, the caller knows that, and hears why: also when it has much to say itself.
async fn is_not_let_in(agent: &Agent, executor: HttpExecutorBuilder, why: &str) {
    let task = task("t-1", &https(agent.address), 4_000);
    let error = executor.build().unwrap().execute(context(), task).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Unreachable { .. }), "{error:?}");
    let told = format!("{error:?}");
    assert!(told.contains(why), "{why} is missing in {told}");
    assert!(agent.hosts.tasks().is_empty());
}

#[tokio::test]
async fn a_task_goes_to_an_agent_over_tls() {
    let authority = Authority::new("one");
    let agent = agent(ServerTls::new(&authority.server(&["127.0.0.1"])).unwrap()).await;
    let executor = executor(&agent, &authority).build().unwrap();
    let task = task("t-1", &https(agent.address), 3);
    assert!(executor.execute(context(), task).await.unwrap().succeeded());
}

#[tokio::test]
async fn a_client_is_heard_that_the_agents_authority_has_signed() {
    let (servers, clients) = (Authority::new("one"), Authority::new("other"));
    let identity = servers.server(&["127.0.0.1"]);
    let tls = ServerTls::mutual(&identity, clients.pem().as_bytes()).unwrap();
    let agent = agent(tls).await;
    let known = executor(&agent, &servers).identity(clients.client());
    let task = task("t-1", &https(agent.address), 1);
    let report = known.build().unwrap().execute(context(), task).await.unwrap();
    assert!(report.succeeded());
    // The certificate opens the door; what may be done the token says.
    let reader = executor(&agent, &servers).identity(clients.client());
    let reader = reader.token(&https(agent.address), Secret::new(READ)).build().unwrap();
    let task = crate::support::agent::task("t-2", &https(agent.address), 1);
    let error = reader.execute(context(), task).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Rejected { .. }), "{error:?}");
}

#[tokio::test]
async fn sec_a02_whoever_is_not_let_in_by_its_certificate_is_not_heard_and_hears_why() {
    let (servers, clients) = (Authority::new("one"), Authority::new("other"));
    let identity = servers.server(&["127.0.0.1"]);
    let tls = ServerTls::mutual(&identity, clients.pem().as_bytes()).unwrap();
    let agent = agent(tls).await;
    let with = |identity: TlsIdentity| executor(&agent, &servers).identity(identity);
    is_not_let_in(&agent, executor(&agent, &servers), "CertificateRequired").await;
    is_not_let_in(&agent, with(servers.client()), "UnknownCA").await;
    is_not_let_in(&agent, with(clients.client_until(2001)), "CertificateExpired").await;
    is_not_let_in(&agent, with(clients.server(&["client"])), "UnsupportedCertificate").await;
}

#[tokio::test]
async fn an_agent_that_is_not_who_it_should_be_gets_no_token() {
    let (authority, other) = (Authority::new("one"), Authority::new("other"));
    let named = agent(ServerTls::new(&authority.server(&["another.test"])).unwrap()).await;
    is_not_let_in(&named, executor(&named, &authority), "NotValidForName").await;
    let stranger = agent(ServerTls::new(&other.server(&["127.0.0.1"])).unwrap()).await;
    is_not_let_in(&stranger, executor(&stranger, &authority), "UnknownIssuer").await;
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_to_whoever_speaks_no_tls() {
    let authority = Authority::new("one");
    let agent = agent(ServerTls::new(&authority.server(&["127.0.0.1"])).unwrap()).await;
    let request = format!("GET /v1/health HTTP/1.1\r\nauthorization: Bearer {READ}\r\n\r\n");
    let mut stream = TcpStream::connect(agent.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    // An alert of TLS, or nothing at all.
    assert!(answer.first().is_none_or(|kind| *kind == 21), "{answer:?}");
}

#[tokio::test]
async fn sec_b01_handshakes_that_do_not_go_on_are_closed_while_others_are_served() {
    let authority = Authority::new("one");
    let agent = agent(ServerTls::new(&authority.server(&["127.0.0.1"])).unwrap()).await;
    let mut silent = TcpStream::connect(agent.address).await.unwrap();
    let mut begun = TcpStream::connect(agent.address).await.unwrap();
    // A record of 512 bytes is announced, and does not come.
    begun.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let executor = executor(&agent, &authority).retry_window(Duration::from_secs(30));
    let task = task("t-1", &https(agent.address), 1);
    assert!(executor.build().unwrap().execute(context(), task).await.unwrap().succeeded());
    for stream in [&mut silent, &mut begun] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{rest:?}");
    }
}

#[tokio::test]
async fn sec_b01_a_reader_that_does_not_read_is_closed_over_tls_too() {
    let authority = Authority::new("one");
    let tls = ServerTls::new(&authority.server(&["127.0.0.1"])).unwrap();
    let config = ServeConfig::new().with_tls(tls).with_idle_timeout(Duration::from_millis(100));
    let agent = Agent::with(ScriptedExecutor::new(), QueueConfig::new(), config).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(agent.address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    let request =
        format!("GET /v1/openapi.json HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {READ}\r\n\r\n");
    // It ends with an error because the server has closed.
    while stream.write_all(request.as_bytes()).await.is_ok() {}
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_handshake() {
    let authority = Authority::new("one");
    let tls = ServerTls::new(&authority.server(&["127.0.0.1"])).unwrap();
    let config = ServeConfig::new().with_tls(tls).with_header_timeout(Duration::from_secs(3600));
    let agent = Agent::with(ScriptedExecutor::new(), QueueConfig::new(), config).await;
    let mut silent = TcpStream::connect(agent.address).await.unwrap();
    // What comes after it has been accepted, too.
    let executor = executor(&agent, &authority).build().unwrap();
    let task = task("t-1", &https(agent.address), 1);
    assert!(executor.execute(context(), task).await.unwrap().succeeded());
    agent.shutdown.cancel("told to stop");
    agent.serving.await.unwrap().unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[test]
fn what_is_no_certificate_or_key_is_refused_and_not_repeated() {
    let key = || rcgen::KeyPair::generate().unwrap();
    let (one, other) = (key(), key());
    let certificate = rcgen::CertificateParams::new([]).unwrap().self_signed(&one).unwrap().pem();
    let canary = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n";
    for (certificate, key) in [
        (certificate.as_str(), "canary"),
        (certificate.as_str(), canary),
        (certificate.as_str(), other.serialize_pem().as_str()),
        ("", one.serialize_pem().as_str()),
        ("canary", one.serialize_pem().as_str()),
    ] {
        let refused = TlsIdentity::from_pem(certificate.as_bytes(), &Secret::new(key)).unwrap_err();
        assert!(matches!(refused, ConfigureError::Identity { .. }), "{refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("canary"));
    }
    let identity =
        TlsIdentity::from_pem(certificate.as_bytes(), &Secret::new(one.serialize_pem())).unwrap();
    assert_eq!(format!("{identity:?}"), "TlsIdentity { certificates: 1, .. }");
    let refused = ServerTls::mutual(&identity, b"canary").unwrap_err();
    assert!(matches!(refused, ConfigureError::RootCertificate { .. }), "{refused:?}");
}
