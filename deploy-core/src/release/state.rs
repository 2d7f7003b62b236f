//! What the node does about each word of the host: pure, `(State, Input) -> Vec<Effect>`.
//!
//! ```text
//! lock ─ need package ─┬─ send it ──── verify ─ unpack ┬─ link ─ … ─ switch ─ … ─ need verdict ─ … ─ end
//!                      └─ place it here ───────────────┘                         (probe)
//! ```

use std::time::Duration;

use super::found::Found;
use super::marker::{Ending, Marker, Reason};
use super::output::OutputText;
use super::reader::Heard;
use crate::connector::{Exit, SessionError};
use crate::event::Fact;
use crate::failure::{Failure, FailureCode, Retry};
use crate::model::{HostName, HostResult, HostStatus, ReleaseId};
use crate::release_step::Step;

/// How much of a step's output is passed on, in bytes. The host stops there by itself; a host that
/// does not is not believed.
const LIVE_OUTPUT: usize = 64 * 1024;

/// How many failures of putting a host back are kept.
const FURTHER: usize = 16;

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// The host said something.
    Heard(Heard),
    /// In process, the package's bytes were found to be right.
    Verified,
    /// In process, the package was unpacked, or was not.
    Placed(Result<(), Failure>),
    /// The package could not be read here while it was sent.
    NotSent(Failure),
    /// The release is healthy, or why it is not.
    Judged(Result<(), Failure>),
    /// Over a new connection, the release was confirmed and is served; or it was not.
    Confirmed(bool),
    /// The work must stop, and why.
    Stop(Failure),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Report a fact.
    Report(Fact),
    /// Send the package.
    Send,
    /// Check and unpack the package in process.
    Place,
    /// Ask the monitoring address until it is decided.
    Probe,
    /// Confirm the release over a new connection.
    Confirm,
    /// Say a line to the host.
    Say(&'static str),
    /// End what was begun by an earlier effect.
    Drop,
    /// Say nothing more: the host puts itself back.
    HangUp,
}

/// What the program is to do.
#[derive(Clone, Debug)]
pub(crate) enum Aim {
    /// Install a release, whose package our own code may unpack in process, and which may have to be
    /// confirmed.
    Install { release: ReleaseId, in_process: bool, confirm: bool },
    /// Undo a release.
    Rollback,
    /// Look at what is there.
    Inspect,
}

impl Aim {
    /// The last word of a program that did it.
    fn ending(&self) -> Ending {
        match self {
            Self::Install { .. } => Ending::Succeeded,
            Self::Rollback => Ending::RolledBack,
            Self::Inspect => Ending::Checked,
        }
    }
}

/// One run of the program on one host, as the node sees it.
#[derive(Debug)]
pub(crate) struct HostRun {
    host: HostName,
    aim: Aim,
    begun: Vec<Step>,
    ended: Vec<Step>,
    output: OutputText,
    /// The step whose output is held until its line ends.
    writing: Option<Step>,
    passed_on: usize,
    /// The frame that is being read.
    frame: Option<Frame>,
    failure: Option<Failure>,
    further: Vec<Failure>,
    tail: Vec<u8>,
    serves: Option<ReleaseId>,
    found: Found,
    /// Another connection has proved that the release is served.
    confirmed: bool,
    end: Option<(i32, Ending)>,
    stop: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Frame {
    Output(Step),
    Tail,
}

impl HostRun {
    /// Nothing has been heard yet.
    pub(crate) fn new(host: HostName, aim: Aim) -> Self {
        Self {
            host,
            aim,
            begun: Vec::new(),
            ended: Vec::new(),
            output: OutputText::default(),
            writing: None,
            passed_on: 0,
            frame: None,
            failure: None,
            further: Vec::new(),
            tail: Vec::new(),
            serves: None,
            found: Found::default(),
            confirmed: false,
            end: None,
            stop: None,
        }
    }

    /// Takes what happened and says what is to be done.
    pub(crate) fn take(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Heard(Heard::Marker(marker)) => {
                let mut effects = self.end_frame(&marker);
                effects.extend(self.hear(marker));
                effects
            }
            Input::Heard(Heard::Bytes(bytes)) => self.frame_bytes(&bytes),
            Input::Verified => {
                let mut effects = self.finish(Step::Verify, None);
                effects.extend(self.begin(Step::Unpack));
                effects
            }
            Input::Placed(Ok(())) if self.stop.is_some() => vec![Effect::HangUp],
            Input::Placed(Ok(())) => {
                let mut effects = self.finish(Step::Unpack, None);
                effects.push(Effect::Say("placed\n"));
                effects
            }
            Input::Placed(Err(failure)) | Input::NotSent(failure) => {
                let failure = match (&self.stop, failure.step) {
                    (Some(stop), Some(step)) => stop.clone().with_step(step),
                    _ => failure,
                };
                self.fail(failure);
                vec![Effect::HangUp]
            }
            Input::Judged(Ok(())) => vec![Effect::Say("commit\n")],
            Input::Judged(Err(failure)) => {
                self.fail(failure.with_step(Step::Probe));
                vec![Effect::Say("rollback\n")]
            }
            Input::Confirmed(confirmed) => {
                self.confirmed = confirmed;
                if confirmed { self.finish(Step::Confirm, None) } else { Vec::new() }
            }
            Input::Stop(failure) => {
                self.stop.get_or_insert(failure);
                if self.heeds_its_input() {
                    return vec![Effect::Drop, Effect::HangUp];
                }
                vec![Effect::Drop, Effect::Say("stop\n"), Effect::HangUp]
            }
        }
    }

