//! Where a node is reached over HTTP: an address, TLS, and the tokens that it believes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use deploy_core::{CancelToken, Secret};
use deploy_http::{AccessTokens, Scope, ServeConfig, ServerTls};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::IdentityArgs;
use crate::input::{self, AnyError, BadInput};

/// Believes the tokens of some files, each by the file's name without its ending.
pub(crate) fn tokens(
    access: AccessTokens,
    files: &[PathBuf],
    scope: Scope,
) -> Result<AccessTokens, BadInput> {
    files.iter().try_fold(access, |access, file| {
        let shown = file.display();
        let token = std::fs::read_to_string(file)
            .map_err(|error| BadInput::new(format!("{shown} could not be read: {error}")))?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        access
            .with(name, Secret::new(token.trim()), scope)
            .map_err(|error| BadInput::new(format!("{shown}: {error}")))
    })
}

/// The TLS that the command line asks for.
pub(crate) fn tls(
    args: &IdentityArgs,
    client_ca: Option<&Path>,
) -> Result<Option<ServerTls>, AnyError> {
    let Some(identity) = input::identity(args)? else { return Ok(None) };
    let Some(path) = client_ca else { return Ok(Some(ServerTls::new(&identity)?)) };
    let tls = ServerTls::mutual(&identity, &input::read(path)?);
    let refused = |error| BadInput::new(format!("{}: {}", path.display(), input::chain(&error)));
    Ok(Some(tls.map_err(refused)?))
}

/// Listens: gives what is served, how, and its URL.
pub(crate) async fn listen(
    address: SocketAddr,
    tls: Option<ServerTls>,
) -> Result<(TcpListener, ServeConfig, String), AnyError> {
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|error| format!("{address}: {error}"))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    let mut config = ServeConfig::new();
    config.tls = tls;
    Ok((listener, config, url))
}

/// What is cancelled by the first Ctrl-C or TERM.
pub(crate) fn stop_on_signal() -> std::io::Result<CancelToken> {
    let stop = CancelToken::new();
    let stopped = stop.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel("told to stop");
    });
    Ok(stopped)
}
