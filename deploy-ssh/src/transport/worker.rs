//! The loop of a session's thread: everything that can go on goes on, then it waits for all at once.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::command::{Command, CommandOrder};
use super::job::{Job, Progress};
use super::signal::Kill;
use super::tunnel::{Tunnel, TunnelOrder};
use super::waker::Waker;
use crate::bootstrap::kill_line;
use crate::limits::Liveness;
use crate::other_user::Become;
use crate::wire::Wire;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// How long what is under way may take when nobody holds the session any more: a group is to be killed,
/// a channel to be closed.
const LINGER: Duration = Duration::from_secs(5);

/// What the thread is asked to do.
pub(crate) enum Order {
    Run(Box<CommandOrder>),
    /// A way to another host is opened.
    Tunnel(TunnelOrder),
    /// The command's input ends, without what was not sent yet.
    CutInput(u64),
    /// The command's process group gets a signal.
    Signal(u64, &'static str),
}

/// Owns a session, and all that goes on in it.
pub(crate) struct Worker {
    // The channels go before the session.
    jobs: Vec<Job>,
    wire: Wire,
    orders: Receiver<Order>,
    waker: Arc<Waker>,
    liveness: Liveness,
    heard: Instant,
    /// The job whose packet is on its way, in part.
    sending: Option<usize>,
    released: Option<Instant>,
}

impl Worker {
    pub(crate) fn new(
        wire: Wire,
        orders: Receiver<Order>,
        waker: Arc<Waker>,
        liveness: Liveness,
    ) -> Self {
        wire.never_wait();
        wire.set_keepalive(liveness.ask_every);
        Self {
            jobs: Vec::new(),
            wire,
            orders,
            waker,
            liveness,
            heard: Instant::now(),
            sending: None,
            released: None,
        }
    }

    /// Works until the session is over, or nobody holds it any more.
    pub(crate) fn run(mut self) {
        let mut buffer = vec![0; CHUNK];
        loop {
            self.waker.arm();
            self.take_orders();
            if self.is_done() {
                break;
            }
            self.send_signals();
            let stepped = self.step_all(&mut buffer);
            let waited = match stepped {
                Ok(true) => {
                    // Nothing moves for long to and from a host that is silent.
                    self.heard = Instant::now();
                    continue;
                }
                Ok(false) => self.wait(),
                Err(why) => Err(why),
            };
            if let Err(why) = waited {
                self.jobs.iter_mut().for_each(|job| job.lose(&why));
                return;
            }
        }
        if self.sending.is_none() {
            self.wire.say_goodbye();
        }
    }

    fn is_done(&self) -> bool {
        self.released.is_some_and(|since| self.jobs.is_empty() || since.elapsed() > LINGER)
    }

