//! The release bot: takes requests on the command line and rolls them out.
//!
//! ```text
//! cargo run --example release_bot -- deploy TASK --inventory FILE [--state DIR] [--json]
//!                                         [--gates FILE] [--approvals FILE]
//! cargo run --example release_bot -- approve --by NAME --work-order NUMBER --approvals FILE [--revoke]
//! cargo run --example release_bot -- check TASK --inventory FILE
//! cargo run --example release_bot -- agent --listen ADDR --state DIR --inventory FILE --token-file FILE
//! ```
//!
//! Hosts with an endpoint `ssh://user@host:port` need the feature `ssh` (`cargo run --example release_bot
//! --features ssh -- …`), a key and the hosts' keys: in the table `[ssh]` of the inventory, or
//! with `--identity FILE --known-hosts FILE`.
//!
//! TASK and the inventory are JSON, TOML or YAML, told by their ending. Exit status: 0 when the
//! deployment succeeded, 1 when it ended otherwise, 2 when the input is bad.

mod agent;
mod approve;
mod bars;
mod check;
mod deploy;
mod input;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use deploy_examples::SshOptions;

use input::BadInput;

#[derive(Debug, Parser)]
#[command(name = "release_bot", about = "Rolls verified packages out to a fleet")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// File a request and wait for its end.
    Deploy(DeployArgs),
    /// Parse, resolve and verify a request, and touch no host.
    Check(CheckArgs),
    /// Approve of a work order's deployments, or take that back.
    Approve(ApproveArgs),
    /// Serve the agent's API for the hosts of an inventory.
    Agent(AgentArgs),
}

#[derive(Debug, Args)]
struct DeployArgs {
    /// The request: a .json, .toml, .yaml or .yml file.
    task: PathBuf,
    /// Agents, hosts and projects: a .toml, .json, .yaml or .yml file.
    #[arg(long)]
    inventory: PathBuf,
    /// Where what was accepted is kept. A bot that was killed goes on with it at its next start.
    #[arg(long)]
    state: Option<PathBuf>,
    #[command(flatten)]
    ssh: SshArgs,
    /// Write one event a line, as JSON.
    #[arg(long)]
    json: bool,
    /// Freeze windows and approvals that are needed: a .toml, .json, .yaml or .yml file.
    #[arg(long)]
    gates: Option<PathBuf>,
    /// The file of approvals that `approve` writes. Required when the gates need any.
    #[arg(long)]
    approvals: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ApproveArgs {
    /// Who approves. Nobody checks it here: who may write to the file may say anything.
    #[arg(long)]
    by: String,
    /// The number of the work order.
    #[arg(long)]
    work_order: String,
    /// The file of approvals.
    #[arg(long)]
    approvals: PathBuf,
    /// Take the approval back.
    #[arg(long)]
    revoke: bool,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The request: a .json, .toml, .yaml or .yml file.
    task: PathBuf,
    /// Agents, hosts and projects: a .toml, .json, .yaml or .yml file.
    #[arg(long)]
    inventory: PathBuf,
    #[command(flatten)]
    ssh: SshArgs,
    /// Write what was found as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct AgentArgs {
    /// Where to listen, such as 127.0.0.1:7070; with port 0 the system chooses one.
    #[arg(long)]
    listen: SocketAddr,
    /// Where what was accepted is kept.
    #[arg(long)]
    state: PathBuf,
    /// The hosts that this agent manages, and their projects.
    #[arg(long)]
    inventory: PathBuf,
    /// The file that holds the token which control nodes must show; at least 16 characters.
    #[arg(long)]
    token_file: PathBuf,
    #[command(flatten)]
    ssh: SshArgs,
}

/// What is said of hosts reached over SSH. It counts in the inventory's place.
#[derive(Debug, Args)]
struct SshArgs {
    /// A private key to log in to hosts with; may be given several times.
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// A file with the keys of hosts, as OpenSSH writes it; may be given several times.
    #[arg(long, value_name = "FILE")]
    known_hosts: Vec<PathBuf>,
}

impl From<SshArgs> for SshOptions {
    fn from(args: SshArgs) -> Self {
        Self { identities: args.identity, known_hosts: args.known_hosts }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Deploy(args) => deploy::run(args).await,
        Command::Approve(args) => approve::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Agent(args) => agent::run(args).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("release_bot: {}", input::chain(&*error));
        ExitCode::from(if error.is::<BadInput>() { 2 } else { 1 })
    })
}
