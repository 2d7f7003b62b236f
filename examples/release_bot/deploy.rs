//! `deploy` and `apply`: file a request or a plan, show what happens, and end with its outcome.

use std::path::Path;
use std::process::ExitCode;

use deploy_core::model::{DeploymentId, DeploymentRequest};
use deploy_core::{NullObserver, Plan};
use deploy_examples::wiring;

use crate::args::{ApplyArgs, DeployArgs, FilingArgs};
use crate::bot::{Bot, Parts};
use crate::client::{self, Call, Reached};
use crate::desk;
use crate::follow::{Follower, Left, Source};
use crate::input::{self, AnyError, BadInput};
use crate::message::{Answer, Ask};

pub(crate) async fn run(args: DeployArgs) -> Result<ExitCode, AnyError> {
    let FilingArgs { state, bot, json } = args.filing;
    let (request, parts) = input::both(input::request(&args.task), Parts::read(bot))?;
    let has_id = request.id.is_some();
    // With an id it is the same deployment, whoever it is filed with and how often.
    let id = request.id.clone().unwrap_or_else(DeploymentId::generate);
    let filed = Filed::Request(Box::new(request.with_id(id.clone())));
    file(Filing { filed, id, has_id }, &parts, state.as_deref(), json).await
}

pub(crate) async fn apply(args: ApplyArgs) -> Result<ExitCode, AnyError> {
    let FilingArgs { state, bot, json } = args.filing;
    let (plan, parts) = input::both(input::plan(&args.plan), Parts::read(bot))?;
    let no_id = || BadInput::new(format!("{} names no deployment", args.plan.display()));
    let id = plan.deployment().cloned().ok_or_else(no_id)?;
    let filing = Filing { filed: Filed::Plan(Box::new(plan)), id, has_id: true };
    file(filing, &parts, state.as_deref(), json).await
}

async fn file(
    filing: Filing,
    parts: &Parts,
    directory: Option<&Path>,
    json: bool,
) -> Result<ExitCode, AnyError> {
    let mut follower = Follower::new(json)?;
    let left = match directory {
        None => {
            let state = wiring::State::open(None).await?;
            filing.with_own_bot(parts, &state, None, &mut follower).await
        }
        Some(directory) => filing.with_either(parts, directory, &mut follower).await,
    };
    follower.end();
    if !matches!(left?, Left::Ended) {
        eprintln!("release_bot: stopped; {}", resume_hint(directory.is_some()));
        return Ok(ExitCode::from(STOPPED));
    }
    Ok(follower.conclude(directory))
}

/// The exit status when the deployment has not ended, because this process was told to stop.
const STOPPED: u8 = 3;

fn resume_hint(kept: bool) -> &'static str {
    if kept { "the next start with the same --state goes on" } else { "nothing was kept" }
}

/// What is filed.
#[derive(Clone, Debug)]
enum Filed {
    Request(Box<DeploymentRequest>),
    Plan(Box<Plan>),
}

/// Something that is filed.
#[derive(Debug)]
struct Filing {
    filed: Filed,
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
                eprintln!("release_bot: going on with deployment {} too", earlier.task);
            }
        }
        let submitted = match self.filed.clone() {
            Filed::Request(request) => bot.node.submit(*request).await,
            Filed::Plan(plan) => bot.node.apply(*plan).await,
        };
        let deployment = match submitted {
            Ok(deployment) => deployment,
            Err(error) => {
                bot.stop().await;
                return Err(client::refusal(desk::refused(&error)));
            }
        };
        let left = follower.follow(Source::own(deployment, follower.last())).await;
        let unfinished = bot.unfinished().await;
        bot.stop().await;
        if let (Some(directory), Ok(Left::Ended)) = (directory, &left) {
            for other in unfinished? {
                eprintln!(
                    "release_bot: {} is unfinished; the next `run` or `deploy` in {} goes on",
                    other.task,
                    directory.display()
                );
            }
        }
        left
    }

    async fn with_bot(
        &self,
        mut call: Call,
        directory: &Path,
        follower: &mut Follower,
    ) -> Result<Left, AnyError> {
        let ask = match self.filed.clone() {
            Filed::Request(request) => Ask::Submit { request },
            Filed::Plan(plan) => Ask::Apply { plan },
        };
        match call.ask(&ask).await {
            Some(Answer::Submitted { .. }) => {}
            Some(answer @ (Answer::Refused { .. } | Answer::Drifted { .. })) => {
                return Err(client::refusal(answer));
            }
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
