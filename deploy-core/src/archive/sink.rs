//! Where a walk over a package leaves what it found.

use super::error::ArchiveError;

/// Takes what a package holds, in an order that can be created: a directory before what is in it,
/// a file before its hard links, symbolic links last.
///
/// Paths are in normal form and were checked; none passes through a link, none comes twice.
pub(super) trait Sink {
    fn directory(&mut self, path: &str) -> Result<(), ArchiveError>;
    fn open_file(&mut self, path: &str, mode: u32) -> Result<(), ArchiveError>;
    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError>;
    fn close_file(&mut self) -> Result<(), ArchiveError>;
    fn hard_link(&mut self, existing: &str, path: &str) -> Result<(), ArchiveError>;
    fn symbolic_link(&mut self, path: &str, target: &str) -> Result<(), ArchiveError>;
    /// Makes everything durable.
    fn finish(&mut self) -> Result<(), ArchiveError>;
}

/// The sink of an inspection: it takes everything and keeps nothing.
#[derive(Debug)]
pub(super) struct Discard;

impl Sink for Discard {
    fn directory(&mut self, _path: &str) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn open_file(&mut self, _path: &str, _mode: u32) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn write(&mut self, _bytes: &[u8]) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn close_file(&mut self) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn hard_link(&mut self, _existing: &str, _path: &str) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn symbolic_link(&mut self, _path: &str, _target: &str) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ArchiveError> {
        Ok(())
    }
}
