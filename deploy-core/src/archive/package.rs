//! The package's file, read by position.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use super::error::ArchiveError;
use super::interrupt::Interrupt;

/// How much is read at once: large enough that system calls do not matter.
pub(super) const BUFFER_BYTES: usize = 128 << 10;

/// A package to be read. The file's own cursor is neither used nor moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Package<'a> {
    file: &'a File,
    pub(super) name: &'a str,
    /// The length when reading began; what is appended later is not read.
    pub(super) len: u64,
    interrupt: &'a Interrupt,
}

impl<'a> Package<'a> {
    pub(super) fn new(
        file: &'a File,
        name: &'a str,
        interrupt: &'a Interrupt,
    ) -> Result<Self, ArchiveError> {
        let metadata =
            file.metadata().map_err(|source| ArchiveError::Io { path: name.into(), source })?;
        Ok(Self { file, name, len: metadata.len(), interrupt })
    }

    pub(super) fn reader_at(self, at: u64) -> PackageReader<'a> {
        PackageReader { package: self, at }
    }

    pub(super) fn check_interrupt(&self) -> Result<(), ArchiveError> {
        if self.interrupt.is_raised() {
            return Err(ArchiveError::Interrupted);
        }
        Ok(())
    }

    /// Tells apart why a read failed: the flag, the system, or a decoder that met nonsense.
    pub(super) fn read_error(&self, source: io::Error, reason: &'static str) -> ArchiveError {
        if self.interrupt.is_raised() {
            ArchiveError::Interrupted
        } else if source.raw_os_error().is_some() {
            ArchiveError::Io { path: self.name.into(), source }
        } else {
            ArchiveError::Damaged { reason, source: Some(source) }
        }
    }
}

/// Reads a package onwards from a position.
#[derive(Clone, Debug)]
pub(super) struct PackageReader<'a> {
    package: Package<'a>,
    at: u64,
}

impl Read for PackageReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Decoders may read on for long without giving anything back, so the flag is looked at
        // here as well. `ErrorKind::Interrupted` would make them try again.
        if self.package.interrupt.is_raised() {
            return Err(io::Error::other("interrupted"));
        }
        let left = self.package.len.saturating_sub(self.at);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        loop {
            match self.package.file.read_at(&mut buffer[..wanted], self.at) {
                Ok(read) => {
                    self.at += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A buffered place in the raw bytes of a package that knows where it is.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    package: Package<'a>,
    reader: BufReader<PackageReader<'a>>,
    at: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(package: Package<'a>, at: u64) -> Self {
        Self { package, reader: BufReader::with_capacity(BUFFER_BYTES, package.reader_at(at)), at }
    }

    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// What can be had without copying; empty at the end of the package.
    pub(super) fn chunk(&mut self) -> Result<&[u8], ArchiveError> {
        self.package.check_interrupt()?;
        self.reader
            .fill_buf()
            .map_err(|source| self.package.read_error(source, "it cannot be read"))
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
        self.at += bytes as u64;
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ArchiveError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Replaces the contents of `into` with the next `bytes` bytes.
    pub(super) fn bytes(&mut self, into: &mut Vec<u8>, bytes: usize) -> Result<(), ArchiveError> {
        into.clear();
        into.resize(bytes, 0);
        self.fill(into)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ArchiveError> {
        self.reader
            .read_exact(bytes)
            .map_err(|source| self.package.read_error(source, "it is truncated"))?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
