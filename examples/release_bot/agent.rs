//! `agent`: serves the agent's API until it is told to stop.

use std::path::Path;
use std::process::ExitCode;

use deploy_core::{CancelToken, Secret};
use deploy_examples::wiring;
use deploy_http::{AccessTokens, Scope, ServeConfig, ServerTls, agent_router, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{AgentArgs, IdentityArgs};
use crate::input::{self, AnyError, BadInput};

pub(crate) async fn run(args: AgentArgs) -> Result<ExitCode, AnyError> {
    let inventory = input::inventory(&args.inventory)?;
    let ssh = input::ssh(&inventory, args.ssh)?;
    let tls = tls(&args.tls, args.client_ca.as_deref())?;
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
    let mut config = ServeConfig::new();
    config.tls = tls;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    match args.json {
        true => println!("{}", serde_json::json!({"listening": format!("{scheme}://{address}")})),
        false => println!("listening on {scheme}://{address}"),
    }
    serve(listener, agent_router(node.clone(), access), config, stop).await?;
    node.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// The TLS that the command line asks for.
fn tls(args: &IdentityArgs, client_ca: Option<&Path>) -> Result<Option<ServerTls>, AnyError> {
    let Some(identity) = input::identity(args)? else { return Ok(None) };
    let Some(path) = client_ca else { return Ok(Some(ServerTls::new(&identity)?)) };
    let tls = ServerTls::mutual(&identity, &input::read(path)?);
    let refused = |error| BadInput::new(format!("{}: {}", path.display(), input::chain(&error)));
    Ok(Some(tls.map_err(refused)?))
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