    /// Whether the program takes the end of its input for the word to stop, at any time.
    pub(crate) fn heeds_its_input(&self) -> bool {
        match self.aim {
            Aim::Rollback => false,
            // The wait for a confirmation may have begun without our having heard of it.
            Aim::Install { confirm, .. } => !(confirm && self.begun.contains(&Step::Switch)),
            Aim::Inspect => true,
        }
    }

    fn hear(&mut self, marker: Marker) -> Vec<Effect> {
        match marker {
            Marker::Begin(step) => return self.begin(step),
            Marker::End(step, note) => return self.finish(step, note),
            Marker::NeedPackage if matches!(self.aim, Aim::Install { in_process: true, .. }) => {
                let mut effects = self.finish(Step::Transfer, Some("in process".to_owned()));
                effects.extend(self.begin(Step::Verify));
                effects.push(Effect::Place);
                return effects;
            }
            Marker::NeedPackage if matches!(self.aim, Aim::Install { .. }) => {
                return vec![Effect::Send];
            }
            Marker::NeedPackage => {}
            Marker::NeedVerdict => return vec![Effect::Probe],
            Marker::Output(step, _) => self.frame = Some(Frame::Output(step)),
            Marker::More(step, path) => {
                let text = format!("… the rest of the output is in {path} on the host\n");
                return vec![self.output_fact(step, text)];
            }
            Marker::Again(reason, step, message) => {
                let failure = self.failure_of(reason, step, message);
                return vec![Effect::Report(Fact::AttemptFailed { failure })];
            }
            Marker::Failed(reason, step, message) => {
                let failure = self.failure_of(reason, step, message);
                self.fail(failure);
                return vec![Effect::Drop];
            }
            Marker::Further(reason, step, message) if self.further.len() < FURTHER => {
                let failure = self.failure_of(reason, step, message);
                self.further.push(failure);
            }
            Marker::Further(..) => {}
            Marker::Tail(_) => self.frame = Some(Frame::Tail),
            Marker::Serves(release) => self.serves = release,
            Marker::Release(release, order) => self.found.release(order, release),
            Marker::Free(kib) => self.found.free(kib),
            Marker::Locked(by) => self.found.locked(&by),
            Marker::Ended(status, ending) => self.end = Some((status, ending)),
        }
        Vec::new()
    }

    /// Every step begins once and ends once, whatever the host says.
    fn begin(&mut self, step: Step) -> Vec<Effect> {
        if self.begun.contains(&step) {
            return Vec::new();
        }
        self.begun.push(step);
        self.passed_on = 0;
        let mut effects = vec![Effect::Report(Fact::StepStarted { host: self.host.clone(), step })];
        if step == Step::Confirm && matches!(self.aim, Aim::Install { confirm: true, .. }) {
            effects.push(Effect::Confirm);
        }
        effects
    }

    fn finish(&mut self, step: Step, note: Option<String>) -> Vec<Effect> {
        if !self.begun.contains(&step) || self.ended.contains(&step) {
            return Vec::new();
        }
        self.ended.push(step);
        vec![Effect::Report(Fact::StepFinished { host: self.host.clone(), step, note })]
    }

