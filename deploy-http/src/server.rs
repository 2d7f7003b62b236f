//! The agent's API over HTTP: the router, and our own accept loop that serves it.

mod access;
mod body;
mod events;
mod guarded_io;
mod handlers;
mod peers;
mod response;
mod router;
mod serve;
mod tls;

pub use access::AccessTokens;
pub use router::agent_router;
pub use serve::{ServeConfig, serve};
pub use tls::ServerTls;
