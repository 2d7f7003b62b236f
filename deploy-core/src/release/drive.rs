//! Carrying out what the state asks for while the program runs on the host.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::confirm::{Pass, confirm};
use super::job::{Bundle, Job, JobWork};
use super::place::Placing;
use super::probe::probe;
use super::reader::MarkerReader;
use super::report::Reporter;
use super::send::send_package;
use super::state::{Effect, HostRun, Input};
use crate::cancel::CancelToken;
use crate::connector::{CommandIo, Exit, SESSION_GRACE, Session, SessionError};
use crate::context::Context;
use crate::failure::{Failure, FailureCode};
use crate::model::{HostResult, Target};
use crate::pipe::{PipeWriter, pipe};

/// How many chunks a stream holds between the session and us.
const CHUNKS: usize = 8;

/// How many chunks of the package wait between the file and the session, beside the one that is fetched
/// and those that the session has. More would be held for each host at once and make nothing faster.
const AHEAD: usize = 1;

/// How long a session may take beyond its grace before it is given up.
const GIVE_UP: Duration = Duration::from_secs(15);

/// What was begun and ends with an input, or with nothing to say.
type Work = Pin<Box<dyn Future<Output = Option<Input>> + Send>>;

/// Carries out what the state asks for while the program runs.
pub(crate) struct Drive {
    job: Arc<Job>,
    cx: Context,
    target: Target,
    session: Arc<dyn Session>,
    reporter: Reporter,
    placing: Option<Arc<Placing>>,
    work: Option<Work>,
    /// The present work is in a thread that can only be asked to stop.
    unpacking: bool,
    stdin: Option<PipeWriter>,
    /// Stops the session. It is not the context's own: the host must not be told to put itself back
    /// while a thread of ours still unpacks there.
    stop: CancelToken,
    stopping: bool,
    /// What a confirmation needs.
    pass: Pass,
    confirming: bool,
    /// Another connection has proved how the program ended.
    proven: bool,
    /// What was said in band had its time, and the session may be stopped.
    impatient: bool,
    words: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.give_up_work();
    }
}

impl Drive {
    pub(crate) fn new(
        job: Arc<Job>,
        cx: Context,
        target: Target,
        session: Arc<dyn Session>,
        reporter: Reporter,
        placing: Option<Placing>,
        pass: Pass,
    ) -> Self {
        Self {
            job,
            cx,
            target,
            session,
            reporter,
            placing: placing.map(Arc::new),
            work: None,
            unpacking: false,
            stdin: None,
            stop: CancelToken::new(),
            stopping: false,
            pass,
            confirming: false,
            proven: false,
            impatient: false,
            words: mpsc::channel(1),
        }
    }

