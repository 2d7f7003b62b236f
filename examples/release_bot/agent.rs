//! `agent`: serves the agent's API until it is told to stop.

use std::process::ExitCode;

use deploy_examples::wiring;
use deploy_http::{AccessTokens, Scope, agent_router, serve};

use crate::args::AgentArgs;
use crate::door;
use crate::input::{self, AnyError};

pub(crate) async fn run(args: AgentArgs) -> Result<ExitCode, AnyError> {
    let inventory = input::inventory(&args.inventory)?;
    let ssh = input::ssh(&inventory, args.ssh)?;
    let tls = door::tls(&args.tls, args.client_ca.as_deref())?;
    let access = door::tokens(AccessTokens::new(), &[args.token_file], Scope::Deploy)?;
    // Before anything is worked on, so that it is stopped in an orderly way from the first moment on.
    let stop = door::stop_on_signal()?;
    let state = wiring::State::open(Some(&args.state)).await?;
    let node = wiring::agent_node(inventory, ssh, &state).await?;
    let (listener, config, url) = door::listen(args.listen, tls).await?;
    match args.json {
        true => println!("{}", serde_json::json!({"listening": url})),
        false => println!("listening on {url}"),
    }
    serve(listener, agent_router(node.clone(), access), config, stop).await?;
    node.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
