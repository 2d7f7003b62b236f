//! What libssh2 says when a call did not do what it was for.

use std::fmt;
use std::io;
use std::task::Poll;

/// What libssh2 says when a call is to be repeated.
const AGAIN: i32 = -37;
/// What it says when a key cannot be used, an agent is not there, or the server took none of what was shown
/// to it.
const REFUSALS: [i32; 6] = [-16, -18, -19, -33, -42, -48];
/// What it says when the server did not accept a key or a password.
const DENIED: i32 = -18;

/// Why libssh2 could not do what it was asked for. Its texts hold no secret.
#[derive(Debug)]
pub(crate) struct WireError {
    code: i32,
    message: String,
}

impl WireError {
    /// Whether it concerns one channel alone, and the connection goes on.
    pub(crate) fn is_local(&self) -> bool {
        (-27..=-21).contains(&self.code)
    }

    /// Whether the two sides know no common algorithm, or the host did not prove its key.
    pub(crate) fn is_unsafe(&self) -> bool {
        [-5, -8, -10, -11].contains(&self.code)
    }

    /// Whether the server, or a key, said no, and the connection goes on.
    pub(crate) fn is_refusal(&self) -> bool {
        // The same codes stand for an answer that never came, since the connection broke.
        REFUSALS.contains(&self.code) && !self.message.starts_with("Waiting for")
    }

    /// Whether the server said no to what was shown to it, or to who showed it.
    pub(crate) fn is_denial(&self) -> bool {
        // Of the others, some stand for a key or an agent that could not be used.
        self.code == DENIED && self.is_refusal()
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (libssh2 {})", self.message, self.code)
    }
}

impl std::error::Error for WireError {}

impl From<ssh2::Error> for WireError {
    fn from(error: ssh2::Error) -> Self {
        let code = match error.code() {
            ssh2::ErrorCode::Session(code) | ssh2::ErrorCode::SFTP(code) => code,
        };
        Self { code, message: error.message().to_owned() }
    }
}

pub(crate) type Step<T> = Poll<Result<T, WireError>>;

pub(crate) fn step<T>(result: Result<T, ssh2::Error>) -> Step<T> {
    match result.map_err(WireError::from) {
        Err(error) if error.code == AGAIN => Poll::Pending,
        done => Poll::Ready(done),
    }
}

/// The error of a stream, which has lost its code on the way.
pub(crate) fn io_step<T>(session: &ssh2::Session, result: io::Result<T>) -> Step<T> {
    match result {
        Ok(value) => Poll::Ready(Ok(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        Err(error) => {
            let known = ssh2::Error::last_session_error(session).map(WireError::from);
            let unknown = || WireError { code: 0, message: error.to_string() };
            Poll::Ready(Err(known.unwrap_or_else(unknown)))
        }
    }
}
