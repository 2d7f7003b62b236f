//! The release bot: takes requests on the command line and rolls them out.
//!
//! ```text
//! cargo run --example release_bot -- deploy TASK --inventory FILE [--state DIR] [--json]
//!                                         [--gates FILE] [--approvals FILE]
//! cargo run --example release_bot -- plan TASK --inventory FILE [--state DIR] [--out FILE] [--gates FILE] …
//! cargo run --example release_bot -- apply PLAN --inventory FILE [--state DIR] [--gates FILE] …
//! cargo run --example release_bot -- run --state DIR --inventory FILE [--gates FILE] [--approvals FILE]
//!                                        [--listen ADDR --token-file FILE … [--read-token-file FILE …]]
//! cargo run --example release_bot -- status [DEPLOYMENT] --state DIR [--json]
//! cargo run --example release_bot -- history --state DIR [--project B/P] [--host HOST] [--work-order N] …
//! cargo run --example release_bot -- pause|resume|promote|cancel|retry DEPLOYMENT --state DIR [--reason TEXT]
//! cargo run --example release_bot -- rollback DEPLOYMENT [--to last-good|previous|RELEASE] --state DIR [--reason TEXT]
//! cargo run --example release_bot -- skip DEPLOYMENT HOST --state DIR [--reason TEXT]
//! cargo run --example release_bot -- extend DEPLOYMENT (--by 30m | --until TIME) --state DIR [--reason TEXT]
//! cargo run --example release_bot -- approve --by NAME --work-order NUMBER --approvals FILE [--revoke]
//! cargo run --example release_bot -- check TASK --inventory FILE
//! cargo run --example release_bot -- agent --listen ADDR --state DIR --inventory FILE --token-file FILE
//! ```
//!
//! Hosts with an endpoint `ssh://user@host:port` need the feature `ssh` (`cargo run --example release_bot
//! --features ssh -- …`), a key and the hosts' keys: in the table `[ssh]` of the inventory, or
//! with `--identity FILE --known-hosts FILE`.
//!
//! A state directory is open in one process at a time, `run` or `deploy`. The others reach it by the
//! socket `bot.sock` in the directory, and so act on what is running; where no bot is at work, they read and record in
//! the directory itself, and the next start acts on it. Who did something is the user who called.
//!
//! TASK and the inventory are JSON, TOML or YAML, told by their ending. Exit status: 0 when the
//! deployment came to what it is for, or what was asked is done; 1 when it ended otherwise, or something failed; 2 when
//! the input is bad, or what was asked makes no sense for the deployment as it is; 3 when the bot was told to stop
//! before the deployment had ended.

mod account;
mod account_text;
mod advice;
mod agent;
mod approve;
mod args;
mod bars;
mod bot;
mod caller;
mod check;
mod client;
mod deed;
mod deploy;
mod desk;
mod display;
mod door;
mod follow;
mod input;
mod message;
mod people;
mod plan;
mod plan_text;
mod run;
mod server;
mod socket;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use input::{BadInput, Drifted};
use message::Wish;

#[tokio::main]
async fn main() -> ExitCode {
    let command = Cli::parse().command;
    let json = command.json();
    let result = match command {
        Command::Deploy(args) => deploy::run(args).await,
        Command::Plan(args) => plan::run(args).await,
        Command::Apply(args) => deploy::apply(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Status(args) => people::status(args).await,
        Command::History(args) => people::history(args).await,
        Command::Pause(args) => people::say(args, Wish::Pause).await,
        Command::Resume(args) => people::say(args, Wish::Resume).await,
        Command::Promote(args) => people::say(args, Wish::Promote).await,
        Command::Cancel(args) => people::say(args, Wish::Cancel).await,
        Command::Retry(args) => people::say(args, Wish::Retry).await,
        Command::Rollback(args) => people::roll_back(args).await,
        Command::Skip(args) => people::skip(args).await,
        Command::Extend(args) => people::extend(args).await,
        Command::Approve(args) => approve::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Agent(args) => agent::run(args).await,
    };
    result.unwrap_or_else(|error| {
        match json {
            true => eprintln!("{}", input::as_json(&error)),
            false => eprintln!("release_bot: {}", input::chain(&*error)),
        }
        let theirs = error.is::<BadInput>() || error.is::<Drifted>();
        ExitCode::from(if theirs { 2 } else { 1 })
    })
}
