//! Where a line stands, and what is wrong with it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How many faults a message shows; the rest is counted.
const SHOWN: usize = 20;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The file, when there is one.
    pub file: Option<Arc<Path>>,
    /// The number of the line; the first one is 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}:{}", file.display(), self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

/// What is wrong with a line, or what whoever wrote it should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineFault {
    /// The line.
    pub place: Place,
    /// What was found, and what is allowed.
    pub reason: String,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

/// All faults in one text; of very many, the first ones and how many there are more.
pub(crate) fn joined(faults: &[LineFault]) -> String {
    let mut shown: Vec<_> = faults.iter().take(SHOWN).map(ToString::to_string).collect();
    if faults.len() > SHOWN {
        shown.push(format!("and {} lines more", faults.len() - SHOWN));
    }
    shown.join("; ")
}
