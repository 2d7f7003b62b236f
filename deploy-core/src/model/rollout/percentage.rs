//! A share of hosts.

use std::fmt;

use crate::document::Invalid;

/// A share of 1 % to 100 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(u8);

impl Percentage {
    /// Makes a percentage.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is not from 1 to 100.
    pub fn new(percent: u8) -> Result<Self, Invalid> {
        if (1..=100).contains(&percent) {
            return Ok(Self(percent));
        }
        Err(Invalid::new(&percent.to_string(), "a percentage from 1 to 100"))
    }

    /// The number, from 1 to 100.
    #[must_use]
    pub fn percent(self) -> u8 {
        self.0
    }

    /// The share of `whole`, rounded up, so that a share of something is never nothing.
    #[must_use]
    pub fn of(self, whole: usize) -> usize {
        (whole * usize::from(self.0)).div_ceil(100)
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}
