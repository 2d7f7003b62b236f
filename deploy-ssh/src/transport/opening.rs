//! The handshake with a server, with a look at what it offers before libssh2 sees it.
//!
//! libssh2 does not tell whether the server keeps to strict key exchange, and keeps whatever it did
//! not ask for. So, until the server has proved who it is, libssh2 talks through a pair of sockets
//! whose other end is passed on from here, up to a limit; then, with nothing on its way, the
//! server's own socket takes the pair's place.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::task::Poll;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
#[cfg(target_os = "linux")]
use socket2::SockRef;

use super::fault::Fault;
use super::greeting;
use crate::algorithms::{self, Ciphers};
use crate::wire::{Method, Wire, WireError};

/// Room for the longest greeting.
const ROOM: usize = 64 * 1024;

/// How much is passed on at once after the greeting, in bytes: libssh2 takes in four times as much.
const PIECE: usize = 4 * 1024;

/// What a server says in a handshake at most, in bytes: its offer, its key, and a proof.
const MOST: usize = 256 * 1024;

/// Opens a session up to the end of the handshake. `socket` does not block.
pub(crate) fn open(
    socket: &OwnedFd,
    ciphers: Ciphers,
    host_keys: &[String],
    deadline: Instant,
) -> Result<Wire, Fault> {
    let (ours, theirs) = UnixStream::pair().map_err(Fault::broken)?;
    ours.set_nonblocking(true).map_err(Fault::broken)?;
    theirs.set_nonblocking(true).map_err(Fault::broken)?;
    let mut wire = Wire::new(theirs.into()).map_err(Fault::broken)?;
    algorithms::prefer(&wire, ciphers, host_keys).map_err(Fault::broken)?;
    let mut relay = Relay { ours, socket, deadline, buffer: vec![0; ROOM] };
    let strict = relay.greet(&mut wire)?;
    relay.finish(&mut wire)?;
    wire.replace(socket).map_err(Fault::broken)?;
    if !strict && algorithms::needs_strict(&wire) {
        return Err(Fault::NotStrict);
    }
    tracing::debug!(
        key_exchange = wire.agreed(Method::KeyExchange),
        cipher = wire.agreed(Method::CipherOut),
        strict,
        "agreed with the host"
    );
    Ok(wire)
}

/// Whether nothing more can come from the socket.
fn has_ended(socket: &OwnedFd) -> bool {
    match recv(socket, &mut [0_u8; 1][..], RecvFlags::PEEK) {
        Ok((seen, _)) => seen == 0,
        Err(error) => error != Errno::AGAIN,
    }
}

/// A handshake that failed.
fn failed(error: WireError) -> Fault {
    if error.is_unsafe() {
        return Fault::Rejected(format!("there is no safe way to exchange keys with it: {error}"));
    }
    Fault::broken(error)
}

/// Passes on between libssh2 and the server.
struct Relay<'a> {
    /// The end of the pair that is not libssh2's.
    ours: UnixStream,
    socket: &'a OwnedFd,
    deadline: Instant,
    buffer: Vec<u8>,
}

impl Relay<'_> {
    /// Passes on until the server has made its offer. Says whether it is strict.
    fn greet(&mut self, wire: &mut Wire) -> Result<bool, Fault> {
        let mut heard = Vec::new();
        loop {
            self.step(wire)?.map_err(failed)?;
            self.await_more()?;
            let seen = self.receive(ROOM, RecvFlags::PEEK)?;
            // Nothing beyond the greeting is taken out of the socket.
            let before = heard.len();
            heard.extend_from_slice(&self.buffer[..seen]);
            let greeting = greeting::read(&heard).map_err(Fault::broken)?;
            let length = greeting.as_ref().map_or(heard.len(), |greeting| greeting.length);
            heard.truncate(length);
            self.receive(length - before, RecvFlags::empty())?;
            self.ours.write_all(&heard[before..]).map_err(Fault::broken)?;
            if let Some(greeting) = greeting {
                self.step(wire)?.map_err(failed)?;
                return Ok(greeting.strict);
            }
        }
    }

    /// Passes on to the end of the handshake.
    fn finish(&mut self, wire: &mut Wire) -> Result<(), Fault> {
        let mut heard = 0;
        // The algorithms were agreed on with the greeting. When the connection broke since, it says
        // the same as of a proof that failed.
        let socket = self.socket;
        let failed = |error| {
            if has_ended(socket) { Fault::broken(error) } else { failed(error) }
        };
        while !self.step(wire)?.map_err(failed)? {
            self.await_more()?;
            let seen = self.receive(PIECE, RecvFlags::empty())?;
            heard += seen;
            if heard > MOST {
                return Err(Fault::broken("it says more than a handshake needs"));
            }
            self.ours.write_all(&self.buffer[..seen]).map_err(Fault::broken)?;
        }
        // All that was given has been read, so the next byte may come from the socket itself.
        match rustix::io::ioctl_fionread(&*wire).map_err(Fault::errno)? {
            0 => Ok(()),
            _ => Err(Fault::broken("it says more than it was asked for")),
        }
    }

    /// Lets libssh2 go on as far as it can, and passes on what it says. Says whether the handshake
    /// is over.
    fn step(&mut self, wire: &mut Wire) -> Result<Result<bool, WireError>, Fault> {
        let over = match wire.handshake() {
            Poll::Ready(Err(error)) => return Ok(Err(error)),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        self.pass_out()?;
        Ok(Ok(over))
    }

    /// Waits for the server to say something.
    fn await_more(&self) -> Result<(), Fault> {
        await_socket(self.socket, PollFlags::IN, self.deadline)?;
        // Servers hold back what they say next until the last of it was acknowledged.
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(self.socket).set_tcp_quickack(true);
        Ok(())
    }

    /// Takes what there is from the socket; nothing when it was interrupted.
    fn receive(&mut self, most: usize, flags: RecvFlags) -> Result<usize, Fault> {
        match recv(self.socket, &mut self.buffer[..most], flags) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Ok((0, _)) if most > 0 => {
                Err(Fault::broken(io::Error::from(io::ErrorKind::UnexpectedEof)))
            }
            seen => Ok(seen.map_err(Fault::errno)?.0),
        }
    }

    /// Passes on what libssh2 has said.
    fn pass_out(&mut self) -> Result<(), Fault> {
        loop {
            let read = match self.ours.read(&mut self.buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Fault::broken(error)),
            };
            let mut rest = &self.buffer[..read];
            while !rest.is_empty() {
                match rustix::io::write(self.socket, rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(Errno::AGAIN) => await_socket(self.socket, PollFlags::OUT, self.deadline)?,
                    Err(error) => return Err(Fault::errno(error)),
                }
            }
            if read == 0 {
                return Ok(());
            }
        }
    }
}

/// Waits for the socket, until the deadline.
fn await_socket(socket: &OwnedFd, events: PollFlags, deadline: Instant) -> Result<(), Fault> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Fault::TimedOut);
        }
        let time = Timespec::try_from(left).map_err(Fault::broken)?;
        match poll(&mut [PollFd::new(socket, events)], Some(&time)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(Fault::errno(error)),
        }
    }
}
