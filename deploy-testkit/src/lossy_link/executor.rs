//! Carrying out release tasks through agents over a network that loses: gives the task, follows its
//! events, builds the report. The rules are those of `deploy_http::HttpExecutor`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{Endpoint, HostResult, ReleaseId, ReleaseReport, ReleaseTask, TaskId};
use deploy_core::{AgentNode, AgentReport, Context, ExecuteError, Executor, Fact};
use tokio::time::Instant;

use super::Shared;
use super::call::{CallError, Cause, call};
use super::faults::{LinkFlaw, Patience};
use super::feed::{Feed, Signal};

/// The pauses between two tries double from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often a task is given again to an agent that does not know it, without an event in between.
const GIVE_AGAIN: u32 = 3;

/// Reaches agents over a [`LossyLink`](super::LossyLink).
#[derive(Clone)]
pub struct LinkExecutor {
    shared: Arc<Shared>,
}

impl fmt::Debug for LinkExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkExecutor").finish_non_exhaustive()
    }
}

impl LinkExecutor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl Executor for LinkExecutor {
    async fn execute(&self, cx: Context, task: ReleaseTask) -> Result<ReleaseReport, ExecuteError> {
        let Some(endpoint) = task.hosts.first().map(|host| host.endpoint.clone()) else {
            return Err(ExecuteError::Rejected { reason: "it has no hosts".to_owned() });
        };
        let (patience, flaw) = {
            let state = self.shared.lock();
            (state.patience, state.flaw)
        };
        let report = Talk {
            shared: &self.shared,
            cx: &cx,
            endpoint,
            progress: AgentReport::new(&task),
            task: &task,
            patience,
            taken: if cx.attempt > 1 { Taken::Earlier } else { Taken::No },
            last_heard: Instant::now(),
            given_again: 0,
        };
        match report.run().await {
            Err(ExecuteError::Lost { .. }) if flaw == Some(LinkFlaw::TakesLostForDone) => {
                let release = ReleaseId::from(&task.deployment);
                let done = task.hosts.iter();
                let done = done.map(|t| HostResult::succeeded(t.host.clone(), release.clone()));
                Ok(ReleaseReport::new(done.collect()))
            }
            report => report,
        }
    }
}

/// Whether the agent has the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Taken {
    No,
    /// An earlier attempt may have given it. Whatever the agent says now is true.
    Earlier,
    /// A call went out, and what became of it is not known.
    Unclear,
    Yes,
}

/// One task at one agent, from giving it to its report.
struct Talk<'a> {
    shared: &'a Arc<Shared>,
    cx: &'a Context,
    task: &'a ReleaseTask,
    endpoint: Endpoint,
    progress: AgentReport,
    patience: Patience,
    taken: Taken,
    last_heard: Instant,
    given_again: u32,
}

