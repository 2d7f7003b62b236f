//! Hosts reached over SSH, with nothing on them but sshd and a POSIX shell, for the deployment engine.
//!
//! The release on the host is the one of `deploy_core::release`; this crate gives it sessions in which
//! to run its script. It is a [`Connector`](deploy_core::Connector) for endpoints such as
//! `ssh://deploy@10.0.1.11:22`, on libssh2.
//!
//! # Quick start
//!
//! ```
//! use deploy_ssh::{Auth, HostKeys, SshConnector};
//!
//! let connector = SshConnector::builder()
//!     .host_keys(HostKeys::pinned(["SHA256:wKz0a9bVbKTYvXsXaULzNqNy8KoMZ9rNw2yX5cJvWJM"]))
//!     .auth(Auth::key_file("/etc/deploy/id_ed25519"))
//!     .build()?;
//! # Ok::<(), deploy_ssh::BuildError>(())
//! ```

mod address;
mod algorithms;
mod auth;
mod bootstrap;
mod builder;
mod connector;
mod host_keys;
mod jump;
mod limits;
mod retry;
mod route;
mod session;
mod sudo;
mod transport;
mod wire;

pub use auth::{Auth, Question};
pub use builder::{BuildError, SshConnectorBuilder};
pub use connector::SshConnector;
pub use host_keys::{HostKeyPolicy, HostKeys};
pub use jump::JumpHost;
pub use session::SshSession;
pub use sudo::Become;
