//! A command on its channel: its input goes in, its output comes out, until its end is proved.

use std::task::Poll;

use deploy_core::Exit;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::{mpsc, oneshot};

use super::job::{Progress, ready};
use crate::bootstrap::Marks;
use crate::sudo::Become;
use crate::wire::{Output, Wire, WireChannel, WireError};

/// How much the host may send before we have passed it on, in bytes: enough for 50 MB/s at a round trip
/// of 20 ms, and what a command whose output nobody takes holds in memory.
const WINDOW: u32 = 1024 * 1024;

/// How many packets go out before others get their turn.
const TURN: usize = 16;

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

/// What is written next.
enum Input {
    /// The preamble, or a chunk of the command's own input, from an offset.
    Bytes(Vec<u8>, usize),
    /// Whatever comes next.
    Next,
    /// The end is to be said.
    End,
    Ended,
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
    channel: Option<WireChannel>,
    marks: [Marks; 2],
    words: [Option<String>; 2],
    group: Option<u32>,
    stdin: mpsc::Receiver<Vec<u8>>,
    input: Input,
    /// A packet of the input is on its way, in part.
    writing: bool,
    cut: bool,
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
            channel: None,
            marks: order.marks,
            words: [None, None],
            group: None,
            stdin: order.stdin,
            input: Input::Bytes(order.preamble, 0),
            writing: false,
            cut: false,
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
        self.cut = true;
    }

    /// The connection is lost.
    pub(crate) fn lose(&mut self, why: &str) {
        let started = self.marks[0].has_started();
        let lost = || Exit::Lost(why.to_owned());
        self.end(if started { Ok(lost()) } else { Err(why.to_owned()) });
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
        match wire.open_command(WINDOW) {
            Poll::Pending => Ok(Progress::Waits),
            Poll::Ready(Ok(channel)) => {
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
                Call::Write => self.write(wire)?,
                Call::EndInput => self.end_input()?,
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

    fn write(&mut self, wire: &Wire) -> Result<Option<bool>, WireError> {
        let mut moved = false;
        for _ in 0..TURN {
            self.next_input();
            let (Some(channel), Input::Bytes(bytes, from)) = (&mut self.channel, &mut self.input)
            else {
                break;
            };
            let written = ready(channel.write(&bytes[*from..]));
            self.writing = matches!(written, Ok(None)) && wire.waits_to_write();
            match written {
                Ok(Some(written)) => {
                    *from += written;
                    moved = true;
                }
                Ok(None) if self.writing => return Ok(None),
                Ok(None) => break,
                // A command that has ended takes no more, and its end is seen where it is read.
                Err(error) if error.is_local() => self.input = Input::Ended,
                Err(error) => return Err(error),
            }
        }
        Ok(Some(moved))
    }

    /// Finds what is to be written next.
    fn next_input(&mut self) {
        if let Input::Bytes(bytes, from) = &self.input {
            if *from < bytes.len() && (!self.cut || self.writing) {
                return;
            }
            self.input = Input::Next;
        }
        if matches!(self.input, Input::Next) {
            if self.cut {
                self.input = Input::End;
            } else if self.marks[0].has_started() {
                match self.stdin.try_recv() {
                    Ok(chunk) => self.input = Input::Bytes(chunk, 0),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => self.input = Input::End,
                }
            }
        }
    }

    fn end_input(&mut self) -> Result<Option<bool>, WireError> {
        let (Some(channel), Input::End) = (&mut self.channel, &self.input) else {
            return Ok(Some(false));
        };
        match ready(channel.end_input()) {
            Ok(None) => return Ok(None),
            Err(error) if !error.is_local() => return Err(error),
            Ok(Some(())) | Err(_) => self.input = Input::Ended,
        }
        Ok(Some(true))
    }

    /// Ends when the end is proved, or when nothing more can come.
    fn judge(&mut self) -> bool {
        let Some(channel) = &self.channel else { return false };
        let over = channel.is_over() && self.over == [true; 2];
        if !over && !self.marks.iter().all(Marks::has_ended) {
            return false;
        }
        let [out, err] = &self.words;
        let ended = match (out.as_deref(), err.as_deref()) {
            _ if !self.marks[0].has_started() && self.cut => {
                Err("it was stopped before it had begun".to_owned())
            }
            _ if !self.marks[0].has_started() => Err(self.noise()),
            (Some(word), other) if other.is_none_or(|other| other == word) => {
                Ok(word.parse().map_or(Exit::Unknown, exit_of))
            }
            (None, None) => Ok(channel.signal().map_or(Exit::Unknown, Exit::Signalled)),
            _ => Ok(Exit::Unknown),
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
        self.stdin.close();
        self.phase = Phase::Closing;
    }

    fn close(&mut self) -> Progress {
        match self.channel.as_mut().map(WireChannel::close) {
            Some(Poll::Pending) => Progress::Waits,
            Some(Poll::Ready(_)) | None => Progress::Over,
        }
    }
}

/// What a shell's status says: 128 and a number is what it says of a command that a signal ended.
fn exit_of(status: i32) -> Exit {
    let signal = match status - 128 {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        5 => "TRAP",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        _ => return Exit::Exited(status),
    };
    Exit::Signalled(signal.to_owned())
}
