//! A live session: the thread that owns it, and the handle by which it is told what to do.

mod command;
mod exit;
mod fault;
mod flow;
mod greeting;
mod input;
mod job;
mod login;
mod opening;
mod signal;
mod socket;
mod tunnel;
mod turns;
mod waker;
mod worker;

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

pub(crate) use command::{CommandOrder, Ended};
pub(crate) use fault::Fault;
pub(crate) use socket::connect;
pub(crate) use waker::Waker;
pub(crate) use worker::Order;

use crate::address::Address;
use crate::algorithms::Ciphers;
use crate::auth::Method;
use crate::host_keys::HostKeys;
use crate::limits::Liveness;
use crate::wire::Wire;
use tunnel::TunnelOrder;
use turns::Turns;
use worker::Worker;

/// The stack of a session's thread. libssh2 and OpenSSL stay below 100 KiB.
const STACK: usize = 256 * 1024;

/// Who is to be reached, and how we prove who we are.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) address: Address,
    pub(crate) user: String,
    pub(crate) methods: Arc<[Method]>,
    pub(crate) host_keys: HostKeys,
}

/// The handle of a live session. The session ends when the last of its handles is dropped.
#[derive(Debug)]
pub(crate) struct Link {
    orders: mpsc::Sender<Order>,
    waker: Arc<Waker>,
    socket: Arc<OwnedFd>,
    next: AtomicU64,
    /// Who opens a way through it.
    turns: Turns,
    /// What it goes through, which lives as long as it does.
    through: Option<Arc<Self>>,
}

impl Link {
    /// Opens a way to a host that this one reaches: a stream that does not block. It is
    /// [`Fault::HeldUp`] when another way is not answered for.
    ///
    /// Cancel safety: dropping the future closes the way.
    pub(crate) async fn tunnel(&self, to: &Address, time: Duration) -> Result<UnixStream, Fault> {
        let turn = self.turns.take().await.ok_or(Fault::HeldUp)?;
        let (ours, stream) = UnixStream::pair().map_err(Fault::broken)?;
        ours.set_nonblocking(true).map_err(Fault::broken)?;
        stream.set_nonblocking(true).map_err(Fault::broken)?;
        let (said, opened) = oneshot::channel();
        let (host, port) = (to.host.clone(), to.port);
        if !self.order(Order::Tunnel(TunnelOrder { host, port, stream, opened: said })) {
            return Err(Fault::broken("the session with it is over"));
        }
        let Ok(said) = tokio::time::timeout(time, opened).await else {
            return Err(Fault::TimedOut);
        };
        turn.answered();
        match said {
            Ok(Ok(())) => Ok(ours),
            Ok(Err(why)) => Err(Fault::broken(why)),
            Err(_) => Err(Fault::broken("the session with it is over")),
        }
    }

    /// Says what it goes through.
    pub(crate) fn with_through(mut self, through: Option<Arc<Self>>) -> Self {
        self.through = through;
        self
    }

    /// Whether its thread has ended.
    pub(crate) fn is_over(&self) -> bool {
        Arc::strong_count(&self.waker) == 1
    }

    /// Whether a way through it is not answered for, so that no other can be opened.
    pub(crate) fn is_held_up(&self) -> bool {
        self.turns.are_held_up()
    }

    /// A number for the next command.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells the thread what to do; `false` when the session is over.
    pub(crate) fn order(&self, order: Order) -> bool {
        let sent = self.orders.send(order).is_ok();
        self.waker.wake();
        sent
    }

    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Ends the session at once, and with it whatever waits for the host.
    pub(crate) fn sever(&self) {
        sever(&self.socket);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The thread sees that nobody is left when the sender has gone, so it is let go of first.
        let (gone, _) = mpsc::channel();
        self.orders = gone;
        self.waker.wake();
    }
}

/// Ends what waits on a socket, in whatever thread. It may have ended already.
fn sever(socket: &OwnedFd) {
    let _ = SockRef::from(socket).shutdown(Shutdown::Both);
}

/// Ends what waits on a socket when it is dropped, unless it is released.
struct Severing(Option<Arc<OwnedFd>>);

impl Drop for Severing {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            sever(socket);
        }
    }
}

/// Opens a session over a connected stream that does not block, on a thread of its own that lives as long
/// as the session. The permit is held for as long.
///
/// Cancel safety: dropping the future ends the thread.
pub(crate) async fn open(
    stream: impl Into<OwnedFd>,
    login: Login,
    ciphers: Ciphers,
    deadline: Instant,
    liveness: Liveness,
    permit: Option<Arc<OwnedSemaphorePermit>>,
) -> Result<Link, Fault> {
    let socket = Arc::new(stream.into());
    let waker = Arc::new(Waker::new().map_err(Fault::broken)?);
    let (orders, taken) = mpsc::channel();
    let (said, opened) = oneshot::channel();
    let mut severing = Severing(Some(Arc::clone(&socket)));
    let link = Link {
        orders,
        waker: Arc::clone(&waker),
        socket: Arc::clone(&socket),
        next: AtomicU64::new(0),
        turns: Turns::default(),
        through: None,
    };
    std::thread::Builder::new()
        .name(format!("ssh {}", login.address.host))
        .stack_size(STACK)
        .spawn(move || {
            let _permit = permit;
            match establish(&socket, &login, ciphers, deadline) {
                Ok(wire) => {
                    let worker = Worker::new(wire, taken, waker, liveness);
                    if said.send(Ok(())).is_ok() {
                        worker.run();
                    }
                }
                Err(fault) => {
                    let _ = said.send(Err(fault));
                }
            }
        })
        .map_err(Fault::broken)?;
    let late = tokio::time::Instant::from_std(deadline);
    match tokio::time::timeout_at(late, opened).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(fault))) => return Err(fault),
        Ok(Err(_)) => return Err(Fault::broken("the thread of the session panicked")),
        Err(_) => return Err(Fault::TimedOut),
    }
    severing.0 = None;
    Ok(link)
}

/// From the first byte to the end of the login, on the session's thread.
fn establish(
    socket: &OwnedFd,
    login: &Login,
    ciphers: Ciphers,
    deadline: Instant,
) -> Result<Wire, Fault> {
    let Address { host, port, .. } = &login.address;
    let known = login.host_keys.algorithms(host, *port);
    let wire = opening::open(socket, ciphers, &known, deadline)?;
    let key = wire.host_key().ok_or_else(|| Fault::Rejected("it showed no key".to_owned()))?;
    login.host_keys.check(host, *port, &key).map_err(Fault::Rejected)?;
    login::log_in(&wire, &login.user, &login.methods, deadline)?;
    Ok(wire)
}
