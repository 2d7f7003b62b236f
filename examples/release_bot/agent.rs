//! `agent`: serves the agent's API until it is told to stop.

use std::process::ExitCode;

use deploy_core::{CancelToken, Secret};
use deploy_examples::wiring;
use deploy_http::{AccessTokens, Scope, ServeConfig, agent_router, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::AgentArgs;
use crate::input::{self, AnyError, BadInput};

pub(crate) async fn run(args: AgentArgs) -> Result<ExitCode, AnyError> {
    let inventory = input::inventory(&args.inventory)?;
    let ssh = input::ssh(&inventory, args.ssh)?;
    let shown = args.token_file.display();
    let token = std::fs::read_to_string(&args.token_file)
        .map_err(|error| BadInput::new(format!("{shown} could not be read: {error}")))?;
    let access = AccessTokens::new()
        .with("control", Secret::new(token.trim()), Scope::Deploy)
        .map_err(|error| BadInput::new(format!("{shown}: {error}")))?;
    // Before anything is worked on, so that it is stopped in an orderly way from the first moment on.
    let stop = CancelToken::new();
    stop_on_signal(stop.clone())?;
    let state = wiring::State::open(Some(&args.state)).await?;
    let node = wiring::agent_node(inventory, ssh, &state).await?;
    let bound = TcpListener::bind(args.listen).await;
    let listener = bound.map_err(|error| format!("{}: {error}", args.listen))?;
    let address = listener.local_addr()?;
    match args.json {
        true => println!("{}", serde_json::json!({"listening": format!("http://{address}")})),
        false => println!("listening on http://{address}"),
    }
    serve(listener, agent_router(node.clone(), access), ServeConfig::default(), stop).await?;
    node.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Stops serving at the first Ctrl-C or TERM.
fn stop_on_signal(stop: CancelToken) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel("told to stop");
    });
    Ok(())
}
