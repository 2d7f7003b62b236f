//! The two sockets of a connection that passes through, and how far it is from its end.

use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::faults::{Direction, Fault};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Flowing,
    Hanging,
    Over,
}

/// A connection through the proxy. It is closed when the last of its threads lets it go.
#[derive(Debug)]
pub(super) struct Pair {
    client: TcpStream,
    server: TcpStream,
    condition: Mutex<Condition>,
    changed: Condvar,
}

/// How long a write may stand before it is looked whether the connection is over: nothing else wakes
/// it. It delays the end of a connection that is stuck and harmed at the same time, and nothing else.
const STUCK: Duration = Duration::from_millis(20);

impl Pair {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> std::io::Result<Self> {
        for side in [&client, &server] {
            side.set_nodelay(true)?;
            side.set_write_timeout(Some(STUCK))?;
        }
        let condition = Mutex::new(Condition::Flowing);
        Ok(Self { client, server, condition, changed: Condvar::new() })
    }

    /// Where the bytes of a direction come from, and where they go.
    pub(super) fn ends(&self, direction: Direction) -> (&TcpStream, &TcpStream) {
        match direction {
            Direction::Upstream => (&self.client, &self.server),
            Direction::Downstream => (&self.server, &self.client),
        }
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a moment, and for a connection that hangs for ever. False when it is over.
    pub(super) fn wait(&self, until: Instant) -> bool {
        let mut condition = self.condition();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            condition = match *condition {
                Condition::Over => return false,
                Condition::Hanging => {
                    self.changed.wait(condition).unwrap_or_else(PoisonError::into_inner)
                }
                Condition::Flowing if left.is_zero() => return true,
                Condition::Flowing => {
                    let waited = self.changed.wait_timeout(condition, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Lets a fault happen to the connection.
    pub(super) fn suffer(&self, direction: Direction, fault: Fault) {
        let mut condition = self.condition();
        match (fault, *condition) {
            (_, Condition::Over) | (Fault::Flip, _) => return,
            (Fault::HalfClose, _) => {
                let _ = self.ends(direction).1.shutdown(Shutdown::Write);
                return;
            }
            (Fault::Hang, _) => *condition = Condition::Hanging,
            (Fault::Reset, _) => {
                *condition = Condition::Over;
                for side in [&self.client, &self.server] {
                    // Closed like this a socket sends a reset. Shut down for reading alone, so that
                    // no end goes out before; who reads is woken.
                    let _ = rustix::net::sockopt::set_socket_linger(side, Some(Duration::ZERO));
                    let _ = side.shutdown(Shutdown::Read);
                }
            }
            (Fault::Close, _) => {
                *condition = Condition::Over;
                for side in [&self.client, &self.server] {
                    let _ = side.shutdown(Shutdown::Both);
                }
            }
        }
        drop(condition);
        self.changed.notify_all();
    }
}
