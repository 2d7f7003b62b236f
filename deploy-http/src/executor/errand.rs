//! One task at one agent, from giving it to its report.

use std::time::Duration;

use deploy_core::model::{ReleaseReport, ReleaseTask};
use deploy_core::{AgentReport, Context, ExecuteError, Fact};
use tokio::time::Instant;

use super::Patience;
use super::agent::{Agent, CallError, Cause};
use super::feed::{Feed, Signal};
use crate::backoff::Backoff;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Whether the agent has the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Taken {
    /// It was never given.
    No,
    /// An earlier attempt may have given it. Whatever the agent says now is true.
    Earlier,
    /// A call went out, and what became of it is not known.
    Unclear,
    /// The agent said so.
    Yes,
}

/// One task at one agent.
#[derive(Debug)]
pub(super) struct Errand<'a> {
    cx: &'a Context,
    agent: Agent,
    patience: Patience,
    progress: AgentReport,
    taken: Taken,
    last_heard: Instant,
    /// Whether it is known that calls fail at present.
    told: bool,
    /// How often the task was given again since the last event.
    given_again: u32,
}

/// How often a task is given again to an agent that does not know it, without an event in between.
const GIVE_AGAIN: u32 = 3;

impl<'a> Errand<'a> {
    pub(super) fn new(
        cx: &'a Context,
        task: &ReleaseTask,
        agent: Agent,
        patience: Patience,
    ) -> Self {
        Self {
            cx,
            agent,
            patience,
            progress: AgentReport::new(task),
            taken: if cx.attempt > 1 { Taken::Earlier } else { Taken::No },
            last_heard: Instant::now(),
            told: false,
            given_again: 0,
        }
    }

    pub(super) async fn run(mut self) -> Result<ReleaseReport, ExecuteError> {
        let cx = self.cx;
        self.submit().await?;
        let agent = self.agent.clone();
        let patience = self.patience;
        let endpoint = agent.endpoint();
        let give_up = async move {
            let reason = stopped(cx).await;
            let cancel = cancel_until_taken(&agent, &reason, patience);
            let _ = tokio::time::timeout(patience.cancel_grace, cancel).await;
        };
        tokio::select! {
            biased;
            followed = self.follow() => followed,
            () = give_up => Err(ExecuteError::Lost {
                endpoint,
                source: "no report came after it was cancelled".into(),
            }),
        }
    }

