//! A channel of a session: a command on the host, or a way through it.

use std::io::{Read as _, Write as _};
use std::task::Poll;

use super::error::{Step, io_step, step};

/// A channel of a session, which must be gone before its [`Wire`] is.
pub(crate) struct WireChannel {
    pub(super) channel: ssh2::Channel,
    pub(super) session: ssh2::Session,
}

/// One of the two streams that come out of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

impl WireChannel {
    pub(crate) fn exec(&mut self, command: &str) -> Step<()> {
        step(self.channel.exec(command))
    }

    /// Reads what is there; `Ok(0)` at the end of the stream and of nothing else. The buffer always has the same
    /// length: see [`take_in`](Self::take_in).
    pub(crate) fn read(&mut self, output: Output, buffer: &mut [u8]) -> Step<usize> {
        let read = match output {
            Output::Stdout => self.channel.read(buffer),
            Output::Stderr => self.channel.stderr().read(buffer),
        };
        match read {
            // libssh2 also says so when there was nothing for this stream.
            Ok(0) if !self.channel.eof() => Poll::Pending,
            read => io_step(&self.session, read),
        }
    }

    /// Takes in what has come for all channels, for later.
    ///
    /// It leaves the window alone. A read widens it by an amount that depends on the length of its buffer,
    /// and when that has to wait, because keys are being exchanged again, only a read of the same length may
    /// follow: otherwise the two sides count differently, and libssh2 drops what it did not expect.
    pub(crate) fn take_in(&mut self) -> Step<()> {
        match step(self.channel.wait_eof()) {
            // Nothing was taken in; and nothing more comes for this channel, so its window is of no use.
            Poll::Ready(Ok(())) => {
                io_step(&self.session, self.channel.read(&mut [])).map_ok(|_| ())
            }
            taken => taken,
        }
    }

    /// How many bytes the server lets us send before it has said more.
    pub(crate) fn room(&self) -> u32 {
        self.channel.write_window().remaining
    }

    /// Writes what there is room for, one packet at most.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Step<usize> {
        match self.channel.write(bytes) {
            Ok(0) => Poll::Pending,
            written => io_step(&self.session, written),
        }
    }

    pub(crate) fn end_input(&mut self) -> Step<()> {
        step(self.channel.send_eof())
    }

    /// Whether the server will send no more, and all that it sent was read.
    pub(crate) fn is_over(&self) -> bool {
        self.channel.eof()
    }

    /// The status other than 0 that the server gave; 0 is also what libssh2 says when none came.
    pub(crate) fn failed_with(&self) -> Option<i32> {
        self.channel.exit_status().ok().filter(|&status| status != 0)
    }

    /// The signal that the server says ended the command.
    pub(crate) fn signal(&self) -> Option<String> {
        self.channel.exit_signal().ok()?.exit_signal
    }

    pub(crate) fn close(&mut self) -> Step<()> {
        step(self.channel.close())
    }
}
