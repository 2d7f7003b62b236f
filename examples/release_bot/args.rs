//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use deploy_core::model::Outcome;
use deploy_examples::SshOptions;

/// What the exit status says.
const EXIT: &str = "\
Exit status:
  0  the deployment came to what it is for, or what was asked is done
  1  the deployment ended otherwise, rolled back among it, or something failed
  2  bad input, or what makes no sense for the deployment as it is: nothing was done
  3  told to stop before the deployment had ended: the next start with the same state goes on";

#[derive(Debug, Parser)]
#[command(name = "release_bot", about = "Rolls verified packages out to a fleet", after_help = EXIT)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// File a request and wait for its end.
    Deploy(DeployArgs),
    /// Go on with what is unfinished, and take what others file, until told to stop.
    Run(RunArgs),
    /// Say how the unfinished deployments are, or one in all.
    Status(StatusArgs),
    /// List deployments, those accepted last first.
    History(HistoryArgs),
    /// Start nothing new.
    Pause(VerbArgs),
    /// Go on after a pause.
    Resume(VerbArgs),
    /// Let the rest follow the canary.
    Promote(VerbArgs),
    /// Start no further host, and stop those that are being done.
    Cancel(VerbArgs),
    /// Do the failed hosts again: at once where it is paused, as a new deployment after its end.
    Retry(VerbArgs),
    /// Put the hosts that serve it back to a release that they have: while it is unfinished as a part of
    /// it, after its end as a new deployment. Nothing is fetched or sent.
    Rollback(RollbackArgs),
    /// Go on without a host.
    Skip(SkipArgs),
    /// Give the rollout more time.
    Extend(ExtendArgs),
    /// Say what a request would do: look at every host, and change none.
    Plan(PlanArgs),
    /// File the request of a plan and wait for its end, unless the world has moved since the plan was
    /// made.
    Apply(ApplyArgs),
    /// Parse, resolve and verify a request, and touch no host.
    Check(CheckArgs),
    /// Approve of a work order's deployments, or take that back.
    Approve(ApproveArgs),
    /// Serve the agent's API for the hosts of an inventory.
    Agent(AgentArgs),
}

impl Command {
    /// Whether what is said is to be JSON.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Deploy(DeployArgs { filing, .. }) | Self::Apply(ApplyArgs { filing, .. }) => {
                filing.json
            }
            Self::Run(args) => args.json,
            Self::Status(args) => args.json,
            Self::History(args) => args.json,
            Self::Pause(verb)
            | Self::Resume(verb)
            | Self::Promote(verb)
            | Self::Cancel(verb)
            | Self::Retry(verb)
            | Self::Rollback(RollbackArgs { verb, .. })
            | Self::Skip(SkipArgs { verb, .. })
            | Self::Extend(ExtendArgs { verb, .. }) => verb.json,
            Self::Plan(args) => args.json,
            Self::Check(args) => args.json,
            Self::Approve(args) => args.json,
            Self::Agent(args) => args.json,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The request: a .json, .toml, .yaml or .yml file.
    pub(crate) task: PathBuf,
    #[command(flatten)]
    pub(crate) filing: FilingArgs,
}

/// Where something is filed, and how its deployment is shown.
#[derive(Debug, Args)]
pub(crate) struct FilingArgs {
    /// Where what was accepted is kept. A bot that was killed goes on with it at its next start. When a
    /// bot is at work there, the request is handed to it. Without a directory nothing is kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bot: BotArgs,
    /// Write one event a line, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Where what was accepted is kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    #[command(flatten)]
    pub(crate) bot: BotArgs,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
    /// Write one event a line, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the control node's API is served, and to whom.
#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    /// Where to serve the control node's API, such as 127.0.0.1:7060; with port 0 the system chooses
    /// one.
    #[arg(long, requires = "token_file")]
    pub(crate) listen: Option<SocketAddr>,
    /// A file that holds a token of at least 16 characters. Whoever shows it may do everything, and is
    /// named as the file is, without its ending; may be given several times.
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub(crate) token_file: Vec<PathBuf>,
    /// The same for tokens that may only look.
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub(crate) read_token_file: Vec<PathBuf>,
    /// The authorities, in PEM, of which a caller must show a certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) client_ca: Option<PathBuf>,
}

