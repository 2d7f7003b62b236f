//! A command on its channel: its input goes in, its output comes out, until its end is proved.

use std::task::Poll;
use std::time::{Duration, Instant};

use deploy_core::Exit;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::exit::proved;
use super::flow::Flow;
use super::input::Input;
use super::job::{Progress, ready};
use crate::bootstrap::Marks;
use crate::other_user::Become;
use crate::wire::{Output, Wire, WireChannel, WireError};

/// How much the host may send before we have passed it on, in bytes: enough for 50 MB/s at a round trip
/// of 20 ms, and what a command whose output nobody takes holds in memory.
const WINDOW: u32 = 1024 * 1024;

/// What a command is to do and where its streams are.
pub(crate) struct CommandOrder {
    /// Its number in this session.
    pub(crate) id: u64,
    pub(crate) line: String,
    pub(crate) preamble: Vec<u8>,
    /// The marks of standard output and standard error.
    pub(crate) marks: [Marks; 2],
    pub(crate) stdin: mpsc::Receiver<Vec<u8>>,
    /// Standard output and standard error.
    pub(crate) outputs: [mpsc::Sender<Vec<u8>>; 2],
    pub(crate) ended: oneshot::Sender<Ended>,
    pub(crate) other: Option<Become>,
}

/// How a command ended, or why it did not start: what the host said instead.
pub(crate) type Ended = Result<Exit, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Starting,
    Running,
    Closing,
}

/// A call that is to be repeated before any other.
#[derive(Clone, Copy)]
enum Call {
    Read(usize),
    Write,
    EndInput,
}

/// A command that is carried out.
pub(crate) struct Command {
    pub(crate) id: u64,
    pub(crate) other: Option<Become>,
    line: String,
    phase: Phase,
    /// When its channel was asked for.
    asked: Option<Instant>,
    channel: Option<WireChannel>,
    marks: [Marks; 2],
    words: [Option<String>; 2],
    group: Option<u32>,
    input: Input,
    outputs: [Option<mpsc::Sender<Vec<u8>>>; 2],
    over: [bool; 2],
    repeat: Option<Call>,
    /// A signal that could not be sent yet.
    wanted: Option<&'static str>,
    ended: Option<oneshot::Sender<Ended>>,
}

const OUTPUTS: [Output; 2] = [Output::Stdout, Output::Stderr];

impl Command {
    pub(crate) fn new(order: CommandOrder) -> Self {
        Self {
            id: order.id,
            other: order.other,
            line: order.line,
            phase: Phase::Opening,
            asked: None,
            channel: None,
            marks: order.marks,
            words: [None, None],
            group: None,
            input: Input::new(order.preamble, order.stdin),
            outputs: order.outputs.map(Some),
            over: [false; 2],
            repeat: None,
            wanted: None,
            ended: Some(order.ended),
        }
    }

    /// Whether it waits for its channel: one channel is opened at a time.
    pub(crate) fn is_opening(&self) -> bool {
        self.phase == Phase::Opening
    }

    /// Wants its process group to get a signal, once that is known.
    pub(crate) fn want(&mut self, signal: &'static str) {
        self.cut_input();
        self.wanted = Some(signal);
    }

    /// The signal that is to be sent now, and to which group.
    pub(crate) fn take_wanted(&mut self) -> Option<(u32, &'static str)> {
        let group = self.group.filter(|_| self.phase == Phase::Running)?;
        Some((group, self.wanted.take()?))
    }

    /// Ends its input now, and drops what was not sent.
    pub(crate) fn cut_input(&mut self) {
        self.input.cut();
    }

    /// How long it waits for news of its input at most.
    pub(crate) fn rests(&self) -> Option<Duration> {
        self.input.rests().filter(|_| self.phase == Phase::Running)
    }

    /// The connection is lost.
    pub(crate) fn lose(&mut self, why: &str) {
        let lost = || Exit::Lost(why.to_owned());
        self.end(if self.may_have_started() { Ok(lost()) } else { Err(why.to_owned()) });
    }

    /// Whether the host has the whole script, and so may run it, though its word of that was lost.
    fn may_have_started(&self) -> bool {
        self.marks[0].has_started() || self.input.is_past_the_preamble()
    }

    /// Does what can be done without waiting.
    pub(crate) fn step(&mut self, wire: &Wire, buffer: &mut [u8]) -> Result<Progress, WireError> {
        match self.phase {
            Phase::Opening => self.open(wire),
            Phase::Starting => self.start(),
            Phase::Running => self.carry(wire, buffer),
            Phase::Closing => Ok(self.close()),
        }
    }

