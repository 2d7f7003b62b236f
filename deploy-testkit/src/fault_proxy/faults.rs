//! What a proxy does to the connections that pass through it, as data.

use std::time::Duration;

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From who connected to whom it wanted.
    Upstream,
    /// Back.
    Downstream,
}

impl Direction {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Upstream, Self::Downstream];

    pub(super) fn index(self) -> usize {
        match self {
            Self::Upstream => 0,
            Self::Downstream => 1,
        }
    }
}

/// What happens to a connection once so many bytes have passed in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Both sides get a reset (RST), as from a machine that knows nothing of the connection.
    Reset,
    /// Both sides get an end (FIN), as from a peer that has closed.
    Close,
    /// The direction ends (FIN) for its receiver. What its sender still sends is dropped; the other
    /// direction goes on.
    HalfClose,
    /// Nothing passes any more, in neither direction, and nobody is told: a network that is gone.
    Hang,
    /// All bits of the next byte are turned over.
    Flip,
}

/// What a proxy does to each connection. By default it passes on everything, at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Faults {
    pub(super) lines: [LineFaults; 2],
}

/// What happens in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LineFaults {
    pub(super) fault: Option<(u64, Fault)>,
    pub(super) delay: Duration,
    pub(super) rate: Option<u64>,
}

impl Faults {
    /// Passes on everything, at once.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Lets something happen once exactly so many bytes of a connection have passed in a direction;
    /// with 0, as soon as it is there. A direction has one fault.
    #[must_use]
    pub fn at(mut self, direction: Direction, bytes: u64, fault: Fault) -> Self {
        self.lines[direction.index()].fault = Some((bytes, fault));
        self
    }

    /// Holds each byte of a direction back for so long. Bytes are under way together: what can pass
    /// in a second stays the same.
    #[must_use]
    pub fn delay(mut self, direction: Direction, delay: Duration) -> Self {
        self.lines[direction.index()].delay = delay;
        self
    }

    /// Lets so many bytes of a direction pass in a second, at least 1.
    #[must_use]
    pub fn rate(mut self, direction: Direction, bytes_per_second: u64) -> Self {
        self.lines[direction.index()].rate = Some(bytes_per_second.max(1));
        self
    }
}
