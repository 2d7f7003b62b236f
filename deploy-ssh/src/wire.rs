//! The one module, with its parts, that names ssh2: a session of libssh2 and its channels, which never block once
//! the login is over, and which live and die on one thread.

mod channel;
mod error;

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use rustix::io::{DupFlags, dup3};
use socket2::SockRef;

pub(crate) use channel::{Output, WireChannel};
pub(crate) use error::WireError;

use error::{Step, step};

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

    /// Whether the server is OpenSSH's, by its own word.
    pub(crate) fn is_openssh(&self) -> bool {
        self.session.banner_bytes().is_some_and(|banner| banner.starts_with(b"SSH-2.0-OpenSSH"))
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

    /// Offers a key. Its public half is derived from it when it is not given, and says which algorithm it
    /// signs with when it is.
    pub(crate) fn offer_key(
        &self,
        user: &str,
        public: Option<&str>,
        key: &str,
        passphrase: Option<&str>,
    ) -> Result<(), WireError> {
        Ok(self.session.userauth_pubkey_memory(user, public, key, passphrase)?)
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
