//! Following a deployment to its end, in this process or in the bot that has the directory open.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use deploy_core::model::{DeploymentId, Outcome, Timestamp};
use deploy_core::{Deployment, DeploymentReport, Event, EventStream, Sequence, Subject, TaskState};
use deploy_examples::show;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::client::{self, Call};
use crate::display::Display;
use crate::input::AnyError;
use crate::message::{Answer, Ask, Wish};
use crate::{account_text, advice};

/// Where the events of a deployment come from.
#[derive(Debug)]
pub(crate) enum Source {
    Own(Deployment, EventStream),
    Bot { call: Call, directory: PathBuf, deployment: DeploymentId },
}

impl Source {
    pub(crate) fn own(deployment: Deployment, after: Sequence) -> Self {
        let events = deployment.events(after);
        Self::Own(deployment, events)
    }

    pub(crate) fn bot(call: Call, directory: &Path, deployment: DeploymentId) -> Self {
        Self::Bot { call, directory: directory.to_owned(), deployment }
    }

    /// The next event; `None` after the last one, and when the bot has hung up. Cancel safety: safe.
    async fn next(&mut self) -> Result<Option<Event>, AnyError> {
        match self {
            Self::Own(_, events) => Ok(events.next().await.transpose()?),
            Self::Bot { call, .. } => match call.next().await {
                Some(Answer::Event { event }) => Ok(Some(*event)),
                Some(Answer::Refused { message, .. }) => Err(message.into()),
                _ => Ok(None),
            },
        }
    }

    async fn cancel(&self) -> Result<(), AnyError> {
        let why = "interrupted at the terminal";
        match self {
            Self::Own(deployment, _) => deployment.cancel(why).await?,
            Self::Bot { directory, deployment, .. } => {
                let (deployment, why) = (deployment.clone(), why.to_owned());
                let ask = Ask::Say { deployment, wish: Wish::Cancel, why };
                client::ask(directory, &ask).await?;
            }
        }
        Ok(())
    }
}

/// How it comes that a deployment is followed no more.
#[derive(Debug)]
pub(crate) enum Left {
    /// It has ended.
    Ended,
    /// Somebody told this process to.
    Told,
    /// The bot has hung up; it can be followed on.
    Lost,
}

/// A deployment that is followed, and shown.
#[derive(Debug)]
pub(crate) struct Follower {
    state: Option<TaskState>,
    display: Display,
    interrupt: Signal,
    terminate: Signal,
    cancelled: bool,
    began: Timestamp,
}

impl Follower {
    pub(crate) fn new(json: bool) -> Result<Self, AnyError> {
        Ok(Self {
            state: None,
            display: Display::new(json),
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            cancelled: false,
            began: Timestamp::now(),
        })
    }

    /// The number of the last event that was seen.
    pub(crate) fn last(&self) -> Sequence {
        self.state.as_ref().map_or(Sequence::START, |state| state.last)
    }

    /// Shows the events up to the end. The first Ctrl-C cancels the deployment, the second one, or
    /// TERM, leaves it as it is.
    pub(crate) async fn follow(&mut self, mut source: Source) -> Result<Left, AnyError> {
        loop {
            tokio::select! {
                event = source.next() => match event? {
                    Some(event) => self.take(&event)?,
                    None => {
                        let over = self.state.as_ref().is_some_and(|s| s.outcome.is_some());
                        return Ok(if over { Left::Ended } else { Left::Lost });
                    }
                },
                _ = self.interrupt.recv() => {
                    if std::mem::replace(&mut self.cancelled, true) {
                        return Ok(Left::Told);
                    }
                    source.cancel().await?;
                }
                _ = self.terminate.recv() => return Ok(Left::Told),
            }
        }
    }

    fn take(&mut self, event: &Event) -> Result<(), AnyError> {
        match &mut self.state {
            Some(state) => state.apply(event),
            None => {
                if event.at < self.began {
                    let at = show::time(event.at);
                    eprintln!(
                        "release_bot: {} was filed at {at} already: nothing new is filed",
                        event.task
                    );
                }
                self.state = TaskState::of(event);
            }
        }
        self.display.event(event)
    }

    /// Says that nothing more is shown.
    pub(crate) fn end(&mut self) {
        self.display.end();
    }

    /// Tells how a deployment that has ended did so, and what may be done now where that was kept in a
    /// directory. The exit status: whether it came to what it was for.
    pub(crate) fn conclude(&self, directory: Option<&Path>) -> ExitCode {
        let Some((state, report)) = self
            .state
            .as_ref()
            .and_then(|state| DeploymentReport::of(state).map(|report| (state, report)))
        else {
            return ExitCode::FAILURE;
        };
        if !matches!(self.display, Display::Json) {
            println!("{}", show::report(&report));
            let id = report.deployment.as_str();
            print!("{}", account_text::advice(&advice::of(state), id, directory));
        }
        let back = match &state.subject {
            Subject::Deployment { request, .. } => request.rollback.is_some(),
            _ => false,
        };
        match report.outcome {
            Outcome::Succeeded => ExitCode::SUCCESS,
            Outcome::RolledBack if back => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}
