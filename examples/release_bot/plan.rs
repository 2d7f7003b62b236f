//! `plan`: says what a request would do, and does nothing of it.

use std::path::Path;
use std::process::ExitCode;

use deploy_core::Plan;
use deploy_core::model::DeploymentRequest;
use deploy_examples::wiring;

use crate::args::PlanArgs;
use crate::bot::Parts;
use crate::client;
use crate::input::{self, AnyError, BadInput};
use crate::message::{Answer, Ask};
use crate::plan_text;

pub(crate) async fn run(args: PlanArgs) -> Result<ExitCode, AnyError> {
    let (request, parts) = input::both(input::request(&args.task), Parts::read(args.bot))?;
    let state = args.state.as_deref();
    let plan = match by_bot(state, &request).await? {
        Some(plan) => plan,
        None => by_ourselves(&parts, state, &request).await?,
    };
    if let Some(path) = &args.out {
        let text = serde_json::to_string_pretty(&plan)?;
        let written = std::fs::write(path, text + "\n");
        written.map_err(|error| BadInput::new(format!("{}: {error}", path.display())))?;
    }
    match args.json {
        true => println!("{}", serde_json::to_string(&plan)?),
        false => println!("{}", plan_text::whole(&plan, args.out.as_deref())),
    }
    let sound = plan.refused.is_none() && plan.hosts.iter().all(|host| host.failure.is_none());
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The plan of the bot that has a state directory open, when there is one.
async fn by_bot(
    state: Option<&Path>,
    request: &DeploymentRequest,
) -> Result<Option<Plan>, AnyError> {
    let Some(directory) = state else { return Ok(None) };
    let Some(mut call) = client::call(directory).await? else { return Ok(None) };
    match call.ask(&Ask::Plan { request: Box::new(request.clone()) }).await {
        Some(Answer::Planned { plan }) => Ok(Some(*plan)),
        Some(answer) => Err(client::refusal(answer)),
        None => Ok(None),
    }
}

/// A plan of our own, with the unfinished deployments of the directory before it.
async fn by_ourselves(
    parts: &Parts,
    state: Option<&Path>,
    request: &DeploymentRequest,
) -> Result<Plan, AnyError> {
    let mut plan = parts.plan(request.clone()).await?;
    let Some(directory) = state.filter(|directory| wiring::store_path(directory).is_dir()) else {
        return Ok(plan);
    };
    let ask = Ask::Status { deployment: None };
    if let Answer::Accounts { accounts } = client::ask(directory, &ask).await?.answer {
        let project = (&request.business, &request.project);
        let before = accounts.iter().map(|account| &account.summary);
        let before = before.filter(|summary| (&summary.business, &summary.project) == project);
        plan.waits_for.extend(before.map(|summary| format!("the deployment {}", summary.task)));
    }
    Ok(plan)
}
