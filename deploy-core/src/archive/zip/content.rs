//! The content of a zip entry: unpacked, counted and compared with its checksum.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::super::error::ArchiveError;
use super::super::limits::UnpackLimits;
use super::super::package::{BUFFER_BYTES, Cursor, Package};
use super::super::ratio::Ratio;
use super::record::{Method, Record};

/// Unpacks one entry after the other with the same buffers.
#[derive(Debug)]
pub(super) struct Unpacker {
    inflate: Decompress,
    buffer: Box<[u8]>,
    ratio: Ratio,
}

/// What of an entry is still to come.
struct Left<'r> {
    record: &'r Record,
    packed: u64,
    size: u64,
    checksum: Crc,
}

impl Unpacker {
    pub(super) fn new(package: Package<'_>, limits: &UnpackLimits) -> Self {
        Self {
            inflate: Decompress::new(false),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            ratio: Ratio::new(package.len, limits),
        }
    }

    /// Hands the content on in pieces, exactly as many bytes as the record says.
    pub(super) fn copy(
        &mut self,
        record: &Record,
        cursor: &mut Cursor<'_>,
        mut take: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let mut left =
            Left { record, packed: record.packed, size: record.size, checksum: Crc::new() };
        match record.method {
            Method::Stored => self.store(&mut left, cursor, &mut take)?,
            Method::Deflated => self.inflate(&mut left, cursor, &mut take)?,
        }
        left.check()
    }

    fn store(
        &mut self,
        left: &mut Left<'_>,
        cursor: &mut Cursor<'_>,
        take: &mut impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        while left.packed > 0 {
            let chunk = left.within(cursor.chunk()?);
            if chunk.is_empty() {
                return Err(ArchiveError::damaged("it is truncated"));
            }
            let bytes = chunk.len();
            left.took(bytes);
            left.gave(chunk)?;
            self.ratio.add(bytes as u64)?;
            take(chunk)?;
            cursor.consume(bytes);
        }
        Ok(())
    }

    fn inflate(
        &mut self,
        left: &mut Left<'_>,
        cursor: &mut Cursor<'_>,
        take: &mut impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        self.inflate.reset(false);
        loop {
            let chunk = left.within(cursor.chunk()?);
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(chunk, &mut self.buffer, FlushDecompress::None)
                .map_err(|error| ArchiveError::Damaged {
                    reason: "a zip entry cannot be decompressed",
                    source: Some(error.into()),
                })?;
            // Neither is more than the length of a buffer.
            let took = (self.inflate.total_in() - before_in) as usize;
            let gave = (self.inflate.total_out() - before_out) as usize;
            cursor.consume(took);
            left.took(took);
            left.gave(&self.buffer[..gave])?;
            self.ratio.add(gave as u64)?;
            take(&self.buffer[..gave])?;
            match status {
                Status::StreamEnd => return Ok(()),
                Status::Ok | Status::BufError if took == 0 && gave == 0 => {
                    return Err(ArchiveError::damaged("a zip entry is truncated"));
                }
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

impl Left<'_> {
    /// The part of a chunk that belongs to this entry.
    fn within<'c>(&self, chunk: &'c [u8]) -> &'c [u8] {
        let packed = usize::try_from(self.packed).unwrap_or(usize::MAX);
        &chunk[..chunk.len().min(packed)]
    }

    fn took(&mut self, packed: usize) {
        self.packed -= packed as u64;
    }

    fn gave(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        let Some(size) = self.size.checked_sub(bytes.len() as u64) else {
            return Err(ArchiveError::damaged("a zip entry is longer than it says"));
        };
        self.size = size;
        self.checksum.update(bytes);
        Ok(())
    }

    fn check(&self) -> Result<(), ArchiveError> {
        if (self.packed, self.size) != (0, 0) {
            return Err(ArchiveError::damaged("a zip entry is shorter than it says"));
        }
        if self.checksum.sum() != self.record.checksum {
            return Err(ArchiveError::damaged("a zip entry has a wrong checksum"));
        }
        Ok(())
    }
}
