//! One direction of a connection: reads, holds back, counts, harms, writes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::faults::{Direction, Fault, LineFaults};
use super::pair::Pair;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// How many chunks may be under way when they are delayed: 16 MiB, more than a loopback carries in
/// the time of any delay that a test waits for.
const UNDER_WAY: usize = 256;

/// How many times a second a line with a rate passes something on.
const TICKS: u64 = 50;

/// What is under way: bytes and when they are due, or how the stream ended.
type Chunk = (Instant, Vec<u8>);

/// Carries one direction of a connection to its end.
#[derive(Debug)]
pub(super) struct Line {
    pair: Arc<Pair>,
    direction: Direction,
    faults: LineFaults,
    passed: u64,
    counted: u64,
    total: Arc<AtomicU64>,
    deaf: bool,
}

impl Line {
    pub(super) fn new(
        pair: Arc<Pair>,
        direction: Direction,
        faults: LineFaults,
        total: Arc<AtomicU64>,
    ) -> Self {
        Self { pair, direction, faults, passed: 0, counted: 0, total, deaf: false }
    }

    /// Carries bytes until the connection is over, or this direction of it has ended.
    pub(super) fn run(mut self) {
        if let Some((0, fault)) = self.faults.fault {
            self.happen(fault);
        }
        if self.faults.delay.is_zero() {
            let pair = Arc::clone(&self.pair);
            let from = pair.ends(self.direction).0;
            read_all(&pair, self.direction, from, |bytes| self.pass(bytes));
            self.end();
            return;
        }
        let (send, receive) = sync_channel(UNDER_WAY);
        let (pair, direction, delay) = (Arc::clone(&self.pair), self.direction, self.faults.delay);
        thread::scope(|scope| {
            scope.spawn(move || self.write_when_due(receive));
            hold_back(&pair, direction, delay, send);
        });
    }

    #[allow(clippy::needless_pass_by_value)] // Dropping the receiver ends the reading.
    fn write_when_due(&mut self, chunks: Receiver<Chunk>) {
        while let Ok((due, bytes)) = chunks.recv() {
            if !self.pair.wait(due) || !self.pass(bytes) {
                return;
            }
        }
        self.end();
    }

    /// Passes bytes on, up to where something happens, and counts them once it has. False when no
    /// more can pass.
    fn pass(&mut self, bytes: Vec<u8>) -> bool {
        let goes_on = self.harm_and_write(bytes);
        self.count();
        goes_on
    }

    fn count(&mut self) {
        self.total.fetch_add(self.passed - self.counted, Ordering::SeqCst);
        self.counted = self.passed;
    }

    fn harm_and_write(&mut self, mut bytes: Vec<u8>) -> bool {
        if let Some((at, fault)) = self.faults.fault.filter(|&(at, _)| at >= self.passed) {
            let ahead = usize::try_from(at - self.passed).unwrap_or(usize::MAX);
            if fault == Fault::Flip {
                if let Some(byte) = bytes.get_mut(ahead) {
                    *byte = !*byte;
                }
            } else if ahead <= bytes.len() && at > 0 {
                let rest = bytes.split_off(ahead);
                if !self.write(&bytes) {
                    return false;
                }
                self.happen(fault);
                bytes = rest;
            }
        }
        self.write(&bytes)
    }

    fn happen(&mut self, fault: Fault) {
        self.deaf = fault == Fault::HalfClose;
        self.pair.suffer(self.direction, fault);
        self.count();
    }

    fn write(&mut self, bytes: &[u8]) -> bool {
        if self.deaf {
            return true;
        }
        let rate = self.faults.rate;
        let piece =
            rate.map_or(CHUNK, |rate| usize::try_from(rate / TICKS).unwrap_or(CHUNK).max(1));
        for piece in bytes.chunks(piece) {
            if !self.write_piece(piece) {
                return false;
            }
            self.passed += piece.len() as u64;
            if let Some(rate) = rate {
                let pause = Duration::from_secs_f64(piece.len() as f64 / rate as f64);
                self.pair.wait(Instant::now() + pause);
            }
        }
        true
    }

    fn write_piece(&self, mut piece: &[u8]) -> bool {
        let mut to = self.pair.ends(self.direction).1;
        while !piece.is_empty() {
            if !self.pair.wait(Instant::now()) {
                return false;
            }
            match to.write(piece) {
                Ok(written) => piece = &piece[written..],
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => {
                        self.pair.suffer(self.direction, Fault::Reset);
                        return false;
                    }
                },
            }
        }
        true
    }

    /// The sender has ended the stream: so does the proxy.
    fn end(&self) {
        if self.pair.wait(Instant::now()) {
            let _ = self.pair.ends(self.direction).1.shutdown(Shutdown::Write);
        }
    }
}

/// Reads to the end, or until `each` wants no more. A reset is handed on to the other side.
fn read_all(
    pair: &Pair,
    direction: Direction,
    mut from: &TcpStream,
    mut each: impl FnMut(Vec<u8>) -> bool,
) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                if !each(buffer[..read].to_vec()) {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return pair.suffer(direction, Fault::Reset),
        }
    }
}

/// Reads as fast as bytes come, and stamps them with the time at which they are due.
#[allow(clippy::needless_pass_by_value)] // Dropping the sender is the end of the stream.
fn hold_back(pair: &Pair, direction: Direction, delay: Duration, send: SyncSender<Chunk>) {
    let from = pair.ends(direction).0;
    read_all(pair, direction, from, |bytes| send.send((Instant::now() + delay, bytes)).is_ok());
}
