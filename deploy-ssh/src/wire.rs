//! The one module that names ssh2: a session of libssh2 and its channels, which never block once
//! the login is over, and which live and die on one thread.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::task::Poll;
use std::time::Duration;

use rustix::io::{DupFlags, dup3};
use socket2::SockRef;

/// What libssh2 says when a call is to be repeated.
const AGAIN: i32 = -37;
/// What it says when a key cannot be used, an agent is not there, or the server took none of what was shown
/// to it.
const REFUSALS: [i32; 6] = [-16, -18, -19, -33, -42, -48];

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
        REFUSALS.contains(&self.code)
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

type Step<T> = Poll<Result<T, WireError>>;

fn step<T>(result: Result<T, ssh2::Error>) -> Step<T> {
    match result.map_err(WireError::from) {
        Err(error) if error.code == AGAIN => Poll::Pending,
        done => Poll::Ready(done),
    }
}

/// The error of a stream, which has lost its code on the way.
fn io_step<T>(session: &ssh2::Session, result: io::Result<T>) -> Step<T> {
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

/// What is negotiated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    KeyExchange,
    HostKey,
    CipherOut,
    CipherIn,
    MacOut,
    MacIn,
    CompressionOut,
    CompressionIn,
    Signature,
}

impl From<Method> for ssh2::MethodType {
    fn from(method: Method) -> Self {
        match method {
            Method::KeyExchange => Self::Kex,
            Method::HostKey => Self::HostKey,
            Method::CipherOut => Self::CryptCs,
            Method::CipherIn => Self::CryptSc,
            Method::MacOut => Self::MacCs,
            Method::MacIn => Self::MacSc,
            Method::CompressionOut => Self::CompCs,
            Method::CompressionIn => Self::CompSc,
            Method::Signature => Self::SignAlgo,
        }
    }
}

/// The number of the descriptor that libssh2 reads and writes.
struct Number(RawFd);

impl AsRawFd for Number {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

/// A session of libssh2 over a descriptor of its own.
pub(crate) struct Wire {
    // Ends before the descriptor is closed.
    session: ssh2::Session,
    fd: OwnedFd,
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // With the stream shut nothing waits; and only a session that may wait frees all it holds.
        let _ = SockRef::from(&self.fd).shutdown(Shutdown::Both);
        self.wait_at_most(Duration::from_millis(1));
    }
}

impl Wire {
    pub(crate) fn new(fd: OwnedFd) -> Result<Self, WireError> {
        let mut session = ssh2::Session::new()?;
        session.set_tcp_stream(Number(fd.as_raw_fd()));
        session.set_blocking(false);
        Ok(Self { session, fd })
    }

    /// Puts another stream in the place of the one that libssh2 uses. Nothing may be on its way in the
    /// present one.
    pub(crate) fn replace(&mut self, stream: impl AsFd) -> io::Result<()> {
        Ok(dup3(stream, &mut self.fd, DupFlags::CLOEXEC)?)
    }

    pub(crate) fn prefer(&self, method: Method, list: &str) -> Result<(), WireError> {
        Ok(self.session.method_pref(method.into(), list)?)
    }

    /// What was agreed on.
    pub(crate) fn agreed(&self, method: Method) -> &str {
        self.session.methods(method.into()).unwrap_or_default()
    }

    pub(crate) fn handshake(&mut self) -> Step<()> {
        step(self.session.handshake())
    }

    /// The key that the host has proved to hold, in the form of RFC 4253.
    pub(crate) fn host_key(&self) -> Option<Vec<u8>> {
        self.session.host_key().map(|(key, _)| key.to_vec())
    }

