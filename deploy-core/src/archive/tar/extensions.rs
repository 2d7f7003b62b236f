//! What extension headers say about the entry that follows them.

use super::super::error::{ArchiveError, Limit};
use super::super::path::PATH_BYTES;
use super::super::stream::Stream;
use super::header::{Header, OCTAL_SIZE_MAX, is_zero};
use super::pax::{Record, Records, decimal};
use super::walk::read_content;

/// The most one extension header may hold: a file's extended attributes seldom reach 64 KiB.
const MOST_BYTES: u64 = 1 << 20;

/// Names and numbers that replace those of the next header.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
    /// Whether any header was read, and whether one was PAX's.
    pending: bool,
    local: bool,
}

impl Extensions {
    /// Says whether an entry has to follow.
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// Reads the content of a GNU header with the name of the next entry.
    pub(super) fn read_name(
        &mut self,
        header: &Header,
        stream: &mut Stream<'_>,
    ) -> Result<(), ArchiveError> {
        self.pending = true;
        let name = long_name(header, stream)?;
        replace(&mut self.name, name)
    }

    /// Reads the content of a GNU header with the link target of the next entry.
    pub(super) fn read_link(
        &mut self,
        header: &Header,
        stream: &mut Stream<'_>,
    ) -> Result<(), ArchiveError> {
        self.pending = true;
        let link = long_name(header, stream)?;
        replace(&mut self.link, link)
    }

    /// Reads the content of a PAX header about the next entry.
    pub(super) fn read_local(
        &mut self,
        header: &Header,
        stream: &mut Stream<'_>,
    ) -> Result<(), ArchiveError> {
        if self.local {
            let reason = "an entry has two pax headers";
            return Err(ArchiveError::damaged(reason));
        }
        self.pending = true;
        self.local = true;
        for record in Records(&content(header, stream, MOST_BYTES)?) {
            self.take(record?)?;
        }
        Ok(())
    }

    /// Reads the content of a PAX header about all entries from here on. Nothing that it could
    /// say about each of them makes sense for a name, a size or a map of holes.
    pub(super) fn read_global(
        &self,
        header: &Header,
        stream: &mut Stream<'_>,
    ) -> Result<(), ArchiveError> {
        if self.pending {
            let reason = "a global pax header stands between an entry and its extensions";
            return Err(ArchiveError::damaged(reason));
        }
        for record in Records(&content(header, stream, MOST_BYTES)?) {
            let key = record?.key;
            if matches!(key, b"path" | b"linkpath" | b"size") || is_sparse(key) {
                let reason = "a global pax header names or sizes every entry";
                return Err(ArchiveError::damaged(reason));
            }
        }
        Ok(())
    }

    /// Applies what was read to the header of the entry.
    ///
    /// A size is taken only where the header's own digits could not say it, so that a reader that
    /// does not know PAX cannot be led to find other entries here.
    pub(super) fn apply(self, mut header: Header) -> Result<Header, ArchiveError> {
        if let Some(name) = self.name {
            header.name = name;
        }
        if self.sparse {
            return Err(ArchiveError::forbidden(&header.name, "a sparse file"));
        }
        if let Some(link) = self.link {
            header.link = link;
        }
        match self.size {
            Some(size) if size != header.size && size <= OCTAL_SIZE_MAX => {
                let reason = "an entry has two different sizes";
                return Err(ArchiveError::damaged(reason));
            }
            Some(size) => header.size = size,
            None => {}
        }
        Ok(header)
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), ArchiveError> {
        let Record { key, value } = record;
        match key {
            b"path" => replace(&mut self.name, value.into()),
            b"linkpath" => replace(&mut self.link, value.into()),
            b"size" => match decimal(value) {
                Some(size) => replace(&mut self.size, size),
                None => Err(ArchiveError::damaged("a pax size is no number")),
            },
            key => {
                self.sparse |= is_sparse(key);
                Ok(())
            }
        }
    }
}

/// Sets what is said once; saying it twice is a case that other tools settle in different ways.
fn replace<T>(place: &mut Option<T>, value: T) -> Result<(), ArchiveError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ArchiveError::damaged("extension headers name or size one entry twice")),
    }
}

fn is_sparse(key: &[u8]) -> bool {
    key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize"
}

fn long_name(header: &Header, stream: &mut Stream<'_>) -> Result<Vec<u8>, ArchiveError> {
    if header.size > PATH_BYTES as u64 + 1 {
        let allowed = PATH_BYTES as u64;
        return Err(ArchiveError::too_large(Limit::PathBytes, allowed));
    }
    let mut name = content(header, stream, MOST_BYTES)?;
    match name.iter().position(|byte| *byte == 0) {
        Some(end) if is_zero(&name[end..]) => name.truncate(end),
        _ => {
            return Err(ArchiveError::damaged("a long name does not end as it should"));
        }
    }
    Ok(name)
}

fn content(header: &Header, stream: &mut Stream<'_>, most: u64) -> Result<Vec<u8>, ArchiveError> {
    if header.size > most {
        return Err(ArchiveError::too_large(Limit::ExtensionBytes, most));
    }
    let mut content = Vec::new();
    read_content(stream, header.size, |chunk| {
        content.extend_from_slice(chunk);
        Ok(())
    })?;
    Ok(content)
}
