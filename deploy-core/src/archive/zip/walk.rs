//! From entry to entry through a zip, in its central directory and its content at once.

use super::super::error::{ArchiveError, Limit};
use super::super::layout::Layout;
use super::super::package::{Cursor, Package};
use super::super::path::PATH_BYTES;
use super::super::sink::Sink;
use super::content::Unpacker;
use super::end::Directory;
use super::record::{Kind, Record};

/// Walks over a zip.
pub(in crate::archive) fn walk<S: Sink>(
    package: Package<'_>,
    layout: &mut Layout<'_, S>,
) -> Result<(), ArchiveError> {
    let directory = Directory::find(package, layout.limits.entries)?;
    let mut central = Cursor::new(package, directory.start);
    let mut content = Cursor::new(package, 0);
    let mut unpacker = Unpacker::new(package, layout.limits);
    for _ in 0..directory.entries {
        let record = Record::read_central(&mut central)?;
        let descriptor = record.read_local(&mut content)?;
        entry(&record, &mut content, &mut unpacker, layout)?;
        record.read_descriptor(descriptor, &mut content)?;
    }
    if content.position() != directory.start || central.position() != directory.end {
        return Err(ArchiveError::damaged("its zip holds bytes that belong to no entry"));
    }
    Ok(())
}

fn entry<S: Sink>(
    record: &Record,
    content: &mut Cursor<'_>,
    unpacker: &mut Unpacker,
    layout: &mut Layout<'_, S>,
) -> Result<(), ArchiveError> {
    let name = &record.name;
    match record.kind {
        Kind::Directory => {
            if record.size != 0 {
                return Err(ArchiveError::damaged("a directory has content"));
            }
            layout.directory(name, record.mode)?;
            // Some tools deflate nothing to two bytes.
            unpacker.copy(record, content, |_| Ok(()))
        }
        Kind::SymbolicLink => {
            if record.size > PATH_BYTES as u64 {
                let allowed = PATH_BYTES as u64;
                return Err(ArchiveError::too_large(Limit::PathBytes, allowed));
            }
            let mut target = Vec::new();
            unpacker.copy(record, content, |chunk| {
                target.extend_from_slice(chunk);
                Ok(())
            })?;
            layout.symbolic_link(name, &target)
        }
        Kind::File => {
            layout.open_file(name, record.mode, record.size)?;
            unpacker.copy(record, content, |chunk| layout.write(chunk))?;
            layout.close_file()
        }
    }
}