    fn frame_bytes(&mut self, bytes: &[u8]) -> Vec<Effect> {
        match self.frame {
            Some(Frame::Output(step)) => {
                let room = LIVE_OUTPUT.saturating_sub(self.passed_on);
                let bytes = &bytes[..bytes.len().min(room)];
                self.passed_on += bytes.len();
                self.writing = Some(step);
                let text = self.output.take(bytes);
                text.map(|text| self.output_fact(step, text)).into_iter().collect()
            }
            Some(Frame::Tail) => {
                let room = Failure::OUTPUT.saturating_sub(self.tail.len());
                self.tail.extend_from_slice(&bytes[..bytes.len().min(room)]);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// A marker ends the frame before it: a tail belongs to the failure that came last, and output
    /// goes on when the next frame is of the same step.
    fn end_frame(&mut self, next: &Marker) -> Vec<Effect> {
        if self.frame.take() == Some(Frame::Tail) {
            let tail = std::mem::take(&mut self.tail);
            let failure = self.further.last_mut().or(self.failure.as_mut());
            if let Some(failure) = failure {
                *failure = failure.clone().with_output(&String::from_utf8_lossy(&tail));
            }
        }
        match (self.writing, next) {
            (Some(step), Marker::Output(next, _)) if step == *next => Vec::new(),
            (Some(step), _) => {
                self.writing = None;
                let rest = self.output.flush();
                rest.map(|text| self.output_fact(step, text)).into_iter().collect()
            }
            (None, _) => Vec::new(),
        }
    }

    fn output_fact(&self, step: Step, text: String) -> Effect {
        Effect::Report(Fact::Output { host: self.host.clone(), step, text })
    }

    /// Only the first failure is the reason.
    fn fail(&mut self, failure: Failure) {
        let host = self.host.clone();
        self.failure.get_or_insert_with(|| failure.with_host(host));
    }

    fn failure_of(&self, reason: Reason, step: Step, message: String) -> Failure {
        let failure = match (reason, &self.stop) {
            (Reason::Code(FailureCode::Cancelled), Some(stop)) => stop.clone(),
            // Somebody on the host ended the program, which is not the deployment being cancelled.
            (Reason::Code(FailureCode::Cancelled), None) => {
                Failure::new(FailureCode::HostFailed, message)
                    .with_retry(Retry::After(Duration::from_secs(30)))
            }
            (Reason::Code(code), _) => Failure::new(code, message).with_retry(retry_of(code)),
            (Reason::Fenced, _) => Failure::new(FailureCode::HostLocked, message),
        };
        failure.with_step(step).with_host(self.host.clone())
    }

    /// How the host ended, after the program's output has ended too. `complaint` is what it wrote to
    /// its standard error last.
    pub(crate) fn end(mut self, exit: Result<Exit, SessionError>, complaint: &str) -> HostResult {
        match (exit, self.end, self.failure.take()) {
            (Ok(Exit::Exited(0)), Some((0, ending)), None) if ending == self.aim.ending() => {
                self.went_well()
            }
            (Ok(Exit::Exited(exit)), Some((status, ending)), Some(failure))
                if exit == status
                    && status != 0
                    && matches!(ending, Ending::Failed | Ending::RolledBack) =>
            {
                let installs = matches!(self.aim, Aim::Install { .. });
                let how = match ending {
                    _ if failure.code == FailureCode::Cancelled => HostStatus::Cancelled,
                    // A rollback that failed is none.
                    Ending::RolledBack if installs => HostStatus::RolledBack,
                    _ => HostStatus::Failed,
                };
                HostResult {
                    serves: self.serves,
                    further: self.further,
                    ..HostResult::failed(self.host, how, failure)
                }
            }
            // The words of the new connection are as good as those of the one that was lost.
            (Ok(Exit::Lost(_) | Exit::Unknown), _, None) if self.confirmed => self.went_well(),
            (Err(error), None, None) => {
                let failure = Failure::of(FailureCode::HostUnreachable, &error)
                    .with_retry(error.retry())
                    .with_step(Step::Connect)
                    .with_host(self.host.clone());
                HostResult::failed(self.host, HostStatus::Failed, failure)
            }
            (exit, _, first) => {
                let failure = unknown(&exit, self.begun.last().copied(), complaint)
                    .with_host(self.host.clone());
                let mut result = HostResult::failed(self.host, HostStatus::Unknown, failure);
                // What is known about the reason is not lost with the connection.
                result.further = first.or(self.stop).into_iter().chain(self.further).collect();
                result
            }
        }
    }
}

impl HostRun {
    /// The result of a host on which all went well.
    fn went_well(self) -> HostResult {
        match self.aim {
            Aim::Install { release, .. } => HostResult::succeeded(self.host, release),
            Aim::Rollback => HostResult {
                serves: self.serves,
                ..HostResult::new(self.host, HostStatus::RolledBack)
            },
            Aim::Inspect => HostResult {
                serves: self.serves.clone(),
                found: Some(Box::new(self.found.finish(self.serves))),
                ..HostResult::new(self.host, HostStatus::Checked)
            },
        }
    }
}

/// What cannot be known is worth asking again: the same task finds out.
fn unknown(exit: &Result<Exit, SessionError>, step: Option<Step>, complaint: &str) -> Failure {
    let how = match exit {
        Ok(Exit::Exited(status)) => {
            format!("the program on the host ended with status {status} and without its last word")
        }
        Ok(Exit::Signalled(signal)) => format!("the program on the host was ended by {signal}"),
        Ok(Exit::Lost(reason)) => format!("the connection was lost: {reason}"),
        Ok(Exit::Unknown) => "the host did not say how the program ended".to_owned(),
        Err(error) => Failure::of(FailureCode::Unknown, error).message,
    };
    let failure = Failure::new(FailureCode::Unknown, how)
        .with_retry(Retry::After(Duration::from_secs(30)))
        .with_output(complaint);
    match step {
        Some(step) => failure.with_step(step),
        None => failure,
    }
}

/// Whether what failed on a host is worth trying again.
fn retry_of(code: FailureCode) -> Retry {
    match code {
        // As often as Kamal asks.
        FailureCode::HostLocked => Retry::After(Duration::from_secs(15)),
        // The bytes were right here, so it was the way.
        FailureCode::DigestMismatch => Retry::Immediately,
        _ => Retry::Never,
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
