//! The handshake with a server, with a look at what it offers before libssh2 sees it.
//!
//! libssh2 does not tell whether the server keeps to strict key exchange. So, until the server has made
//! its offer, libssh2 talks through a pair of sockets whose other end is passed on from here; then,
//! with nothing on its way, the server's own socket takes the pair's place.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::task::Poll;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::fault::Fault;
use super::greeting;
use crate::algorithms::{self, Ciphers};
use crate::wire::{Method, Wire, WireError};

/// Room for the longest greeting.
const ROOM: usize = 64 * 1024;

/// Opens a session up to the end of the handshake. `socket` does not block.
pub(crate) fn open(
    socket: &OwnedFd,
    ciphers: Ciphers,
    host_keys: &[String],
    deadline: Instant,
) -> Result<Wire, Fault> {
    let (mut ours, theirs) = UnixStream::pair().map_err(Fault::broken)?;
    ours.set_nonblocking(true).map_err(Fault::broken)?;
    theirs.set_nonblocking(true).map_err(Fault::broken)?;
    let mut wire = Wire::new(theirs.into()).map_err(Fault::broken)?;
    algorithms::prefer(&wire, ciphers, host_keys).map_err(Fault::broken)?;
    let strict = greet(&mut wire, &mut ours, socket, deadline)?;
    wire.replace(socket).map_err(Fault::broken)?;
    loop {
        match wire.handshake() {
            Poll::Ready(Ok(())) => break,
            Poll::Ready(Err(error)) => return Err(failed(error)),
            Poll::Pending if wire.waits_to_write() => {
                await_socket(socket, PollFlags::OUT, deadline)?;
            }
            Poll::Pending => {
                await_socket(socket, PollFlags::IN, deadline)?;
                wire.acknowledge();
            }
        }
    }
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

/// A handshake that failed.
fn failed(error: WireError) -> Fault {
    if error.is_unsafe() {
        return Fault::Rejected(format!("there is no safe way to exchange keys with it: {error}"));
    }
    Fault::broken(error)
}

/// Passes on until the server has made its offer and libssh2 has taken it in. Says whether it is strict.
fn greet(
    wire: &mut Wire,
    ours: &mut UnixStream,
    socket: &OwnedFd,
    deadline: Instant,
) -> Result<bool, Fault> {
    let mut buffer = vec![0; ROOM];
    let mut heard = Vec::new();
    let mut strict = None;
    loop {
        if let Poll::Ready(Err(error)) = wire.handshake() {
            return Err(failed(error));
        }
        pass_out(ours, socket, &mut buffer, deadline)?;
        match strict {
            // All that was given has been read, so the next byte may come from the socket itself.
            Some(strict) if rustix::io::ioctl_fionread(&*wire).map_err(Fault::errno)? == 0 => {
                return Ok(strict);
            }
            Some(_) => continue,
            None => {}
        }
        await_socket(socket, PollFlags::IN, deadline)?;
        let (seen, _) = match recv(socket, buffer.as_mut_slice(), RecvFlags::PEEK) {
            Err(Errno::AGAIN | Errno::INTR) => continue,
            seen => seen.map_err(Fault::errno)?,
        };
        if seen == 0 {
            return Err(Fault::broken(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        // Nothing beyond the greeting is taken out of the socket.
        let before = heard.len();
        heard.extend_from_slice(&buffer[..seen]);
        let greeting = greeting::read(&heard).map_err(Fault::broken)?;
        let length = greeting.as_ref().map_or(heard.len(), |greeting| greeting.length);
        heard.truncate(length);
        let (_, _) = recv(socket, &mut buffer[..length - before], RecvFlags::empty())
            .map_err(Fault::errno)?;
        ours.write_all(&heard[before..]).map_err(Fault::broken)?;
        strict = greeting.map(|greeting| greeting.strict);
    }
}

/// Passes on what libssh2 has said.
fn pass_out(
    ours: &mut UnixStream,
    socket: &OwnedFd,
    buffer: &mut [u8],
    deadline: Instant,
) -> Result<(), Fault> {
    loop {
        let read = match ours.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(Fault::broken(error)),
        };
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            match rustix::io::write(socket, rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::AGAIN) => await_socket(socket, PollFlags::OUT, deadline)?,
                Err(error) => return Err(Fault::errno(error)),
            }
        }
        if read == 0 {
            return Ok(());
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
