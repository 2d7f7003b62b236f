//! Where a host's connections come in: each gets an sshd of its own, unless the host is told otherwise.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::process::Signal;

use super::login::Masks;
use super::processes;

/// How a connection is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// By an sshd.
    Serving,
    /// Not at all, though it is accepted.
    Silent,
    /// It is refused.
    Down,
}

/// How a host's sshd is started.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) masks: Masks,
    pub(super) sshd: PathBuf,
    pub(super) config: PathBuf,
    pub(super) log: PathBuf,
}

impl Start {
    fn serve(&self, stream: TcpStream) -> io::Result<Child> {
        let stream = OwnedFd::from(stream);
        let mut command = self.masks.command(&self.sshd);
        command.arg("-i").arg("-f").arg(&self.config).arg("-E").arg(&self.log);
        command.stdin(stream.try_clone()?).stdout(stream).stderr(Stdio::null()).spawn()
    }
}

#[derive(Debug)]
struct State {
    mode: Mode,
    sessions: Vec<Child>,
    waiting: Vec<TcpStream>,
    connections: usize,
}

#[derive(Debug)]
struct Shared {
    start: Start,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts connections until the host is down.
    #[allow(clippy::needless_pass_by_value)] // The listener closes with the loop.
    fn accept(&self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            let mut state = self.state();
            match state.mode {
                Mode::Down => return,
                Mode::Silent => state.waiting.push(stream),
                Mode::Serving => self.serve(&mut state, stream),
            }
            state.connections += 1;
        }
    }

    fn serve(&self, state: &mut State, stream: TcpStream) {
        state.sessions.retain_mut(|session| !matches!(session.try_wait(), Ok(Some(_))));
        match self.start.serve(stream) {
            Ok(session) => state.sessions.push(session),
            Err(error) => eprintln!("sshd could not be started: {error}"),
        }
    }
}

/// The port of a host, and the sshd's behind it.
#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Door {
    /// Opens a port that the system chooses.
    pub(super) fn open(start: Start) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = State {
            mode: Mode::Serving,
            sessions: Vec::new(),
            waiting: Vec::new(),
            connections: 0,
        };
        let shared = Arc::new(Shared { start, state: Mutex::new(state) });
        let door = Self { address, shared, thread: Mutex::new(None) };
        door.listen(listener)?;
        Ok(door)
    }

    fn listen(&self, listener: TcpListener) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let name = format!("sshd {}", self.address.port());
        let thread = std::thread::Builder::new().name(name);
        let thread = thread.spawn(move || shared.accept(listener))?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// Changes how connections are answered. Those that wait are served once that is possible.
    pub(super) fn set(&self, mode: Mode) -> io::Result<()> {
        let mut state = self.shared.state();
        let before = std::mem::replace(&mut state.mode, mode);
        if mode == Mode::Serving {
            for stream in std::mem::take(&mut state.waiting) {
                self.shared.serve(&mut state, stream);
            }
        }
        drop(state);
        if mode == Mode::Down {
            self.close();
        } else if before == Mode::Down {
            self.listen(TcpListener::bind(self.address)?)?;
        }
        Ok(())
    }

    /// Ends the thread, and with it the port.
    fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Wakes it; then it sees that the host is down.
            drop(TcpStream::connect(self.address));
            let _ = thread.join();
        }
    }

    /// Sends a signal to the sshd's of all connections.
    pub(super) fn signal(&self, signal: Signal) {
        // Held all the while, so that no connection comes in between.
        let mut state = self.shared.state();
        state.sessions.retain_mut(|session| !matches!(session.try_wait(), Ok(Some(_))));
        let roots: Vec<i32> =
            state.sessions.iter().filter_map(|session| session.id().try_into().ok()).collect();
        processes::signal_all(signal, || processes::sshds(&roots));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Going down cannot fail.
        let _ = self.set(Mode::Down);
        self.signal(Signal::KILL);
        for session in &mut self.shared.state().sessions {
            // For one that was about to become sshd, and not one yet.
            let _ = session.kill();
            let _ = session.wait();
        }
    }
}
