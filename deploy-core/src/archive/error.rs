//! Why a package is refused.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::{Failure, FailureCode, Retry};

/// The longest piece of an entry's name that an error shows; the rest is cut.
const SHOWN_CHARS: usize = 120;

/// Why a package was refused or could not be unpacked.
///
/// Names of entries come from the package: they are escaped for display and cut to 120 characters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// An entry's name, or a link's target, leads outside of the release or could.
    #[error("entry \"{entry}\" could lead outside of the release: {reason}")]
    Escapes {
        /// The entry's name.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An entry is of a kind, or has a name, that no package may hold.
    #[error("entry \"{entry}\" is {kind}, which a package may not hold")]
    Forbidden {
        /// The entry's name.
        entry: String,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// Two entries claim one path.
    #[error("entry \"{entry}\" takes the place of an earlier one")]
    Duplicate {
        /// The later entry's name.
        entry: String,
    },
    /// The package exceeds one of the [`UnpackLimits`](super::UnpackLimits), or a fixed bound.
    #[error("package exceeds the limit of {allowed} {limit}")]
    TooLarge {
        /// Which limit.
        limit: Limit,
        /// Its value.
        allowed: u64,
    },
    /// The package is not what its format asks: truncated, corrupt, or saying two things at once.
    #[error("package is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: &'static str,
        /// What the decoder said, if it was the decoder that noticed.
        source: Option<io::Error>,
    },
    /// The system failed to read the package (then `path` is its file name) or to write the release.
    #[error("failed to access {path:?}")]
    Io {
        /// The file or directory in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The [`Interrupt`](super::Interrupt) was raised.
    #[error("interrupted")]
    Interrupted,
}

/// What a package holds too much of; displays as the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Entries, listed or implied.
    Entries,
    /// Bytes of all files together.
    TotalBytes,
    /// Bytes of one file.
    FileBytes,
    /// Components of one path.
    Depth,
    /// Bytes of one component of a path.
    NameBytes,
    /// Bytes of one path or link target.
    PathBytes,
    /// Bytes of all names and targets of symbolic links, which are held in memory to the end.
    LinkBytes,
    /// Bytes of one tar extension header.
    ExtensionBytes,
    /// Unpacked bytes per byte of the package.
    Ratio,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entries => "entries",
            Self::TotalBytes => "bytes unpacked",
            Self::FileBytes => "bytes in one file",
            Self::Depth => "components in one path",
            Self::NameBytes => "bytes in one name",
            Self::PathBytes => "bytes in one path",
            Self::LinkBytes => "bytes of symbolic links",
            Self::ExtensionBytes => "bytes in one extension header",
            Self::Ratio => "unpacked bytes per packed byte",
        })
    }
}

impl ArchiveError {
    /// Whether the same package is worth unpacking again: only where the system failed, after a
    /// pause in which somebody may make room.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Io { .. } => Retry::After(Duration::from_secs(10)),
            Self::Escapes { .. }
            | Self::Forbidden { .. }
            | Self::Duplicate { .. }
            | Self::TooLarge { .. }
            | Self::Damaged { .. }
            | Self::Interrupted => Retry::Never,
        }
    }

    pub(super) fn escapes(entry: &[u8], reason: &'static str) -> Self {
        Self::Escapes { entry: shown(entry), reason }
    }

    pub(super) fn forbidden(entry: &[u8], kind: &'static str) -> Self {
        Self::Forbidden { entry: shown(entry), kind }
    }

    pub(super) fn duplicate(entry: &str) -> Self {
        Self::Duplicate { entry: shown(entry.as_bytes()) }
    }

    pub(super) fn damaged(reason: &'static str) -> Self {
        Self::Damaged { reason, source: None }
    }

    pub(super) fn too_large(limit: Limit, allowed: u64) -> Self {
        Self::TooLarge { limit, allowed }
    }
}

impl From<&ArchiveError> for Failure {
    fn from(error: &ArchiveError) -> Self {
        let code = match error {
            ArchiveError::Escapes { .. }
            | ArchiveError::Forbidden { .. }
            | ArchiveError::Duplicate { .. }
            | ArchiveError::TooLarge { .. }
            | ArchiveError::Damaged { .. } => FailureCode::PackageRefused,
            ArchiveError::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureCode::HostFull,
                _ => FailureCode::HostFailed,
            },
            ArchiveError::Interrupted => FailureCode::Cancelled,
        };
        Self::of(code, error).with_retry(error.retry())
    }
}

/// Escapes a name from a package, so that it can neither forge a line nor flood a log.
fn shown(name: &[u8]) -> String {
    // No character is longer than four bytes, so more than this is never shown anyway.
    let head = &name[..name.len().min(4 * (SHOWN_CHARS + 1))];
    let text = String::from_utf8_lossy(head);
    let mut escaped = text.chars().flat_map(char::escape_debug);
    let mut shown: String = escaped.by_ref().take(SHOWN_CHARS).collect();
    if escaped.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_escaped_and_cut() {
        let shown = shown(format!("a\n\u{1b}[2J\u{202e}\0{}", "x".repeat(5000)).as_bytes());
        assert!(shown.starts_with("a\\n\\u{1b}[2J\\u{202e}\\0xxx"), "{shown}");
        assert_eq!(shown.chars().count(), SHOWN_CHARS + 1);
    }

    #[test]
    fn what_the_package_does_wrong_is_final_and_what_the_system_does_is_not() {
        let full = ArchiveError::Io {
            path: "/releases/1/f".into(),
            source: io::ErrorKind::StorageFull.into(),
        };
        for (error, code, worth_it) in [
            (ArchiveError::duplicate("a"), FailureCode::PackageRefused, false),
            (ArchiveError::Interrupted, FailureCode::Cancelled, false),
            (full, FailureCode::HostFull, true),
        ] {
            let failure = Failure::from(&error);
            assert_eq!(failure.code, code);
            assert_eq!(failure.retry.is_worth_it(), worth_it);
        }
    }

    #[test]
    fn a_message_reads_on_after_a_colon() {
        let error = ArchiveError::escapes(b"../x", "it holds `..`");
        assert_eq!(
            error.to_string(),
            "entry \"../x\" could lead outside of the release: it holds `..`"
        );
        let error = ArchiveError::too_large(Limit::Entries, 7);
        assert_eq!(error.to_string(), "package exceeds the limit of 7 entries");
    }
}
