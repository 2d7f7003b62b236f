//! HTTP for the deployment engine.

#[cfg(feature = "client")]
mod backoff;
mod error;
#[cfg(feature = "client")]
mod executor;
#[cfg(feature = "client")]
mod policy;
#[cfg(feature = "client")]
mod prober;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "client")]
mod transport;
#[cfg(feature = "client")]
mod verifier;
mod wire;

pub use error::ConfigureError;
#[cfg(feature = "client")]
pub use executor::{HttpExecutor, HttpExecutorBuilder};
#[cfg(feature = "client")]
pub use policy::{HostLookup, UrlPolicy};
#[cfg(feature = "client")]
pub use prober::{HttpProber, HttpProberBuilder};
#[cfg(feature = "server")]
pub use server::{AccessTokens, ServeConfig, agent_router, serve};
#[cfg(feature = "client")]
pub use verifier::{HttpVerifier, HttpVerifierBuilder};
pub use wire::route::Scope;