/// What a bot works with.
#[derive(Debug, Args)]
pub(crate) struct BotArgs {
    /// Agents, hosts and projects: a .toml, .json, .yaml or .yml file.
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: PathBuf,
    #[command(flatten)]
    pub(crate) ssh: SshArgs,
    #[command(flatten)]
    pub(crate) tls: AgentTlsArgs,
    /// Freeze windows and approvals that are needed: a .toml, .json, .yaml or .yml file.
    #[arg(long, value_name = "FILE")]
    pub(crate) gates: Option<PathBuf>,
    /// The file of approvals that `approve` writes. Required when the gates need any.
    #[arg(long, value_name = "FILE")]
    pub(crate) approvals: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// One deployment, with its hosts and what was done to it; all unfinished ones without.
    pub(crate) deployment: Option<String>,
    /// The state directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Write a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The state directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Those of a project.
    #[arg(long, value_name = "BUSINESS/PROJECT")]
    pub(crate) project: Option<String>,
    /// Those that had a host, and what became of it.
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Those of a work order.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) work_order: Option<String>,
    /// Those that ended so.
    #[arg(long)]
    pub(crate) outcome: Option<OutcomeArg>,
    /// Those accepted at this time or later, such as 2026-11-23T02:00:00+08:00.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Those accepted before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Those that come after a deployment in the list.
    #[arg(long, value_name = "DEPLOYMENT")]
    pub(crate) after: Option<String>,
    /// So many at most; 100 by default.
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// Write a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a deployment ended.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OutcomeArg {
    Succeeded,
    Failed,
    Cancelled,
    RolledBack,
}

impl From<OutcomeArg> for Outcome {
    fn from(arg: OutcomeArg) -> Self {
        match arg {
            OutcomeArg::Succeeded => Self::Succeeded,
            OutcomeArg::Failed => Self::Failed,
            OutcomeArg::Cancelled => Self::Cancelled,
            OutcomeArg::RolledBack => Self::RolledBack,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct VerbArgs {
    /// The deployment.
    pub(crate) deployment: String,
    /// The state directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Why. It is recorded, with the name of the user who calls.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Write how the deployment is now as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SkipArgs {
    #[command(flatten)]
    pub(crate) verb: VerbArgs,
    /// The host.
    pub(crate) host: String,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("more").required(true).args(["until", "by"]))]
pub(crate) struct ExtendArgs {
    #[command(flatten)]
    pub(crate) verb: VerbArgs,
    /// Until this time, such as 2026-11-23T02:00:00+08:00.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// By so much, such as 30m.
    #[arg(long, value_name = "DURATION")]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    #[command(flatten)]
    pub(crate) verb: VerbArgs,
    /// What the hosts go back to: `last-good`, the newest release before it that was proven good there,
    /// `previous`, the one served right before it, or the deployment whose release it is:
    /// `release:ID` where the state directory does not know that.
    #[arg(long, value_name = "RELEASE", default_value = "last-good")]
    pub(crate) to: String,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The request: a .json, .toml, .yaml or .yml file.
    pub(crate) task: PathBuf,
    /// Whose bot makes the plan when one is at work there, by its own inventory and gates; deployments
    /// that are unfinished there come first.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bot: BotArgs,
    /// Write the plan to a file too, for `apply`.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write the plan as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The plan, as `plan --out` wrote it.
    pub(crate) plan: PathBuf,
    #[command(flatten)]
    pub(crate) filing: FilingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// Who approves. Nobody checks it here: who may write to the file may say anything.
    #[arg(long)]
    pub(crate) by: String,
    /// The number of the work order.
    #[arg(long)]
    pub(crate) work_order: String,
    /// The file of approvals.
    #[arg(long, value_name = "FILE")]
    pub(crate) approvals: PathBuf,
    /// Take the approval back.
    #[arg(long)]
    pub(crate) revoke: bool,
    /// Write what was recorded as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The request: a .json, .toml, .yaml or .yml file.
    pub(crate) task: PathBuf,
    /// Agents, hosts and projects: a .toml, .json, .yaml or .yml file.
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: PathBuf,
    #[command(flatten)]
    pub(crate) ssh: SshArgs,
    /// Write what was found as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// Where to listen, such as 127.0.0.1:7070; with port 0 the system chooses one.
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// Where what was accepted is kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// The hosts that this agent manages, and their projects.
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: PathBuf,
    /// The file that holds the token which control nodes must show; at least 16 characters.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    #[command(flatten)]
    pub(crate) tls: IdentityArgs,
    /// The authorities, in PEM, of which a control node must show a certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) client_ca: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ssh: SshArgs,
    /// Write where it listens as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who this side is in TLS.
#[derive(Debug, Args)]
pub(crate) struct IdentityArgs {
    /// This side's certificate for TLS, and those between it and a root, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

/// What is said of agents reached over https.
#[derive(Debug, Args)]
pub(crate) struct AgentTlsArgs {
    /// The authorities, in PEM, that agents have their certificates of, beside the system's.
    #[arg(long, value_name = "FILE")]
    pub(crate) agent_ca: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
}

/// What is said of hosts reached over SSH. It counts in the inventory's place.
#[derive(Debug, Args)]
pub(crate) struct SshArgs {
    /// A private key to log in to hosts with; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// A file with the keys of hosts, as OpenSSH writes it; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) known_hosts: Vec<PathBuf>,
}

impl From<SshArgs> for SshOptions {
    fn from(args: SshArgs) -> Self {
        Self { identities: args.identity, known_hosts: args.known_hosts }
    }
}