    /// Runs the program to its end.
    pub(crate) async fn run(
        mut self,
        mut state: HostRun,
        script: String,
        nonce: &str,
    ) -> HostResult {
        let (stdin, theirs) = pipe(AHEAD);
        let (stdout, mut said) = pipe(CHUNKS);
        let (stderr, mut complained) = pipe(CHUNKS);
        self.stdin = Some(stdin);
        let mut cx = self.cx.clone().with_cancel(self.stop.clone());
        cx.deadline = None;
        let session = Arc::clone(&self.session);
        let mut program = session.run(cx, script, CommandIo::new(theirs, stdout, stderr));
        let mut reader = MarkerReader::new(nonce);
        let mut complaint = Vec::new();
        let mut exit: Option<Result<Exit, SessionError>> = None;
        let (mut said_open, mut complained_open) = (true, true);
        let mut patience = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        let mut limit = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        while exit.is_none() || said_open || complained_open || self.confirming {
            tokio::select! {
                ended = &mut program, if exit.is_none() => {
                    // Only when the connection is lost it takes another one to know.
                    self.confirming &= matches!(ended, Ok(Exit::Lost(_)));
                    exit = Some(ended);
                }
                chunk = said.read(), if said_open => match chunk {
                    Some(chunk) => for heard in reader.take(&chunk) {
                        self.carry_out(state.take(Input::Heard(heard)));
                    },
                    None => said_open = false,
                },
                chunk = complained.read(), if complained_open => match chunk {
                    Some(chunk) => keep_tail(&mut complaint, &chunk),
                    None => complained_open = false,
                },
                Some(word) = self.words.1.recv() => self.carry_out(state.take(word)),
                word = work_of(&mut self.work) => {
                    self.work = None;
                    self.unpacking = false;
                    self.confirming = false;
                    if let Some(word) = word {
                        if matches!(word, Input::Confirmed(true)) {
                            // The program is over, and so is its connection, whether it knows or not.
                            self.proven = true;
                            limit.as_mut().reset(Instant::now() + GIVE_UP);
                        }
                        self.carry_out(state.take(word));
                    }
                    self.stop_session();
                }
                failure = stop_of(&self.cx, &self.job), if !self.stopping => {
                    self.stopping = true;
                    // What was said in band is not overtaken by the end of the session.
                    let mut until = Instant::now();
                    if !state.heeds_its_input() {
                        until += SESSION_GRACE;
                    }
                    patience.as_mut().reset(until);
                    limit.as_mut().reset(until + SESSION_GRACE + GIVE_UP);
                    self.carry_out(state.take(Input::Stop(failure)));
                }
                () = &mut patience, if self.stopping && !self.impatient => {
                    self.impatient = true;
                    self.stop_session();
                }
                () = &mut limit, if (self.stopping || self.proven) && exit.is_none() => {
                    let reason = "the session did not end when it was told to";
                    exit = Some(Ok(Exit::Lost(reason.to_owned())));
                    break;
                }
            }
        }
        state.end(exit.unwrap_or(Ok(Exit::Unknown)), &String::from_utf8_lossy(&complaint))
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Report(fact) => self.reporter.report(fact),
                Effect::Send => self.send(),
                Effect::Place => self.place(),
                Effect::Probe => self.probe(),
                Effect::Confirm => self.confirm(),
                Effect::Say(line) => self.say(line),
                Effect::Drop => self.give_up_work(),
                // A thread of ours ends first, so that the host does not clear up below it.
                Effect::HangUp if self.unpacking => {}
                Effect::HangUp => self.stdin = None,
            }
        }
    }

    fn send(&mut self) {
        let JobWork::Install(Bundle { package, .. }) = &self.job.work else {
            return;
        };
        let (package, stdin) = (package.clone(), self.stdin.clone());
        self.work = Some(Box::pin(async move {
            send_package(&package, &stdin?).await.err().map(Input::NotSent)
        }));
    }

    fn place(&mut self) {
        let Some(placing) = self.placing.clone() else {
            return;
        };
        let words = self.words.0.clone();
        let thread = tokio::task::spawn_blocking(move || placing.run(&words));
        self.unpacking = true;
        self.work = Some(Box::pin(async move {
            let internal = |_| Err(Failure::new(FailureCode::Internal, "unpacking panicked"));
            Some(Input::Placed(thread.await.unwrap_or_else(internal)))
        }));
    }

    fn probe(&mut self) {
        let Some(probing) = &self.job.probing else {
            return;
        };
        let (cx, monitor, target) = (self.cx.clone(), probing.monitor.clone(), self.target.clone());
        let asker = probing.asker(&self.session);
        self.work = Some(Box::pin(async move {
            let judged = match monitor.url_for(&target.host, &target.address) {
                Ok(url) => probe(cx, &asker, &monitor, url).await,
                Err(invalid) => Err(Failure::of(FailureCode::Invalid, &invalid)),
            };
            Some(Input::Judged(judged))
        }));
    }

    fn confirm(&mut self) {
        let (cx, job, target) = (self.cx.clone(), Arc::clone(&self.job), self.target.clone());
        let pass = self.pass.clone();
        self.confirming = true;
        self.work = Some(Box::pin(async move {
            Some(Input::Confirmed(confirm(cx, &job, &target, &pass).await))
        }));
    }

    fn say(&mut self, line: &'static str) {
        let stdin = self.stdin.clone();
        self.work = Some(Box::pin(async move {
            // A host that has gone is seen at the program's end.
            let _ = stdin?.write(line.as_bytes().to_vec()).await;
            None
        }));
    }

    fn give_up_work(&mut self) {
        if let Some(placing) = &self.placing {
            placing.interrupt.raise();
        }
        if !self.unpacking {
            self.work = None;
            self.confirming = false;
        }
    }

    /// Stops the session once nothing of ours works on the host any more.
    fn stop_session(&mut self) {
        if self.impatient && !self.unpacking {
            self.stop.cancel(self.cx.cancel.reason().unwrap_or("the deadline has passed"));
        }
    }
}

/// The end of the present work; for ever when there is none.
async fn work_of(work: &mut Option<Work>) -> Option<Input> {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// Ends when the work must stop, with the reason.
pub(crate) async fn stop_of(cx: &Context, job: &Job) -> Failure {
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => cx.cancel.failure(),
        () = cx.deadline_passed() => {
            let timeout = job.task.release.timeout;
            Failure::new(FailureCode::TimedOut, format!("the host took longer than the {timeout:?} it may"))
        }
    }
}

fn keep_tail(kept: &mut Vec<u8>, chunk: &[u8]) {
    kept.extend_from_slice(chunk);
    let beyond = kept.len().saturating_sub(Failure::OUTPUT);
    kept.drain(..beyond);
}