impl Talk<'_> {
    async fn run(mut self) -> Result<ReleaseReport, ExecuteError> {
        self.submit().await?;
        let (cx, shared) = (self.cx, Arc::clone(self.shared));
        let (endpoint, id, grace) =
            (self.endpoint.clone(), self.task.id.clone(), self.patience.cancel_grace);
        let name = self.endpoint.to_string();
        let give_up = async move {
            cx.cancel.cancelled().await;
            let reason = cx.cancel.reason().unwrap_or("cancelled").to_owned();
            let cancel = cancel_until_taken(&shared, &endpoint, &id, &reason);
            let _ = tokio::time::timeout(grace, cancel).await;
        };
        tokio::select! {
            biased;
            followed = self.follow() => followed,
            () = give_up => Err(ExecuteError::Lost {
                endpoint: name,
                source: "no report came after it was cancelled".into(),
            }),
        }
    }

    /// Gives the task, as often as it takes within the window.
    async fn submit(&mut self) -> Result<(), ExecuteError> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(self.shared);
        while !self.cx.cancel.is_cancelled() {
            let task = self.task.clone();
            let give = move |node: AgentNode| {
                let task = task.clone();
                async move { node.accept(task).await }
            };
            let source = match call(self.shared, &self.endpoint, give).await {
                Ok(_) => {
                    self.taken = Taken::Yes;
                    self.last_heard = Instant::now();
                    return Ok(());
                }
                Err(CallError::Refused(reason)) => return Err(ExecuteError::Rejected { reason }),
                Err(CallError::UnknownTask) => {
                    let reason = "it knows no way to take tasks".to_owned();
                    return Err(ExecuteError::Rejected { reason });
                }
                Err(CallError::NotTaken(source)) => source,
                Err(CallError::Unclear(source)) => {
                    self.taken = self.taken.max(Taken::Unclear);
                    source
                }
            };
            let pause = backoff.next();
            if begun.elapsed() + pause >= self.patience.retry_window {
                let endpoint = self.endpoint.to_string();
                return Err(match self.taken {
                    Taken::No => ExecuteError::Unreachable { endpoint, source },
                    _ => ExecuteError::Lost { endpoint, source },
                });
            }
            tokio::select! {
                biased;
                () = self.cx.cancel.cancelled() => {}
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
        let mut backoff = Backoff::new(self.shared);
        loop {
            let before = self.progress.last();
            let opened = Feed::open(self.shared, &self.endpoint, &self.task.id, before).await;
            let source = match opened {
                Ok(feed) => {
                    let broken = self.read(feed).await;
                    if self.progress.finished() {
                        return Ok(self.close());
                    }
                    broken
                }
                Err(CallError::UnknownTask) => {
                    if self.given_again >= GIVE_AGAIN {
                        return Err(self.lost("it forgets the task again and again".into()));
                    }
                    self.given_again += 1;
                    self.give_again().await?;
                    tokio::time::sleep(backoff.next()).await;
                    continue;
                }
                Err(CallError::NotTaken(source) | CallError::Unclear(source)) => source,
                Err(CallError::Refused(reason)) => reason.into(),
            };
            if self.last_heard.elapsed() >= self.patience.lost_after {
                return Err(self.lost(source));
            }
            if self.progress.last() > before {
                self.given_again = 0;
                backoff = Backoff::new(self.shared);
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Reads one stream until it breaks off: gives why.
    async fn read(&mut self, mut feed: Feed) -> Cause {
        loop {
            match feed.next().await {
                Ok(Signal::Event(event)) => {
                    self.last_heard = Instant::now();
                    if let Some(fact) = self.progress.take(*event) {
                        self.cx.report(fact);
                    }
                    if self.progress.finished() {
                        return "the task has ended".into();
                    }
                }
                Ok(Signal::Alive) => self.last_heard = Instant::now(),
                Ok(Signal::End) => return "the stream of events ended early".into(),
                Err(source) => return source,
            }
        }
    }

    /// Gives the task again to an agent that does not know it any more.
    async fn give_again(&mut self) -> Result<(), ExecuteError> {
        if self.cx.cancel.is_cancelled() {
            return Err(match self.taken {
                Taken::No | Taken::Earlier => ExecuteError::Cancelled,
                Taken::Unclear | Taken::Yes => {
                    self.lost("it does not know the task any more".into())
                }
            });
        }
        self.progress.begin_again();
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

    fn lost(&self, source: Cause) -> ExecuteError {
        ExecuteError::Lost { endpoint: self.endpoint.to_string(), source }
    }
}

/// Cancels the task at the agent, as often as it takes; then waits for ever.
async fn cancel_until_taken(shared: &Arc<Shared>, endpoint: &Endpoint, id: &TaskId, reason: &str) {
    let mut backoff = Backoff::new(shared);
    loop {
        let (id, reason) = (id.clone(), reason.to_owned());
        let cancel = move |node: AgentNode| {
            let (id, reason) = (id.clone(), reason.clone());
            async move { node.cancel(&id, &reason).await }
        };
        // Whatever follows comes with the events.
        if let Ok(()) | Err(CallError::UnknownTask) = call(shared, endpoint, cancel).await {
            break;
        }
        tokio::time::sleep(backoff.next()).await;
    }
    std::future::pending::<()>().await;
}

/// Pauses that double, each shortened at random by up to a half.
struct Backoff<'a> {
    shared: &'a Shared,
    pause: Duration,
}

impl<'a> Backoff<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self { shared, pause: FIRST_PAUSE }
    }

    fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.shared.dice.within(micros / 2..micros))
    }
}