    fn take_orders(&mut self) {
        while self.released.is_none() {
            match self.orders.try_recv() {
                Ok(Order::Run(order)) => {
                    self.jobs.push(Job::Command(Box::new(Command::new(*order))));
                }
                Ok(Order::Tunnel(order)) => {
                    self.jobs.push(Job::Tunnel(Box::new(Tunnel::new(order))));
                }
                Ok(Order::CutInput(id)) => {
                    if let Some(command) = self.command(id) {
                        command.cut_input();
                    }
                }
                Ok(Order::Signal(id, signal)) => {
                    if let Some(command) = self.command(id) {
                        command.want(signal);
                    }
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.released = Some(Instant::now()),
            }
        }
    }

    fn command(&mut self, id: u64) -> Option<&mut Command> {
        self.jobs.iter_mut().find_map(|job| match job {
            Job::Command(command) if command.id == id => Some(&mut **command),
            _ => None,
        })
    }

    /// Sends the signals whose groups are known by now.
    fn send_signals(&mut self) {
        let mut kills = Vec::new();
        for job in &mut self.jobs {
            let Job::Command(command) = job else { continue };
            if let Some((group, signal)) = command.take_wanted() {
                let other = command.other.as_ref();
                let line = kill_line(other, group, signal);
                let input = other.and_then(Become::password_line).unwrap_or_default();
                kills.push(Job::Kill(Kill::new(line, input)));
            }
        }
        self.jobs.append(&mut kills);
    }

    /// Lets every job do what it can. Says whether there may be more to do at once.
    fn step_all(&mut self, buffer: &mut [u8]) -> Result<bool, String> {
        let mut moved = false;
        let mut opening = false;
        let mut over = Vec::new();
        let only = self.sending.take();
        for index in only.map_or(0..self.jobs.len(), |index| index..index + 1) {
            let Some(job) = self.jobs.get_mut(index) else { continue };
            if job.is_opening() && std::mem::replace(&mut opening, true) {
                continue;
            }
            match job.step(&self.wire, buffer).map_err(|error| error.to_string())? {
                Progress::Moved => moved = true,
                Progress::Over => over.push(index),
                Progress::Waits if self.wire.waits_to_write() => {
                    self.sending = Some(index);
                    break;
                }
                Progress::Waits => {}
            }
        }
        moved |= only.is_some() && self.sending.is_none();
        for index in over.into_iter().rev() {
            self.jobs.remove(index);
            self.sending = self.sending.map(|at| if at > index { at - 1 } else { at });
            moved = true;
        }
        Ok(moved && self.sending.is_none())
    }

    /// Waits for the host, for this side, or for the time to ask whether the host is there.
    fn wait(&mut self) -> Result<(), String> {
        let mut time = if self.released.is_some() { LINGER } else { Duration::from_secs(3600) };
        let idle = self.jobs.is_empty();
        if !idle {
            let silent = self.heard.elapsed();
            if silent >= self.liveness.silent_for {
                return Err(format!("the host has said nothing for {} s", silent.as_secs()));
            }
            time = time.min(self.liveness.silent_for - silent);
            if self.sending.is_none() {
                let mut next = Duration::ZERO;
                // A question that cannot go out at once would stay in the way of all that is said
                // later: libssh2 does not take it up again.
                if has_room(&self.wire).map_err(|error| error.to_string())? {
                    next = self.wire.keepalive().map_err(|error| error.to_string())?;
                }
                time = time.min(next.max(Duration::from_secs(1)));
                time = self.jobs.iter().filter_map(Job::rests).fold(time, Duration::min);
            }
        }
        // What an idle session hears waits for its next command, but not its end. A packet that is on
        // its way goes first.
        let events = match (idle, self.sending) {
            (true, _) => PollFlags::RDHUP,
            (_, Some(_)) => PollFlags::OUT,
            (_, None) => PollFlags::IN,
        };
        let mut fds =
            vec![PollFd::new(&self.wire, events), PollFd::new(&*self.waker, PollFlags::IN)];
        if self.sending.is_none() {
            let ours = self.jobs.iter().filter_map(Job::waits_for);
            fds.extend(ours.map(|(fd, events)| PollFd::from_borrowed_fd(fd, events)));
        }
        let time = Timespec::try_from(time).map_err(|error| error.to_string())?;
        match poll(&mut fds, Some(&time)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
        let (host, woken) = (fds[0].revents(), fds[1].revents());
        if !woken.is_empty() {
            self.waker.clear();
        }
        if host.contains(PollFlags::IN) {
            self.wire.acknowledge();
        }
        if idle && host.intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR) {
            return Err("the host closed the connection".to_owned());
        }
        if !host.is_empty() || idle {
            self.heard = Instant::now();
        }
        Ok(())
    }
}

/// Whether a stream takes something at once: the system says so when there is room for much more
/// than a packet of some bytes.
fn has_room(stream: impl AsFd) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(&stream, PollFlags::OUT)];
    match poll(&mut fds, Some(&Timespec::default())) {
        Ok(_) => Ok(fds[0].revents().contains(PollFlags::OUT)),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_stream_that_is_full_has_no_room() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        assert!(has_room(&ours).unwrap());
        let mut written = 0;
        while let Ok(more) = ours.write(&[0; 1000]) {
            written += more;
        }
        assert!(!has_room(&ours).unwrap());
        theirs.read_exact(&mut vec![0; written]).unwrap();
        assert!(has_room(&ours).unwrap());
    }
}
