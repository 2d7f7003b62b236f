//! The APIs of both nodes over HTTP: their routers, and our own accept loop that serves them.

mod access;
mod agent;
mod body;
mod control;
#[cfg(test)]
mod description;
mod events;
mod guarded_io;
mod peers;
mod query;
mod response;
mod router;
mod serve;
mod tls;

pub use access::AccessTokens;
pub use router::{agent_router, control_router};
pub use serve::{ServeConfig, serve};
pub use tls::ServerTls;
