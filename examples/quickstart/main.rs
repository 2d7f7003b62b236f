//! The quick start: a whole fleet on this machine, in seconds, and nothing left behind.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! It starts two agent nodes with three hosts each. A host is a directory of this machine with an
//! address of its own (127.0.0.x) on which the deployed service listens. Then it deploys three
//! versions of a small service through real HTTP:
//!
//! 1. the first to all hosts at once,
//! 2. the second in batches of one host, half of the hosts, and the rest,
//! 3. the third, which is broken: it never becomes healthy, its host goes back to version two, and
//!    the rollout stops.
//!
//! At the end every host serves version two.

mod app;
mod fleet;
mod package;

use std::error::Error;
use std::process::ExitCode;

use deploy_core::model::{DeploymentRequest, Outcome};
use deploy_core::{ControlNode, DeploymentReport, JsonParser, NullObserver, Parser, Sequence};
use deploy_examples::{SshHosts, show, wiring};

use fleet::Fleet;
use package::Packages;

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> Result<ExitCode, AnyError> {
    // The service that is deployed is this same program: its package starts it with these words.
    let words: Vec<String> = std::env::args().collect();
    if let [_, service, address, version, lifeline] = words.as_slice()
        && service == "serve-app"
    {
        return app::serve(address, version, lifeline).map(|()| ExitCode::SUCCESS);
    }
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<ExitCode, AnyError> {
    let directory = tempfile::tempdir()?;
    let fleet = Fleet::start(directory.path()).await?;
    let packages = Packages::start(&fleet).await?;
    let state = wiring::State::open(Some(&directory.path().join("control"))).await?;
    let node = wiring::control_node(
        fleet.inventory()?,
        wiring::Ways { ssh: SshHosts::none(), tls: wiring::AgentTls::default() },
        &state,
        Vec::new(),
        NullObserver::default(),
    )
    .await?;

    println!("== version 1, to all hosts at once");
    let first = deploy(&node, &request(&packages, &fleet, 1, r#"["100%"]"#)?).await?;
    println!("== version 2, in batches");
    let second = deploy(&node, &request(&packages, &fleet, 2, r#"["1", "50%", "100%"]"#)?).await?;
    println!("== version 3, which is broken");
    let third = deploy(&node, &request(&packages, &fleet, 3, r#"["1", "50%", "100%"]"#)?).await?;

    println!("== what the hosts serve now");
    let served = fleet.versions().await?;
    for (host, version) in &served {
        println!("  {host}: version {version}");
    }
    node.shutdown().await;
    fleet.stop().await;

    let as_it_should_be = first.outcome == Outcome::Succeeded
        && second.outcome == Outcome::Succeeded
        && third.outcome == Outcome::Failed
        && served.iter().all(|(_, version)| version == "2");
    if as_it_should_be {
        println!("Every host serves version 2: the broken one was stopped at its first host.");
        Ok(ExitCode::SUCCESS)
    } else {
        eprintln!("That is not what should have come of it.");
        Ok(ExitCode::FAILURE)
    }
}

/// A request as a person or a ticket system would file it.
fn request(
    packages: &Packages,
    fleet: &Fleet,
    version: u32,
    batches: &str,
) -> Result<DeploymentRequest, AnyError> {
    let package = packages.of(version);
    let document = format!(
        r#"{{
            "business": "payments",
            "project": "checkout-api",
            "package": {{ "url": "{url}", "md5": "{md5}" }},
            "work_order": "WO-2026-118{version}",
            "requirement": {{ "id": "REQ-341", "name": "One-page checkout" }},
            "monitor": {{
                "url": "http://{{host.address}}:{port}/healthz",
                "interval": "50ms", "timeout": "2s", "deadline": "3s", "successes": 2
            }},
            "rollout": {{ "batches": {batches} }},
            "release": {{
                "keep": 3,
                "shared": ["run"],
                "hooks": {{ "after_switch": ["./start"] }}
            }}
        }}"#,
        url = package.url,
        md5 = package.md5,
        port = fleet.port(),
    );
    Ok(JsonParser::new().parse(document.as_bytes())?)
}

/// Files a request, shows what happens, and gives the report.
async fn deploy(
    node: &ControlNode,
    request: &DeploymentRequest,
) -> Result<DeploymentReport, AnyError> {
    let deployment = node.submit(request.clone()).await?;
    let mut events = deployment.events(Sequence::START);
    while let Some(event) = events.next().await {
        if let Some(line) = show::line(&event?) {
            println!("{line}");
        }
    }
    let report = deployment.wait().await?;
    println!("{}\n", show::report(&report));
    Ok(report)
}