    /// Waits in each call, up to a time for each of its waits, until [`never_wait`](Self::never_wait).
    pub(crate) fn wait_at_most(&self, time: Duration) {
        let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1);
        self.session.set_timeout(millis);
        self.session.set_blocking(true);
    }

    /// From now on nothing waits.
    pub(crate) fn never_wait(&self) {
        self.session.set_blocking(false);
    }

    /// The methods by which the server lets a user in; none when it asks for nothing.
    pub(crate) fn allowed(&self, user: &str) -> Result<Vec<String>, WireError> {
        match self.session.auth_methods(user) {
            Ok(list) => Ok(list.split(',').map(str::to_owned).collect()),
            Err(_) if self.session.authenticated() => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.session.authenticated()
    }

    pub(crate) fn offer_key(
        &self,
        user: &str,
        key: &str,
        passphrase: Option<&str>,
    ) -> Result<(), WireError> {
        Ok(self.session.userauth_pubkey_memory(user, None, key, passphrase)?)
    }

    /// Offers the keys of an agent, one after the other, `most` of them at most. Gives how many were
    /// refused before the one that was taken, or all of them.
    pub(crate) fn offer_agent(
        &self,
        user: &str,
        socket: &Path,
        most: usize,
    ) -> Result<Result<(), usize>, WireError> {
        let mut agent = self.session.agent()?;
        agent.set_identity_path(socket)?;
        agent.connect()?;
        agent.list_identities()?;
        let mut refused = 0;
        for identity in agent.identities()?.iter().take(most) {
            match agent.userauth(user, identity).map_err(WireError::from) {
                Ok(()) => return Ok(Ok(())),
                Err(error) if error.is_refusal() => refused += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(Err(refused))
    }

    pub(crate) fn offer_password(&self, user: &str, password: &str) -> Result<(), WireError> {
        Ok(self.session.userauth_password(user, password)?)
    }

    /// Answers what the server asks. `answer` gets each question, and whether the answer may be shown.
    pub(crate) fn answer_questions(
        &self,
        user: &str,
        answer: &mut dyn FnMut(&str, bool) -> String,
    ) -> Result<(), WireError> {
        struct Answers<'a>(&'a mut dyn FnMut(&str, bool) -> String);
        impl ssh2::KeyboardInteractivePrompt for Answers<'_> {
            fn prompt<'a>(
                &mut self,
                _: &str,
                _: &str,
                prompts: &[ssh2::Prompt<'a>],
            ) -> Vec<String> {
                prompts.iter().map(|prompt| (self.0)(&prompt.text, prompt.echo)).collect()
            }
        }
        Ok(self.session.userauth_keyboard_interactive(user, &mut Answers(answer))?)
    }

    /// Opens a channel for a command. Until it is done no other channel may be opened.
    pub(crate) fn open_command(&self, window: u32) -> Step<WireChannel> {
        let packet = 32 * 1024;
        let opened = self.session.channel_open("session", window, packet, None);
        step(opened).map_ok(|channel| self.channel(channel))
    }

    /// Opens a channel to a port that the host reaches. Until it is done no other may be opened.
    pub(crate) fn open_tunnel(&self, host: &str, port: u16) -> Step<WireChannel> {
        let opened = self.session.channel_direct_tcpip(host, port, None);
        step(opened).map_ok(|channel| self.channel(channel))
    }

    fn channel(&self, channel: ssh2::Channel) -> WireChannel {
        WireChannel { channel, session: self.session.clone() }
    }

    /// Whether the last call waits until the stream takes more. It alone must be called then until
    /// it no longer does: a packet of it is on its way, in part.
    pub(crate) fn waits_to_write(&self) -> bool {
        use ssh2::BlockDirections::{Both, Outbound};
        matches!(self.session.block_directions(), Outbound | Both)
    }

    /// Acknowledges at once what has come. Servers hold back what they say next until the last of it was
    /// acknowledged, and by itself the system takes 40 ms for that.
    pub(crate) fn acknowledge(&self) {
        // Not everything is a TCP connection.
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(&self.fd).set_tcp_quickack(true);
    }

    /// Has the server show, every so often, that it is there.
    pub(crate) fn set_keepalive(&self, every: Duration) {
        let seconds = u32::try_from(every.as_secs()).unwrap_or(u32::MAX).max(2);
        self.session.set_keepalive(true, seconds);
    }

    /// Asks the server for a sign of life when it is time; says when it is time again.
    pub(crate) fn keepalive(&self) -> Result<Duration, WireError> {
        Ok(Duration::from_secs(self.session.keepalive_send()?.into()))
    }

    /// Says goodbye, if that is possible without waiting.
    pub(crate) fn say_goodbye(&self) {
        let _ = self.session.disconnect(None, "done", None);
    }
}

/// A channel of a session, which must be gone before its [`Wire`] is.
pub(crate) struct WireChannel {
    channel: ssh2::Channel,
    session: ssh2::Session,
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

    /// Reads what is there; `Ok(0)` at the end of the stream and of nothing else.
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
    pub(crate) fn take_in(&mut self) -> Step<()> {
        io_step(&self.session, self.channel.read(&mut [])).map_ok(|_| ())
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
