//! A way through a host to another one: a channel and a local socket, each passed on to the other.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::task::Poll;

use rustix::event::PollFlags;
use tokio::sync::oneshot;

use super::job::{Progress, ready};
use crate::wire::{Output, Wire, WireChannel, WireError};

/// A way that is to be opened.
pub(crate) struct TunnelOrder {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What goes in and out of it here. It does not block.
    pub(crate) stream: UnixStream,
    pub(crate) opened: oneshot::Sender<Result<(), String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Running,
    Closing,
}

/// A way that is open, or about to be.
pub(crate) struct Tunnel {
    host: String,
    port: u16,
    stream: UnixStream,
    opened: Option<oneshot::Sender<Result<(), String>>>,
    phase: Phase,
    channel: Option<WireChannel>,
    /// On its way to the other host.
    out: Pending,
    /// On its way here.
    back: Pending,
    /// A call is to be repeated before any other.
    repeat: Option<Call>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Send,
    Receive,
}

/// Bytes of which some were passed on.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    from: usize,
}

impl Pending {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.from..]
    }

    fn refill(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.from = 0;
    }
}

impl Tunnel {
    pub(crate) fn new(order: TunnelOrder) -> Self {
        Self {
            host: order.host,
            port: order.port,
            stream: order.stream,
            opened: Some(order.opened),
            phase: Phase::Opening,
            channel: None,
            out: Pending::default(),
            back: Pending::default(),
            repeat: None,
        }
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.phase == Phase::Opening
    }

    /// What it waits for on this side.
    pub(crate) fn waits_for(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        if self.phase != Phase::Running {
            return None;
        }
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, self.out.rest().is_empty());
        events.set(PollFlags::OUT, !self.back.rest().is_empty());
        (!events.is_empty()).then(|| (self.stream.as_fd(), events))
    }

    /// The connection is lost.
    pub(crate) fn lose(&mut self, why: &str) {
        if let Some(opened) = self.opened.take() {
            let _ = opened.send(Err(why.to_owned()));
        }
    }

    /// Does what can be done without waiting.
    pub(crate) fn step(&mut self, wire: &Wire, buffer: &mut [u8]) -> Result<Progress, WireError> {
        match self.phase {
            Phase::Opening => self.open(wire),
            Phase::Running => {
                let mut moved = false;
                let first = self.repeat.take();
                for call in first.into_iter().chain([Call::Send, Call::Receive]) {
                    moved |= match call {
                        Call::Send => self.send(wire, buffer)?,
                        Call::Receive => self.receive(wire, buffer)?,
                    };
                    if self.repeat.is_some() {
                        return Ok(Progress::Waits);
                    }
                }
                Ok(if moved { Progress::Moved } else { Progress::Waits })
            }
            Phase::Closing => match self.channel.as_mut().map(WireChannel::close) {
                Some(Poll::Pending) => Ok(Progress::Waits),
                Some(Poll::Ready(_)) | None => Ok(Progress::Over),
            },
        }
    }

    fn open(&mut self, wire: &Wire) -> Result<Progress, WireError> {
        let said = match wire.open_tunnel(&self.host, self.port) {
            Poll::Pending => return Ok(Progress::Waits),
            Poll::Ready(Ok(channel)) => {
                self.channel = Some(channel);
                self.phase = Phase::Running;
                Ok(())
            }
            Poll::Ready(Err(error)) if error.is_local() => Err(error.to_string()),
            Poll::Ready(Err(error)) => return Err(error),
        };
        let progress = if said.is_ok() { Progress::Moved } else { Progress::Over };
        if let Some(opened) = self.opened.take() {
            // Whoever asked may be gone; then its end of the stream is closed.
            let _ = opened.send(said);
        }
        Ok(progress)
    }

    /// From here to the other host.
    fn send(&mut self, wire: &Wire, buffer: &mut [u8]) -> Result<bool, WireError> {
        let Some(channel) = &mut self.channel else { return Ok(false) };
        let mut moved = false;
        loop {
            if self.out.rest().is_empty() {
                match self.stream.read(buffer) {
                    Ok(read) if read > 0 => self.out.refill(&buffer[..read]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(moved),
                    Ok(_) | Err(_) => {
                        self.phase = Phase::Closing;
                        return Ok(true);
                    }
                }
            }
            let written = ready(channel.write(self.out.rest()));
            match written {
                Ok(Some(written)) => {
                    self.out.from += written;
                    moved = true;
                }
                Ok(None) => {
                    self.repeat = wire.waits_to_write().then_some(Call::Send);
                    return Ok(moved);
                }
                Err(error) if error.is_local() => {
                    self.phase = Phase::Closing;
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// From the other host to here.
    fn receive(&mut self, wire: &Wire, buffer: &mut [u8]) -> Result<bool, WireError> {
        let Some(channel) = &mut self.channel else { return Ok(false) };
        if self.back.rest().is_empty() {
            match ready(channel.read(Output::Stdout, buffer))? {
                None => {
                    self.repeat = wire.waits_to_write().then_some(Call::Receive);
                    return Ok(false);
                }
                Some(0) => {
                    self.phase = Phase::Closing;
                    return Ok(true);
                }
                Some(read) => self.back.refill(&buffer[..read]),
            }
        } else {
            // What comes meanwhile waits in the window, and news of other channels gets through.
            if ready(channel.take_in())?.is_none() && wire.waits_to_write() {
                self.repeat = Some(Call::Receive);
                return Ok(false);
            }
        }
        match self.stream.write(self.back.rest()) {
            Ok(written) => {
                self.back.from += written;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(_) => {
                self.phase = Phase::Closing;
                Ok(true)
            }
        }
    }
}
