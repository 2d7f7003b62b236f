//! Signalling the process group of a command, over a channel of its own.

use std::task::Poll;

use super::job::{Progress, ready};
use crate::wire::{Output, Wire, WireChannel, WireError};

enum Phase {
    Opening,
    Starting(WireChannel),
    Saying(WireChannel, usize),
    Waiting(WireChannel),
    Closing(WireChannel),
}

/// A signal on its way to the host.
pub(crate) struct Kill {
    line: String,
    /// What the command reads: a password, when it asks for one.
    input: Vec<u8>,
    phase: Option<Phase>,
}

impl Kill {
    pub(crate) fn new(line: String, input: Vec<u8>) -> Self {
        Self { line, input, phase: Some(Phase::Opening) }
    }

    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.phase, Some(Phase::Opening))
    }

    /// Does what can be done without waiting. A host that refuses is no error: nothing is left to do.
    pub(crate) fn step(&mut self, wire: &Wire, buffer: &mut [u8]) -> Result<Progress, WireError> {
        let Some(phase) = self.phase.take() else { return Ok(Progress::Over) };
        let stepped = match phase {
            Phase::Opening => match wire.open_command(64 * 1024) {
                Poll::Pending => Ok((Phase::Opening, Progress::Waits)),
                Poll::Ready(Ok(channel)) => Ok((Phase::Starting(channel), Progress::Moved)),
                Poll::Ready(Err(error)) => Err(error),
            },
            Phase::Starting(mut channel) => match ready(channel.exec(&self.line)) {
                Ok(None) => Ok((Phase::Starting(channel), Progress::Waits)),
                Ok(Some(())) => Ok((Phase::Saying(channel, 0), Progress::Moved)),
                Err(error) => Err(error),
            },
            Phase::Saying(mut channel, from) => {
                self.say(&mut channel, from).map(|next| match next {
                    None => (Phase::Saying(channel, from), Progress::Waits),
                    Some(from) if from < self.input.len() => {
                        (Phase::Saying(channel, from), Progress::Moved)
                    }
                    Some(_) => (Phase::Waiting(channel), Progress::Moved),
                })
            }
            Phase::Waiting(mut channel) => match drain(&mut channel, wire, buffer) {
                Ok(None) => Ok((Phase::Waiting(channel), Progress::Waits)),
                Ok(Some(0)) => Ok((Phase::Closing(channel), Progress::Moved)),
                Ok(Some(_)) => Ok((Phase::Waiting(channel), Progress::Moved)),
                Err(error) => Err(error),
            },
            Phase::Closing(mut channel) => match channel.close() {
                Poll::Pending => Ok((Phase::Closing(channel), Progress::Waits)),
                Poll::Ready(_) => return Ok(Progress::Over),
            },
        };
        match stepped {
            Ok((phase, progress)) => {
                self.phase = Some(phase);
                Ok(progress)
            }
            Err(error) if error.is_local() => Ok(Progress::Over),
            Err(error) => Err(error),
        }
    }

    fn say(&self, channel: &mut WireChannel, from: usize) -> Result<Option<usize>, WireError> {
        if self.input.is_empty() {
            return Ok(Some(0));
        }
        Ok(ready(channel.write(&self.input[from..]))?.map(|written| from + written))
    }
}

/// Reads what the command says, which nobody wants to hear: what is left unread hides its end.
fn drain(
    channel: &mut WireChannel,
    wire: &Wire,
    buffer: &mut [u8],
) -> Result<Option<usize>, WireError> {
    match ready(channel.read(Output::Stderr, buffer))? {
        // The same call has to be made again.
        None if wire.waits_to_write() => Ok(None),
        None | Some(0) => ready(channel.read(Output::Stdout, buffer)),
        said => Ok(said),
    }
}