    /// Gives the task, as often as it takes within the window. A call that went out is waited for
    /// even when the work is to stop, so that no task is taken behind our back.
    async fn submit(&mut self) -> Result<(), ExecuteError> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(self.patience.first_pause, LONGEST_PAUSE);
        while !stopped_already(self.cx) {
            let (source, wait) = match self.agent.submit().await {
                Ok(()) => {
                    self.taken = Taken::Yes;
                    self.heard();
                    return Ok(());
                }
                Err(CallError::Refused { reason }) => {
                    return Err(ExecuteError::Rejected { reason });
                }
                Err(CallError::UnknownTask) => {
                    let reason = "it knows no way to take tasks".to_owned();
                    return Err(ExecuteError::Rejected { reason });
                }
                Err(CallError::NotTaken { source, wait }) => (source, wait),
                Err(CallError::Unclear { source }) => {
                    self.taken = self.taken.max(Taken::Unclear);
                    (source, None)
                }
            };
            let error = match self.taken {
                Taken::No => ExecuteError::Unreachable { endpoint: self.agent.endpoint(), source },
                _ => self.lost(source),
            };
            let pause = backoff.next(wait);
            if begun.elapsed() + pause >= self.patience.retry_window {
                return Err(error);
            }
            self.tell(&error);
            tokio::select! {
                _reason = stopped(self.cx) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        match self.taken {
            Taken::No => Err(ExecuteError::Cancelled),
            // The agent is asked, and told to stop.
            _ => Ok(()),
        }
    }

    /// Follows the task's events to its end, over as many streams as it takes.
    async fn follow(&mut self) -> Result<ReleaseReport, ExecuteError> {
        self.last_heard = Instant::now();
        let mut backoff = Backoff::new(self.patience.first_pause, LONGEST_PAUSE);
        loop {
            let before = self.progress.last();
            let called = self.agent.events(self.progress.last()).await;
            // A stream that breaks off is nothing strange; a call that fails is.
            let failed = called.is_err();
            let (source, wait) = match called {
                Ok(feed) => {
                    let broken = self.read(feed).await?;
                    if self.progress.finished() {
                        return Ok(self.close());
                    }
                    (broken, None)
                }
                Err(CallError::UnknownTask) => {
                    if self.given_again >= GIVE_AGAIN {
                        return Err(self.lost("it forgets the task again and again".into()));
                    }
                    self.given_again += 1;
                    self.give_again().await?;
                    tokio::time::sleep(backoff.next(None)).await;
                    continue;
                }
                Err(CallError::NotTaken { source, wait }) => (source, wait),
                Err(CallError::Unclear { source }) => (source, None),
                Err(CallError::Refused { reason }) => (reason.into(), None),
            };
            let error = self.lost(source);
            if self.last_heard.elapsed() >= self.patience.lost_after {
                return Err(error);
            }
            if failed {
                self.tell(&error);
            }
            if self.progress.last() > before {
                self.given_again = 0;
                backoff.reset();
            }
            tracing::debug!(
                target: "deploy",
                task = %self.cx.task,
                error = &error as &dyn std::error::Error,
                "an event stream broke off"
            );
            tokio::time::sleep(backoff.next(wait)).await;
        }
    }

    /// Reads one stream until it breaks off: gives why.
    async fn read(&mut self, mut feed: Feed) -> Result<Cause, ExecuteError> {
        let mut strange = false;
        loop {
            match feed.next().await {
                Ok(Signal::Event(event)) => {
                    if let Some(fact) = self.progress.take(*event) {
                        self.cx.report(fact);
                    }
                    if self.progress.finished() {
                        return Ok("the task has ended".into());
                    }
                }
                Ok(Signal::Alive) => self.heard(),
                Ok(Signal::Strange) => strange = true,
                // It has said all it has to say, and we have not understood the end.
                Ok(Signal::End) if strange => {
                    return Err(self.lost("it sends events of an unknown kind".into()));
                }
                Ok(Signal::End) => return Ok("the stream of events ended early".into()),
                Err(source) => return Ok(source),
            }
        }
    }

    /// Gives the task again to an agent that does not know it any more.
    async fn give_again(&mut self) -> Result<(), ExecuteError> {
        if stopped_already(self.cx) {
            return Err(match self.taken {
                Taken::No | Taken::Earlier => ExecuteError::Cancelled,
                Taken::Unclear | Taken::Yes => {
                    self.lost("it does not know the task any more".into())
                }
            });
        }
        tracing::warn!(target: "deploy", task = %self.cx.task, "an agent has lost a task; it is given again");
        self.progress.begin_again();
        // It had the task before, so hosts may have been touched whatever it says now.
        self.submit().await.map_err(|error| match error {
            ExecuteError::Unreachable { source, .. } => self.lost(source),
            ExecuteError::Rejected { reason } => self.lost(reason.into()),
            error => error,
        })
    }

    fn close(&mut self) -> ReleaseReport {
        for result in self.progress.close() {
            self.cx.report(Fact::HostFinished { result });
        }
        self.progress.report()
    }

    /// The agent lives.
    fn heard(&mut self) {
        self.last_heard = Instant::now();
        self.told = false;
    }

    /// Reports that a call failed and is made again: once until the agent is heard again.
    fn tell(&mut self, error: &ExecuteError) {
        if !std::mem::replace(&mut self.told, true) {
            self.cx.report(Fact::AttemptFailed { failure: error.into() });
        }
    }

    fn lost(&self, source: Cause) -> ExecuteError {
        ExecuteError::Lost { endpoint: self.agent.endpoint(), source }
    }
}

/// Cancels the task at the agent, as often as it takes; then waits for ever.
async fn cancel_until_taken(agent: &Agent, reason: &str, patience: Patience) {
    let mut backoff = Backoff::new(patience.first_pause, LONGEST_PAUSE);
    loop {
        let wait = match agent.cancel(reason).await {
            // Whatever follows comes with the events.
            Ok(()) | Err(CallError::UnknownTask) => break,
            Err(CallError::NotTaken { wait, .. }) => wait,
            Err(CallError::Unclear { .. } | CallError::Refused { .. }) => None,
        };
        tokio::time::sleep(backoff.next(wait)).await;
    }
    std::future::pending::<()>().await;
}

/// Waits until the work is to stop, and gives the reason.
pub(super) async fn stopped(cx: &Context) -> String {
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => cx.cancel.reason().unwrap_or("cancelled").to_owned(),
        () = cx.deadline_passed() => "its deadline has passed".to_owned(),
    }
}

fn stopped_already(cx: &Context) -> bool {
    cx.cancel.is_cancelled() || cx.remaining().is_some_and(|left| left.is_zero())
}
