//! `status`, `history`, and what a person may do to a deployment: asked of the bot that has the state
//! directory open, or of the directory itself.

use std::process::ExitCode;
use std::time::Duration;

use deploy_core::model::{DeploymentId, HostName, ReleaseId, RollbackTarget, Timestamp};

use crate::account::Account;
use crate::account_text;
use crate::args::{ExtendArgs, HistoryArgs, RollbackArgs, SkipArgs, StatusArgs, VerbArgs};
use crate::client::{self, Answered};
use crate::input::{AnyError, BadInput};
use crate::message::{Answer, Ask, Filter, Wish};

pub(crate) async fn status(args: StatusArgs) -> Result<ExitCode, AnyError> {
    let deployment = args.deployment.as_deref().map(id).transpose()?;
    let whole = deployment.is_some();
    let answered = client::ask(&args.state, &Ask::Status { deployment }).await?;
    let Answer::Accounts { accounts } = answered.answer else { return unexpected() };
    if args.json {
        println!("{}", serde_json::to_string(&accounts)?);
        return Ok(ExitCode::SUCCESS);
    }
    for account in &accounts {
        match whole {
            true => println!("{}", account_text::whole(account, &args.state)),
            false => println!("{}", account_text::line(account)),
        }
    }
    if accounts.is_empty() {
        println!("nothing is unfinished");
    } else if !answered.by_bot && accounts.iter().any(|a| a.outcome().is_none()) {
        eprintln!("{}", no_bot(&args.state));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn history(args: HistoryArgs) -> Result<ExitCode, AnyError> {
    let project = args.project.as_deref().map(|text| {
        let names = text
            .split_once('/')
            .ok_or_else(|| BadInput::new(format!("--project: {text:?} is not BUSINESS/PROJECT")))?;
        Ok::<_, BadInput>((read("--project", names.0)?, read("--project", names.1)?))
    });
    let filter = Filter {
        project: project.transpose()?,
        work_order: args.work_order.map(|text| read("--work-order", &text)).transpose()?,
        outcome: args.outcome.map(Into::into),
        since: args.since.map(|text| read("--since", &text)).transpose()?,
        until: args.until.map(|text| read("--until", &text)).transpose()?,
        after: args.after.map(|text| read("--after", &text)).transpose()?,
        limit: args.limit,
    };
    let ask = match args.host {
        Some(host) => Ask::HostHistory { host: read::<HostName>("--host", &host)?, filter },
        None => Ask::History { filter },
    };
    match client::ask(&args.state, &ask).await?.answer {
        Answer::Accounts { accounts } if args.json => {
            println!("{}", serde_json::to_string(&accounts)?);
        }
        Answer::Hosts { hosts } if args.json => println!("{}", serde_json::to_string(&hosts)?),
        Answer::Accounts { accounts } => {
            accounts.iter().for_each(|account| println!("{}", account_text::entry(account)));
        }
        Answer::Hosts { hosts } => {
            hosts.iter().for_each(|record| println!("{}", account_text::host(record)));
        }
        _ => return unexpected(),
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn say(args: VerbArgs, wish: Wish) -> Result<ExitCode, AnyError> {
    let deployment = id(&args.deployment)?;
    let ask = Ask::Say { deployment, wish, why: args.reason.clone() };
    let Answered { answer, by_bot } = client::ask(&args.state, &ask).await?;
    let Answer::Accounts { accounts } = answer else { return unexpected() };
    let [account] = accounts.as_slice() else { return unexpected() };
    if args.json {
        println!("{}", serde_json::to_string(account)?);
    } else {
        println!("{}", account_text::line(account));
    }
    if !by_bot && account.outcome().is_none() {
        eprintln!("{}", no_bot(&args.state));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn skip(args: SkipArgs) -> Result<ExitCode, AnyError> {
    let host = read("HOST", &args.host)?;
    say(args.verb, Wish::Skip(host)).await
}

pub(crate) async fn extend(args: ExtendArgs) -> Result<ExitCode, AnyError> {
    let until = match (&args.until, &args.by) {
        (Some(until), _) => read("--until", until)?,
        (None, by) => {
            // Said as a time, so that it is no more when it is said twice.
            let by = span(by.as_deref().unwrap_or_default())?;
            present_deadline(&args.verb).await?.plus(by)
        }
    };
    say(args.verb, Wish::Extend(until)).await
}

pub(crate) async fn roll_back(args: RollbackArgs) -> Result<ExitCode, AnyError> {
    let to = match args.to.as_str() {
        "last-good" => RollbackTarget::LastGood,
        "previous" => RollbackTarget::Previous,
        text => RollbackTarget::Release(match text.strip_prefix("release:") {
            Some(release) => read("--to", release)?,
            None => known_release(&args.verb, text).await?,
        }),
    };
    say(args.verb, Wish::RollBack(to)).await
}

/// A release of a deployment of the directory. Any other text is more likely a slip than a release, and
/// a rollback to what no host has cannot be taken back.
async fn known_release(args: &VerbArgs, text: &str) -> Result<ReleaseId, AnyError> {
    let deployment: DeploymentId = read("--to", text)?;
    let release = ReleaseId::from(&deployment);
    let ask = Ask::Status { deployment: Some(deployment) };
    match client::ask(&args.state, &ask).await {
        Err(error) if error.is::<BadInput>() => Err(BadInput::new(format!(
            "--to: {error}: it takes last-good, previous, a deployment of {}, or release:{text} \
             when another directory knows it",
            args.state.display()
        ))
        .into()),
        Err(error) => Err(error),
        Ok(_) => Ok(release),
    }
}

/// The deadline of a deployment; the present time where it has none, which is refused later on.
async fn present_deadline(args: &VerbArgs) -> Result<Timestamp, AnyError> {
    let ask = Ask::Status { deployment: Some(id(&args.deployment)?) };
    let Answer::Accounts { accounts } = client::ask(&args.state, &ask).await?.answer else {
        return unexpected();
    };
    let deadline = |account: &Account| account.deadline;
    Ok(accounts.first().and_then(deadline).unwrap_or_else(Timestamp::now))
}

fn span(text: &str) -> Result<Duration, BadInput> {
    let span = text.parse::<jiff::SignedDuration>().ok();
    span.and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| BadInput::new(format!("--by: {text:?} is not a duration such as \"30m\"")))
}

fn id(text: &str) -> Result<DeploymentId, BadInput> {
    read("DEPLOYMENT", text)
}

/// Reads a value of the command line.
fn read<T: std::str::FromStr<Err = deploy_core::Invalid>>(
    what: &str,
    text: &str,
) -> Result<T, BadInput> {
    text.parse().map_err(|error| BadInput::new(format!("{what}: {error}")))
}

fn no_bot(directory: &std::path::Path) -> String {
    let shown = directory.display();
    format!("release_bot: no bot is at work in {shown}; the next `run` or `deploy` there goes on")
}

fn unexpected<T>() -> Result<T, AnyError> {
    Err("the bot that has the state directory open answers something else".into())
}
