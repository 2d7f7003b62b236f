//! `deploy`: files a request, shows what happens, and ends with its outcome.

use std::path::Path;
use std::process::ExitCode;

use deploy_core::model::{DeploymentId, DeploymentRequest};
use deploy_core::{NodeError, NullObserver};
use deploy_examples::{show, wiring};

use crate::args::DeployArgs;
use crate::bot::{Bot, Parts};
use crate::client::{self, Call, Reached};
use crate::follow::{Follower, Left, Source};
use crate::input::{self, AnyError, BadInput};
use crate::message::{Answer, Ask};

pub(crate) async fn run(args: DeployArgs) -> Result<ExitCode, AnyError> {
    let filed = input::request(&args.task)?;
    let has_id = filed.id.is_some();
    // With an id it is the same deployment, whoever it is filed with and how often.
    let id = filed.id.clone().unwrap_or_else(DeploymentId::generate);
    let filing = Filing { request: filed.with_id(id.clone()), id, has_id };
    let parts = Parts::read(args.bot)?;
    let mut follower = Follower::new(args.json)?;
    let left = match &args.state {
        None => {
            let state = wiring::State::open(None).await?;
            filing.with_own_bot(&parts, &state, None, &mut follower).await
        }
        Some(directory) => filing.with_either(&parts, directory, &mut follower).await,
    };
    follower.end();
    let Left::Ended(report) = left? else {
        eprintln!("release_bot: stopped; {}", resume_hint(args.state.is_some()));
        return Ok(ExitCode::FAILURE);
    };
    if !args.json {
        println!("{}", show::report(&report));
    }
    Ok(if report.succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn resume_hint(kept: bool) -> &'static str {
    if kept { "the next start with the same --state goes on" } else { "nothing was kept" }
}

/// A request that is filed.
#[derive(Debug)]
struct Filing {
    request: DeploymentRequest,
    id: DeploymentId,
    /// Whether whoever filed it gave it its id.
    has_id: bool,
}

impl Filing {
    /// Files it with the bot that has the directory open, or with one of our own. When that bot ends
    /// before the deployment does, ours goes on with it.
    async fn with_either(
        &self,
        parts: &Parts,
        directory: &Path,
        follower: &mut Follower,
    ) -> Result<Left, AnyError> {
        let mut patience = client::SOON;
        loop {
            let open = async || wiring::State::open(Some(directory)).await;
            match client::reach(directory, patience, open).await? {
                Reached::Free(state) => {
                    return self.with_own_bot(parts, &state, Some(directory), follower).await;
                }
                Reached::Bot(call) => match self.with_bot(call, directory, follower).await? {
                    Left::Lost => patience = client::ENDING,
                    left => return Ok(left),
                },
            }
        }
    }

    async fn with_own_bot(
        &self,
        parts: &Parts,
        state: &wiring::State,
        directory: Option<&Path>,
        follower: &mut Follower,
    ) -> Result<Left, AnyError> {
        let bot = Bot::start(parts, state, directory, NullObserver::default()).await?;
        for earlier in bot.unfinished().await? {
            if !self.has_id || self.id.as_str() != earlier.task.as_str() {
                eprintln!("release_bot: going on with deployment {} first", earlier.task);
            }
        }
        let deployment = match bot.node.submit(self.request.clone()).await {
            Err(error @ NodeError::Conflict { .. }) => Err(BadInput::new(error.to_string()))?,
            Err(NodeError::Invalid(faults)) => Err(BadInput::new(faults.to_string()))?,
            submitted => submitted?,
        };
        let left = follower.follow(Source::own(deployment, follower.last())).await;
        bot.stop().await;
        left
    }

    async fn with_bot(
        &self,
        mut call: Call,
        directory: &Path,
        follower: &mut Follower,
    ) -> Result<Left, AnyError> {
        match call.ask(&Ask::Submit { request: Box::new(self.request.clone()) }).await {
            Some(Answer::Submitted { .. }) => {}
            Some(Answer::Refused { message, bad_input: true }) => Err(BadInput::new(message))?,
            Some(Answer::Refused { message, .. }) => Err(message)?,
            _ => return Ok(Left::Lost),
        }
        eprintln!(
            "release_bot: handed to the bot that has {} open; its inventory and gates count",
            directory.display()
        );
        let Some(mut call) = client::call(directory).await? else { return Ok(Left::Lost) };
        let ask = Ask::Follow { deployment: self.id.clone(), after: follower.last() };
        if call.say(&ask).await.is_err() {
            return Ok(Left::Lost);
        }
        follower.follow(Source::bot(call, directory, self.id.clone())).await
    }
}
