//! HTTP for the deployment engine: packages come in over it, monitoring addresses are asked over it,
//! and control node and agents speak it.
//!
//! ```text
//!  control node                                             agent node
//! ┌───────────────┐   package   ┌────────────────┐         ┌──────────────────────┐
//! │ HttpVerifier ─┼────────────▶│ package server │◀────────┼─ HttpVerifier        │
//! │               │             └────────────────┘         │                      │
//! │ HttpExecutor ─┼── POST /v1/tasks ─────────────────────▶│ serve(agent_router)  │
//! │               │◀─ events, as they happen ──────────────┼─ AgentNode           │
//! └───────▲───────┘                                        │ HttpProber ─▶ hosts  │
//!         │ serve(control_router)                          └──────────────────────┘
//!     your tools
//! ```
//!
//! # Quick start
//!
//! An agent's API, and a control node's executor that knows the agent:
//!
//! ```
//! use deploy_core::{AgentNode, CancelToken, Secret, model::Endpoint};
//! use deploy_http::{AccessTokens, HttpExecutor, Scope, ServeConfig, agent_router, serve};
//! use tokio::net::TcpListener;
//!
//! async fn agent(node: AgentNode, stop: CancelToken) -> Result<(), Box<dyn std::error::Error>> {
//!     let token = Secret::new("a-long-and-random-text");
//!     let access = AccessTokens::new().with("control-node", token, Scope::Deploy)?;
//!     let listener = TcpListener::bind("0.0.0.0:7070").await?;
//!     serve(listener, agent_router(node, access), ServeConfig::new(), stop).await?;
//!     Ok(())
//! }
//!
//! let agent = Endpoint::new("http://agent.east:7070")?;
//! let executor = HttpExecutor::builder()
//!     .token(&agent, Secret::new("a-long-and-random-text"))
//!     .build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What there is
//!
//! | trait of deploy-core | here | what it does |
//! |---|---|---|
//! | `Verifier` | [`HttpVerifier`] | downloads, checks and keeps packages |
//! | `Prober` | [`HttpProber`] | asks monitoring addresses |
//! | `AgentResolver` | [`HttpResolver`] | asks an inventory, such as a CMDB, for hosts |
//! | `Executor` | [`HttpExecutor`] | gives tasks to agents and follows them |
//! | | [`agent_router`], [`control_router`], [`serve`] | the APIs of both nodes, described by `GET /v1/openapi.json` |
//! | | [`ServerTls`], [`TlsIdentity`] | TLS, where an agent and its control node know each other by certificate |
//!
//! # Features
//!
//! `client` (default): the first four. `server` (default): the others.
//!
//! # Guarantees
//!
//! - Only bytes with the digests that were asked for are given or kept; what is kept is found by its
//!   SHA-256 alone and hashed again before it is given.
//! - Memory does not grow with a package, a body, a head or a stream of events.
//! - An address that a [`UrlPolicy`] does not allow gets no connection, whatever it is written like
//!   and whatever its name resolves to in the meantime.
//! - With [`ServerTls::mutual`] nobody without a certificate of the right authority is heard.
//! - Nobody without a token finds out or changes anything, and no token stands in a log, an error or
//!   a `Debug`.
//! - A task that was given is carried out once, however often the network breaks; what is not known
//!   is called unknown, or lost.
//! - No connection is held for ever by a peer that says nothing, dribbles, or does not read.
//!
//! # Not guaranteed
//!
//! - **Revoked certificates**: neither side asks whether one is. Give clients certificates that live
//!   for days, or a token that is taken out of [`AccessTokens`].
//! - **MD5 against attackers**: whoever makes a package can make two of one MD5. Give the SHA-256.
//! - **Proxies**: none is used, and the environment is not read.
//! - **A task that was given to an agent stops at once when it is cancelled**: it stops where its
//!   hosts stay whole.

#[cfg(feature = "client")]
mod backoff;
mod error;
#[cfg(feature = "client")]
mod executor;
#[cfg(feature = "client")]
mod policy;
#[cfg(feature = "client")]
mod prober;
#[cfg(feature = "client")]
mod resolver;
#[cfg(feature = "server")]
mod server;
#[cfg(any(feature = "client", feature = "server"))]
mod tls;
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
#[cfg(feature = "client")]
pub use resolver::{HttpResolver, HttpResolverBuilder};
#[cfg(feature = "server")]
pub use server::{AccessTokens, ServeConfig, ServerTls, agent_router, control_router, serve};
#[cfg(any(feature = "client", feature = "server"))]
pub use tls::TlsIdentity;
#[cfg(feature = "client")]
pub use verifier::{HttpVerifier, HttpVerifierBuilder};
pub use wire::route::Scope;