    fn open(&mut self, wire: &Wire) -> Result<Progress, WireError> {
        let asked = *self.asked.get_or_insert_with(Instant::now);
        match wire.open_command(WINDOW) {
            Poll::Pending => Ok(Progress::Waits),
            Poll::Ready(Ok(channel)) => {
                // Others tell later what they took in, some of them only after half of the window.
                if wire.is_openssh() {
                    self.input.set_flow(Flow::new(asked.elapsed()));
                }
                self.channel = Some(channel);
                self.phase = Phase::Starting;
                Ok(Progress::Moved)
            }
            Poll::Ready(Err(error)) if error.is_local() => {
                self.end(Err(format!("the host opened no channel: {error}")));
                Ok(Progress::Over)
            }
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    fn start(&mut self) -> Result<Progress, WireError> {
        let Some(channel) = &mut self.channel else { return Ok(Progress::Over) };
        match channel.exec(&self.line) {
            Poll::Pending => return Ok(Progress::Waits),
            Poll::Ready(Ok(())) => self.phase = Phase::Running,
            Poll::Ready(Err(error)) if error.is_local() => {
                self.end(Err(format!("the host refused to start a command: {error}")));
            }
            Poll::Ready(Err(error)) => return Err(error),
        }
        Ok(Progress::Moved)
    }

    fn carry(&mut self, wire: &Wire, buffer: &mut [u8]) -> Result<Progress, WireError> {
        let mut progress = Progress::Waits;
        let first = self.repeat.take();
        let calls = [Call::Read(1), Call::Read(0), Call::Write, Call::EndInput];
        for call in first.into_iter().chain(calls) {
            let moved = match call {
                Call::Read(index) => self.read(index, buffer)?,
                Call::Write | Call::EndInput => self.send(call, wire)?,
            };
            match moved {
                Some(true) => progress = Progress::Moved,
                Some(false) => {}
                None if wire.waits_to_write() => {
                    self.repeat = Some(call);
                    return Ok(Progress::Waits);
                }
                None => {}
            }
        }
        if self.judge() {
            progress = Progress::Moved;
        }
        Ok(progress)
    }

    /// Whether something was read; `None` when the call is to be repeated.
    fn read(&mut self, index: usize, buffer: &mut [u8]) -> Result<Option<bool>, WireError> {
        let Some(channel) = &mut self.channel else { return Ok(Some(false)) };
        if self.over[index] {
            return Ok(Some(false));
        }
        let permit = match self.outputs[index].as_ref().map(mpsc::Sender::try_reserve) {
            Some(Ok(permit)) => Some(permit),
            Some(Err(TrySendError::Full(()))) => {
                // What comes meanwhile waits in the window, and news of other channels gets through.
                return Ok(ready(channel.take_in())?.map(|()| false));
            }
            Some(Err(TrySendError::Closed(()))) | None => None,
        };
        let Some(read) = ready(channel.read(OUTPUTS[index], buffer))? else { return Ok(None) };
        let marks = &mut self.marks[index];
        let data = if read == 0 {
            self.over[index] = true;
            marks.finish()
        } else {
            let passage = marks.take(&buffer[..read]);
            if let (0, Some(word)) = (index, passage.started) {
                self.group = word.parse().ok();
            }
            if passage.ended.is_some() {
                self.words[index] = passage.ended;
            }
            passage.data
        };
        // What nobody wants to hear is dropped.
        if let (Some(permit), false) = (permit, data.is_empty()) {
            permit.send(data);
        }
        Ok(Some(true))
    }

    fn send(&mut self, call: Call, wire: &Wire) -> Result<Option<bool>, WireError> {
        let Some(channel) = &mut self.channel else { return Ok(Some(false)) };
        match call {
            Call::EndInput => self.input.end(channel),
            // The command's own input waits until the script is there.
            _ => self.input.write(channel, wire, self.marks[0].has_started()),
        }
    }

    /// Ends when the end is proved, or when nothing more can come.
    fn judge(&mut self) -> bool {
        let Some(channel) = &self.channel else { return false };
        let over = channel.is_over() && self.over == [true; 2];
        if !over && !self.marks.iter().all(Marks::has_ended) {
            return false;
        }
        let ended = match proved(&self.words) {
            _ if !self.marks[0].has_started() && self.input.is_cut() => {
                Err("it was stopped before it had begun".to_owned())
            }
            _ if !self.marks[0].has_started() => Err(self.noise()),
            Some(exit) => Ok(exit),
            None => Ok(channel.signal().map_or(Exit::Unknown, Exit::Signalled)),
        };
        self.end(ended);
        true
    }

    /// What the host said instead of starting the command.
    fn noise(&self) -> String {
        let status = self.channel.as_ref().and_then(WireChannel::failed_with);
        let status = status.map(|status| format!("status {status}"));
        let said = self.marks.iter().map(Marks::noise).filter(|said| !said.is_empty());
        let parts: Vec<String> = status.into_iter().chain(said).collect();
        if parts.is_empty() { "it ended before it had begun".to_owned() } else { parts.join(": ") }
    }

    fn end(&mut self, ended: Ended) {
        if let Some(sender) = self.ended.take() {
            // Whoever asked may be gone.
            let _ = sender.send(ended);
        }
        self.outputs = [None, None];
        self.input.close();
        self.phase = Phase::Closing;
    }

    fn close(&mut self) -> Progress {
        match self.channel.as_mut().map(WireChannel::close) {
            Some(Poll::Pending) => Progress::Waits,
            Some(Poll::Ready(_)) | None => Progress::Over,
        }
    }
}
