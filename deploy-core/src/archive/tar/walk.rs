//! From header to header through a tar.

use super::super::error::{ArchiveError, Limit};
use super::super::layout::Layout;
use super::super::sink::Sink;
use super::super::stream::Stream;
use super::extensions::Extensions;
use super::header::{BLOCK_BYTES, Block, Header, Kind, is_zero};

/// Walks over a tar to the end of the stream.
pub(in crate::archive) fn walk<S: Sink>(
    stream: &mut Stream<'_>,
    layout: &mut Layout<'_, S>,
) -> Result<(), ArchiveError> {
    let mut extensions = Extensions::default();
    loop {
        let block = next_block(stream)?;
        if is_zero(&block) {
            if extensions.is_pending() {
                let reason = "an extension header is followed by no entry";
                return Err(ArchiveError::damaged(reason));
            }
            return end(stream, layout.limits.total_bytes);
        }
        let header = Header::parse(&block)?;
        match header.kind {
            Kind::LongName => extensions.read_name(&header, stream)?,
            Kind::LongLink => extensions.read_link(&header, stream)?,
            Kind::Local => extensions.read_local(&header, stream)?,
            Kind::Global => {
                layout.count_listed()?;
                extensions.read_global(&header, stream)?;
            }
            _ => {
                let header = std::mem::take(&mut extensions).apply(header)?;
                entry(&header, stream, layout)?;
            }
        }
    }
}

/// Hands on the content of an entry and passes over what pads it to a whole block.
pub(super) fn read_content(
    stream: &mut Stream<'_>,
    size: u64,
    take: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    stream.copy(size, take)?;
    let block = BLOCK_BYTES as u64;
    stream.copy((block - size % block) % block, |_| Ok(()))
}

fn entry<S: Sink>(
    header: &Header,
    stream: &mut Stream<'_>,
    layout: &mut Layout<'_, S>,
) -> Result<(), ArchiveError> {
    let Header { name, link, .. } = header;
    // Before POSIX a directory was a file whose name ends with a slash; some tools still think so.
    let kind = match header.kind {
        Kind::File if name.ends_with(b"/") => Kind::Directory,
        kind => kind,
    };
    if let Kind::Forbidden(what) = kind {
        return Err(ArchiveError::forbidden(name, what));
    }
    if kind != Kind::File && header.size != 0 {
        return Err(ArchiveError::damaged("an entry that is no file has content"));
    }
    match kind {
        Kind::Directory => layout.directory(name, header.mode),
        Kind::HardLink => layout.hard_link(name, link),
        Kind::SymbolicLink => layout.symbolic_link(name, link),
        _ => {
            layout.open_file(name, header.mode, header.size)?;
            read_content(stream, header.size, |chunk| layout.write(chunk))?;
            layout.close_file()
        }
    }
}

fn next_block(stream: &mut Stream<'_>) -> Result<Block, ArchiveError> {
    let mut block = [0; BLOCK_BYTES];
    if stream.read(&mut block)? < BLOCK_BYTES {
        return Err(ArchiveError::damaged("it ends before the end of its tar"));
    }
    Ok(block)
}

/// Reads on to the end of the stream, so that its last checksum is compared. Tools fill up the
/// last record with zeros; anything else would be read by one tool and missed by the next.
fn end(stream: &mut Stream<'_>, allowed: u64) -> Result<(), ArchiveError> {
    if !is_zero(&next_block(stream)?) {
        return Err(ArchiveError::damaged("a tar has a lone block of zeros"));
    }
    let mut padding = 0_u64;
    loop {
        let chunk = stream.chunk()?;
        let bytes = chunk.len();
        if bytes == 0 {
            return Ok(());
        }
        if !is_zero(chunk) {
            return Err(ArchiveError::damaged("data follows the end of its tar"));
        }
        stream.consume(bytes)?;
        padding += bytes as u64;
        if padding > allowed {
            return Err(ArchiveError::too_large(Limit::TotalBytes, allowed));
        }
    }
}
