//! The way to a host: straight, or from jump host to jump host.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::{Mutex, OwnedSemaphorePermit};

use crate::algorithms::Ciphers;
use crate::limits::Limits;
use crate::transport::{self, Fault, Link, Login};

/// The jump hosts on the way, each of which is reached through the one before it.
#[derive(Debug)]
pub(crate) struct Route {
    jumps: Vec<Jump>,
    limits: Limits,
}

/// A jump host. All hosts behind it share one session with it while there is one.
#[derive(Debug)]
struct Jump {
    login: Login,
    last: Mutex<Last>,
}

/// What came of the last try to open a session with a jump host.
#[derive(Debug, Default)]
struct Last {
    link: Weak<Link>,
    failed: Option<(Instant, Fault)>,
}

impl Route {
    pub(crate) fn new(jumps: Vec<Login>, limits: Limits) -> Self {
        let jump = |login| Jump { login, last: Mutex::default() };
        Self { jumps: jumps.into_iter().map(jump).collect(), limits }
    }

    /// Opens a session with a host, by the deadline.
    pub(crate) async fn open(
        &self,
        deadline: Option<Instant>,
        login: &Login,
        session: Arc<OwnedSemaphorePermit>,
    ) -> Result<Link, Fault> {
        loop {
            match self.walk(deadline, login, Arc::clone(&session)).await {
                // Over another session with that jump host.
                Err(Fault::HeldUp) => {}
                walked => return walked,
            }
        }
    }

    async fn walk(
        &self,
        deadline: Option<Instant>,
        login: &Login,
        session: Arc<OwnedSemaphorePermit>,
    ) -> Result<Link, Fault> {
        let mut through = None;
        for jump in &self.jumps {
            let link = self.through(deadline, jump, through).await;
            through = Some(link.map_err(|fault| fault.at_jump(&jump.login.address))?);
        }
        self.dial(deadline, login, through, Some(session)).await
    }

    /// The session with a jump host. One is opened at a time, and what comes of it is for all who
    /// wait.
    async fn through(
        &self,
        deadline: Option<Instant>,
        jump: &Jump,
        before: Option<Arc<Link>>,
    ) -> Result<Arc<Link>, Fault> {
        let asked = Instant::now();
        let mut last = jump.last.lock().await;
        let usable = |link: &Arc<Link>| !link.is_over() && !link.is_held_up();
        if let Some(link) = last.link.upgrade().filter(usable) {
            return Ok(link);
        }
        if let Some((when, fault)) = &last.failed
            && *when >= asked
        {
            return Err(fault.again());
        }
        match self.dial(deadline, &jump.login, before, None).await {
            Ok(link) => {
                let link = Arc::new(link);
                *last = Last { link: Arc::downgrade(&link), failed: None };
                Ok(link)
            }
            Err(fault) => {
                let now = Instant::now();
                // The others may have more time.
                if deadline.is_none_or(|deadline| now < deadline) {
                    last.failed = Some((now, fault.again()));
                }
                Err(fault)
            }
        }
    }

    /// Opens a session, with fewer ciphers at a second try if the server knows no strict key exchange.
    async fn dial(
        &self,
        deadline: Option<Instant>,
        login: &Login,
        through: Option<Arc<Link>>,
        session: Option<Arc<OwnedSemaphorePermit>>,
    ) -> Result<Link, Fault> {
        let mut ciphers = Ciphers::All;
        loop {
            let stream = self.connect(login, through.as_deref()).await?;
            let limit = Instant::now() + self.limits.login;
            let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
            let (login, liveness) = (login.clone(), self.limits.liveness);
            match transport::open(stream, login, ciphers, limit, liveness, session.clone()).await {
                Err(Fault::NotStrict) if ciphers == Ciphers::All => {
                    ciphers = Ciphers::WithoutStrict;
                }
                opened => return Ok(opened?.with_through(through)),
            }
        }
    }

    async fn connect(&self, login: &Login, through: Option<&Link>) -> Result<OwnedFd, Fault> {
        let (to, time) = (&login.address, self.limits.connect);
        if let Some(link) = through {
            return Ok(link.tunnel(to, time).await?.into());
        }
        match transport::connect(&to.host, to.port, time).await {
            Ok(stream) => Ok(stream.into()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Fault::TimedOut),
            Err(error) => Err(Fault::broken(error)),
        }
    }
}
