//! The unpacked stream of a compressed or plain package.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::error::ArchiveError;
use super::limits::UnpackLimits;
use super::package::{BUFFER_BYTES, Package};
use super::ratio::Ratio;

/// The largest zstd window, as a power of two: 128 MiB, what the `zstd` tool takes without asking.
const ZSTD_WINDOW_LOG: u32 = 27;

/// The most memory an xz decoder may take, in KiB: `xz -9` needs 65 MiB.
const XZ_MEMORY_KIB: u32 = 80 << 10;

/// How a package is compressed, as its first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
    Xz,
    Plain,
}

impl Compression {
    /// Tells the compression from the first bytes of a package.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::Plain,
        }
    }

    /// Opens the decoder. Each reads all members, frames or streams there are, and fails on
    /// anything else that follows.
    fn decoder<'a>(self, package: Package<'a>) -> io::Result<Box<dyn Read + 'a>> {
        let raw = package.reader_at(0);
        if self == Self::Plain {
            return Ok(Box::new(raw));
        }
        let packed = BufReader::with_capacity(BUFFER_BYTES, raw);
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Self::Xz => Box::new(XzReader::new_mem_limit(packed, true, XZ_MEMORY_KIB)),
            Self::Plain => Box::new(packed),
        })
    }
}

/// The bytes inside a package, guarded by the ratio limit and the interrupt.
pub(super) struct Stream<'a> {
    package: Package<'a>,
    reader: BufReader<Box<dyn Read + 'a>>,
    ratio: Ratio,
}

impl fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("package", &self.package)
            .field("ratio", &self.ratio)
            .finish_non_exhaustive()
    }
}

impl<'a> Stream<'a> {
    pub(super) fn open(
        package: Package<'a>,
        compression: Compression,
        limits: &UnpackLimits,
    ) -> Result<Self, ArchiveError> {
        let decoder = compression
            .decoder(package)
            .map_err(|source| package.read_error(source, "it cannot be decompressed"))?;
        Ok(Self {
            package,
            reader: BufReader::with_capacity(BUFFER_BYTES, decoder),
            ratio: Ratio::new(package.len, limits),
        })
    }

    /// What can be had without copying; empty at the end.
    pub(super) fn chunk(&mut self) -> Result<&[u8], ArchiveError> {
        self.package.check_interrupt()?;
        self.reader
            .fill_buf()
            .map_err(|source| self.package.read_error(source, "it cannot be decompressed"))
    }

    pub(super) fn consume(&mut self, bytes: usize) -> Result<(), ArchiveError> {
        self.reader.consume(bytes);
        self.ratio.add(bytes as u64)
    }

    /// Fills `buffer` as far as the stream goes and says how far that was.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let chunk = self.chunk()?;
            let bytes = chunk.len().min(buffer.len() - filled);
            if bytes == 0 {
                break;
            }
            buffer[filled..filled + bytes].copy_from_slice(&chunk[..bytes]);
            self.consume(bytes)?;
            filled += bytes;
        }
        Ok(filled)
    }

    /// Hands the next `bytes` bytes on in pieces.
    pub(super) fn copy(
        &mut self,
        bytes: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let mut left = bytes;
        while left > 0 {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Err(ArchiveError::damaged("it ends in the middle of an entry"));
            }
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            take(&chunk[..wanted])?;
            self.consume(wanted)?;
            left -= wanted as u64;
        }
        Ok(())
    }
}
