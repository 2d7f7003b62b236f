//! Hosts reached over SSH, with nothing on them but sshd and a POSIX shell, for the deployment engine.
//!
//! The release on the host is the one of `deploy_core::release`; this crate gives it sessions in which
//! to run its script. It is a [`Connector`](deploy_core::Connector) for endpoints such as
//! `ssh://deploy@10.0.1.11:22`, on libssh2.
//!
//! ```text
//!  this process                                    a host
//! ┌───────────────────────────────────┐          ┌──────────────────────────────────────────┐
//! │ SshConnector ── limits, retries   │          │ sshd ─ login shell                       │
//! │   └ SshSession ─ run(script) ┐    │   ssh    │   └ supervisor: tells how the script ended│
//! │       one thread: socket,    ├────┼──────────┼─▶     └ runner: takes the script in,      │
//! │       libssh2, all channels  ┘    │          │           and becomes it                  │
//! └───────────────────────────────────┘          └──────────────────────────────────────────┘
//! ```
//!
//! # Quick start
//!
//! ```
//! use deploy_core::{Inventory, SchemeConnector};
//! use deploy_ssh::{LocalUser, SshHosts, SshOptions};
//!
//! # fn connector(inventory: &Inventory) -> Result<SchemeConnector, deploy_ssh::SshUnusable> {
//! // The inventory's table `[ssh]` names keys, known hosts, an ssh config, hosts to go through. This
//! // crate reads no environment: what the table does not say, the program does.
//! let options = SshOptions::new()
//!     .with_agent("/run/user/1000/ssh-agent")
//!     .with_local_user(LocalUser::new("deploy", "/home/deploy"));
//! let connector = SchemeConnector::new().with("ssh", SshHosts::of(inventory, &options)?);
//! # Ok(connector)
//! # }
//! ```
//!
//! It is given to `deploy_core::ReleaseExecutor::builder`. Without an inventory, a connector is built of
//! its parts:
//!
//! ```
//! use deploy_ssh::{Auth, HostKeys, SshConnector};
//!
//! let known = "SHA256:wKz0a9bVbKTYvXsXaULzNqNy8KoMZ9rNw2yX5cJvWJM".parse()?;
//! let connector = SshConnector::builder()
//!     .host_keys(HostKeys::pinned([known]))
//!     .auth(Auth::key_file("/etc/deploy/id_ed25519"))
//!     .build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What must be on a host
//!
//! sshd, a login shell that runs `exec /bin/sh -c '…'` (sh, dash, bash, busybox, fish and tcsh do), and a
//! POSIX `/bin/sh` with `head` or `dd`. With `setsid` each script gets a session of its own; without it,
//! it shares that of its login shell. No other program and no file is put there.
//!
//! # Features
//!
//! - `vendored-openssl`: builds OpenSSL, which libssh2 needs, from source. By default the system's is
//!   linked; the build then needs its headers.
//!
//! # Guarantees
//!
//! - A host whose key is not known learns neither who we are nor how we would prove it. There is no
//!   default that trusts anybody; [`HostKeys::danger_accept_any`] is named after what it does.
//! - An end is an end only when the host has proved it: in both streams of the command, with a nonce of
//!   128 bits that neither the script nor anything that it starts gets to know. What breaks off is
//!   [`Exit::Lost`](deploy_core::Exit::Lost) or [`Exit::Unknown`](deploy_core::Exit::Unknown).
//! - Neither script nor password stands on a command line, in an environment or in a file on the host, and
//!   no secret in a log, an error or a `Debug`.
//! - SHA-1, MD5, CBC and compression are not offered. Without strict key exchange (CVE-2023-48795) neither
//!   chacha20-poly1305 nor encrypt-then-MAC modes are used. No agent, no display, no environment is
//!   forwarded.
//! - Memory is bounded: a session holds a thread with a stack of 256 KiB, up to 1 MiB of each command's output
//!   that nobody takes, and a few chunks of its input. 51 sessions take 16 MB in all.
//! - A dead host costs its own timeout, and nothing of the others as long as there are fewer of them than
//!   connections that may be opened at once. A host that falls silent while a command runs is given up.
//!
//! # Not guaranteed
//!
//! - **A command ends when its connection is lost**: it sees the end of its input, which the programs of
//!   deploy-core take as the word to stop. What does not look at its input goes on.
//! - **Signals are told as the shell tells them**: a script that itself exits with 128 and the number of a signal is
//!   told as ended by that signal.
//! - **Terminals, certificates, GSSAPI, security keys, SSH 1**: none of them.
//! - **Keys of RSA that this crate cannot see into** — those of an agent, and encrypted ones in PEM — sign with SHA-2
//!   for every server that says that it takes that (RFC 8308), as OpenSSH's does since 7.2. Older ones may get SHA-1.
//! - **Idle sessions stay open**: while no command runs in a session nothing of it is read, so a server that asks
//!   for signs of life (`ClientAliveInterval`) closes it in time. The next command then says so, and
//!   [`SessionError::retry`](deploy_core::SessionError::retry) to try a new session.
//! - **Memory against a known host that turns on us**: libssh2 keeps messages that nobody asked for. Up to the proof
//!   of its key a server may say 256 KiB; after that, one that floods us fills memory until the session is over.
//! - **`max_sessions`** counts sessions with hosts, not those with jump hosts, of which there is one each, and
//!   another for every host behind it that does not answer.

mod address;
mod algorithms;
mod auth;
mod bootstrap;
mod builder;
mod connector;
mod host_keys;
mod hosts;
mod jump;
mod known_hosts;
mod limits;
mod other_user;
mod pattern;
mod place;
mod retry;
mod route;
mod rsa;
mod session;
mod ssh_config;
mod transport;
mod wire;

pub use auth::{Auth, Question};
pub use builder::{BuildError, SshConnectorBuilder};
pub use connector::SshConnector;
pub use host_keys::{HostKeyPolicy, HostKeys};
pub use hosts::{SshFault, SshFaultKind, SshHosts, SshOptions, SshUnusable};
pub use jump::JumpHost;
pub use known_hosts::{Fingerprint, HostKeyVerdict, KnownHosts, KnownHostsError, KnownKey};
pub use other_user::Become;
pub use place::{LineFault, Place};
pub use session::SshSession;
pub use ssh_config::{ConfiguredJump, HostSettings, LocalUser, SshConfig, SshConfigError};
