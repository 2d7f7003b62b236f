//! The clock of one machine: it jumps, and no two machines have the same time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use deploy_core::Clock;
use deploy_core::model::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

/// The clock of one machine, over tokio's paused time. Clones are the same clock.
#[derive(Clone, Debug)]
pub(super) struct MachineClock {
    start: Instant,
    /// How far it is from the time of the simulation, in microseconds.
    off: watch::Sender<i64>,
    /// How far it is from that again, always.
    apart: i64,
}

/// 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600_000_000;

impl MachineClock {
    pub(super) fn new(start: Instant, off: i64) -> Self {
        Self { start, off: watch::Sender::new(off), apart: 0 }
    }

    /// A clock that follows this one, so many microseconds apart.
    pub(super) fn apart(&self, micros: i64) -> Self {
        Self { apart: micros, ..self.clone() }
    }

    pub(super) fn jump(&self, micros: i64) {
        self.off.send_modify(|off| *off += micros);
    }

    fn at(start: Instant, off: i64) -> Timestamp {
        let passed = i64::try_from(start.elapsed().as_micros()).unwrap();
        Timestamp::from_unix_micros(BEGINNING + passed + off).unwrap()
    }

    /// The time of the simulation, as a machine with a perfect clock has it.
    pub(super) fn perfect(after: Duration) -> Timestamp {
        Timestamp::from_unix_micros(BEGINNING).unwrap().plus(after)
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Self::at(self.start, *self.off.borrow() + self.apart)
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let (start, apart, mut off) = (self.start, self.apart, self.off.subscribe());
        Box::pin(async move {
            loop {
                let left = at.since(Self::at(start, *off.borrow_and_update() + apart));
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(left) => {}
                    jumped = off.changed() => if jumped.is_err() {
                        tokio::time::sleep(left).await;
                    },
                }
            }
        })
    }
}
