//! What a command reads: first what makes it run, then its own input, and the end.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::flow::Flow;
use super::job::ready;
use crate::wire::{Wire, WireChannel, WireError};

/// How many packets go out before others get their turn.
const TURN: usize = 16;

enum Next {
    /// The preamble, or a chunk of the command's own input, from an offset.
    Bytes(Vec<u8>, usize),
    /// Whatever comes.
    Any,
    /// The end is to be said.
    End,
    Ended,
}

/// What goes into a command.
///
/// What a call gives is whether something was done, or `None` when the call is to be repeated.
pub(crate) struct Input {
    next: Next,
    own: mpsc::Receiver<Vec<u8>>,
    flow: Flow,
    /// A packet is on its way, in part.
    writing: bool,
    cut: bool,
}

impl Input {
    pub(crate) fn new(preamble: Vec<u8>, own: mpsc::Receiver<Vec<u8>>) -> Self {
        let flow = Flow::unlimited();
        Self { next: Next::Bytes(preamble, 0), own, flow, writing: false, cut: false }
    }

    /// From now on no more is on its way than this lets.
    pub(crate) fn set_flow(&mut self, flow: Flow) {
        self.flow = flow;
    }

    /// How long it waits for news at most.
    pub(crate) fn rests(&self) -> Option<Duration> {
        self.flow.rests(Instant::now())
    }

    /// Ends it as soon as that is possible, and drops what was not sent.
    pub(crate) fn cut(&mut self) {
        self.cut = true;
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether the whole preamble may have gone out, as long as the command has not been seen to start.
    pub(crate) fn is_past_the_preamble(&self) -> bool {
        match &self.next {
            Next::Bytes(bytes, from) => *from == bytes.len(),
            Next::Any | Next::End | Next::Ended => true,
        }
    }

    /// Nothing more is taken.
    pub(crate) fn close(&mut self) {
        self.own.close();
    }

    /// Writes what there is room for; the command's own input only when it `may` come.
    pub(crate) fn write(
        &mut self,
        channel: &mut WireChannel,
        wire: &Wire,
        may: bool,
    ) -> Result<Option<bool>, WireError> {
        let mut moved = false;
        let now = Instant::now();
        self.flow.look(channel.room(), now);
        for _ in 0..TURN {
            self.find_next(may);
            let Next::Bytes(bytes, from) = &mut self.next else { break };
            if !self.writing && !self.flow.admits(now) {
                break;
            }
            let written = ready(channel.write(&bytes[*from..]));
            self.writing = matches!(written, Ok(None)) && wire.waits_to_write();
            match written {
                Ok(Some(written)) => {
                    *from += written;
                    self.flow.sent(written);
                    moved = true;
                }
                Ok(None) if self.writing => return Ok(None),
                Ok(None) => break,
                // A command that has ended takes no more, and its end is seen where it is read.
                Err(error) if error.is_local() => self.next = Next::Ended,
                Err(error) => return Err(error),
            }
        }
        Ok(Some(moved))
    }

    /// Says the end, when it has come.
    pub(crate) fn end(&mut self, channel: &mut WireChannel) -> Result<Option<bool>, WireError> {
        if !matches!(self.next, Next::End) {
            return Ok(Some(false));
        }
        match ready(channel.end_input()) {
            Ok(None) => return Ok(None),
            Err(error) if !error.is_local() => return Err(error),
            Ok(Some(())) | Err(_) => self.next = Next::Ended,
        }
        Ok(Some(true))
    }

    fn find_next(&mut self, may: bool) {
        if let Next::Bytes(bytes, from) = &self.next {
            if *from < bytes.len() && (!self.cut || self.writing) {
                return;
            }
            self.next = Next::Any;
        }
        if !matches!(self.next, Next::Any) {
            return;
        }
        if self.cut {
            self.next = Next::End;
        } else if may {
            match self.own.try_recv() {
                Ok(chunk) => self.next = Next::Bytes(chunk, 0),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.next = Next::End,
            }
        }
    }
}
