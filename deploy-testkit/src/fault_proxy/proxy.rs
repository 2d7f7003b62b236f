//! The proxy: accepts, connects on, and keeps count.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use super::faults::{Direction, Fault, Faults};
use super::line::Line;
use super::pair::Pair;

/// A TCP proxy on loopback that harms what passes through it.
///
/// It works between any two parties. Threads of its own carry the bytes, so that it behaves the same
/// whatever runtime a test has, and while its clock is paused. When it is dropped its port and all
/// connections through it are closed.
///
/// ```
/// use deploy_testkit::{Direction, Fault, FaultProxy, Faults, SshFleet};
///
/// let fleet = SshFleet::start(1);
/// let host = &fleet.hosts()[0];
/// let faults = Faults::none().at(Direction::Downstream, 1000, Fault::Reset);
/// let proxy = FaultProxy::start(host.address(), faults);
/// // A connector that is given this endpoint sees its connection broken after 1,000 bytes.
/// let endpoint = host.through(proxy.address());
/// # let _ = endpoint;
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    state: Mutex<State>,
    passed: [Arc<AtomicU64>; 2],
}

#[derive(Debug)]
struct State {
    faults: Faults,
    pairs: Vec<Weak<Pair>>,
    connections: usize,
    closed: bool,
}

impl FaultProxy {
    /// Stands in front of an address, at a port that the system chooses.
    ///
    /// # Panics
    ///
    /// When there is no port or no thread for it.
    #[must_use]
    pub fn start(to: SocketAddr, faults: Faults) -> Self {
        const NEED: &str = "a proxy needs a port and a thread";
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect(NEED);
        let address = listener.local_addr().expect(NEED);
        let state = State { faults, pairs: Vec::new(), connections: 0, closed: false };
        let shared = Arc::new(Shared { to, state: Mutex::new(state), passed: Default::default() });
        let accepting = Arc::clone(&shared);
        let thread = thread::Builder::new().name(format!("proxy {}", address.port()));
        let thread = thread.spawn(move || accepting.accept(&listener)).expect(NEED);
        Self { address, shared, thread: Some(thread) }
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens to connections that come from now on.
    pub fn set(&self, faults: Faults) {
        self.shared.state().faults = faults;
    }

    /// Lets something happen to all open connections now. A [`Fault::HalfClose`] ends what goes
    /// downstream.
    pub fn strike(&self, fault: Fault) {
        for pair in self.shared.state().pairs.iter().filter_map(Weak::upgrade) {
            pair.suffer(Direction::Downstream, fault);
        }
    }

    /// How many bytes have passed in a direction, over all connections.
    #[must_use]
    pub fn passed(&self, direction: Direction) -> u64 {
        self.shared.passed[direction.index()].load(Ordering::SeqCst)
    }

    /// How many connections it has accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            if self.state().closed {
                return;
            }
            let shared = Arc::clone(self);
            // Without a thread the connection is dropped, which its client notices.
            let _ = thread::Builder::new().spawn(move || shared.carry(client));
        }
    }

    /// Carries a connection. When nobody listens at the other side, it is closed at once.
    fn carry(&self, client: TcpStream) {
        let server = TcpStream::connect(self.to);
        let mut state = self.state();
        state.connections += 1;
        let Ok(pair) = server.and_then(|server| Pair::new(client, server)).map(Arc::new) else {
            return;
        };
        if state.closed {
            return;
        }
        state.pairs.retain(|pair| pair.strong_count() > 0);
        state.pairs.push(Arc::downgrade(&pair));
        let faults = state.faults;
        drop(state);
        let line = |direction: Direction| {
            let total = Arc::clone(&self.passed[direction.index()]);
            Line::new(Arc::clone(&pair), direction, faults.lines[direction.index()], total)
        };
        let (up, down) = (line(Direction::Upstream), line(Direction::Downstream));
        thread::scope(|scope| {
            scope.spawn(|| up.run());
            down.run();
        });
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        // Wakes the thread; then it sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.strike(Fault::Close);
    }
}
