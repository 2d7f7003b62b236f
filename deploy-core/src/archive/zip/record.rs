//! The central and the local record of a zip entry.

use super::super::error::ArchiveError;
use super::super::package::Cursor;
use super::extra::Extra;
use super::fields::{long, short};

const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";

/// Flags of encryption: of the content, by strong encryption, of the central directory.
const ENCRYPTED: u16 = 1 << 0 | 1 << 6 | 1 << 13;
/// The flag of a patch against another archive.
const PATCH: u16 = 1 << 5;
/// The flag of checksum and sizes following the content.
const DESCRIBED_AFTER: u16 = 1 << 3;

/// Systems whose external attributes hold a Unix mode: Unix and macOS.
const UNIX_HOSTS: [u8; 2] = [3, 19];
const DOS_DIRECTORY: u32 = 0x10;

const FORMAT_MASK: u32 = 0o170_000;
const FIFO: u32 = 0o010_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const DIRECTORY: u32 = 0o040_000;
const BLOCK_DEVICE: u32 = 0o060_000;
const REGULAR: u32 = 0o100_000;
const SYMBOLIC_LINK: u32 = 0o120_000;

/// How the content of an entry is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflated,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    SymbolicLink,
}

/// What a central record says about an entry.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) method: Method,
    pub(super) checksum: u32,
    pub(super) size: u64,
    pub(super) packed: u64,
    pub(super) offset: u64,
    flags: u16,
}

/// Whether checksum and sizes follow the content, and in which width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Descriptor {
    None,
    Narrow,
    Wide,
}

impl Record {
    /// Reads the next record of the central directory.
    pub(super) fn read_central(cursor: &mut Cursor<'_>) -> Result<Self, ArchiveError> {
        let fixed: [u8; 46] = cursor.array()?;
        if !fixed.starts_with(&CENTRAL) {
            let reason = "its central directory holds something else than records";
            return Err(ArchiveError::damaged(reason));
        }
        let mut name = Vec::new();
        cursor.bytes(&mut name, short(&fixed, 28).into())?;
        let mut rest = Vec::new();
        cursor.bytes(&mut rest, short(&fixed, 30).into())?;
        let extra = Extra::parse(&rest)?;
        extra.check_name(&name)?;
        let [size, packed, offset] =
            extra.widen([long(&fixed, 24), long(&fixed, 20), long(&fixed, 42)])?;
        if short(&fixed, 34) != 0 {
            return Err(ArchiveError::damaged("its zip is split over several files"));
        }
        cursor.bytes(&mut rest, short(&fixed, 32).into())?;

        let flags = short(&fixed, 8);
        if flags & ENCRYPTED != 0 {
            return Err(ArchiveError::forbidden(&name, "encrypted"));
        }
        let method = match short(&fixed, 10) {
            0 if flags & PATCH == 0 => Method::Stored,
            8 if flags & PATCH == 0 => Method::Deflated,
            _ => {
                let kind = "compressed by a method other than deflate";
                return Err(ArchiveError::forbidden(&name, kind));
            }
        };
        let attributes = long(&fixed, 38);
        Ok(Self {
            kind: kind(&name, attributes, fixed[5])?,
            mode: mode(attributes),
            method,
            checksum: long(&fixed, 16),
            size,
            packed,
            offset,
            flags,
            name,
        })
    }

    /// Reads the local record before the content and compares it.
    pub(super) fn read_local(&self, cursor: &mut Cursor<'_>) -> Result<Descriptor, ArchiveError> {
        let disagrees = |reason| Err(ArchiveError::damaged(reason));
        if cursor.position() != self.offset {
            return disagrees("its zip entries overlap, leave gaps or are out of order");
        }
        let fixed: [u8; 30] = cursor.array()?;
        let mut name = Vec::new();
        cursor.bytes(&mut name, short(&fixed, 26).into())?;
        let mut extra = Vec::new();
        cursor.bytes(&mut extra, short(&fixed, 28).into())?;
        let extra = Extra::parse(&extra)?;
        extra.check_name(&name)?;
        let method = match self.method {
            Method::Stored => 0,
            Method::Deflated => 8,
        };
        if !fixed.starts_with(&LOCAL)
            || short(&fixed, 6) != self.flags
            || short(&fixed, 8) != method
            || name != self.name
        {
            return disagrees("a local zip record differs from the central one");
        }
        let described_after = self.flags & DESCRIBED_AFTER != 0;
        let [size, packed] = extra.widen([long(&fixed, 22), long(&fixed, 18)])?;
        let same = |local: u64, central: u64| local == central || described_after && local == 0;
        let checksum = u64::from(long(&fixed, 14));
        if !same(checksum, self.checksum.into())
            || !same(size, self.size)
            || !same(packed, self.packed)
        {
            return disagrees("a local zip record differs from the central one");
        }
        Ok(match (described_after, extra.zip64) {
            (false, _) => Descriptor::None,
            (true, None) => Descriptor::Narrow,
            (true, Some(_)) => Descriptor::Wide,
        })
    }

    /// Reads what follows the content and compares it.
    pub(super) fn read_descriptor(
        &self,
        descriptor: Descriptor,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), ArchiveError> {
        let mut expected = self.checksum.to_le_bytes().to_vec();
        match descriptor {
            Descriptor::None => return Ok(()),
            Descriptor::Narrow => {
                expected.extend_from_slice(&(self.packed as u32).to_le_bytes());
                expected.extend_from_slice(&(self.size as u32).to_le_bytes());
            }
            Descriptor::Wide => {
                expected.extend_from_slice(&self.packed.to_le_bytes());
                expected.extend_from_slice(&self.size.to_le_bytes());
            }
        }
        // The signature is optional; most tools write it.
        let mut start: [u8; 4] = cursor.array()?;
        if start == DESCRIPTOR {
            start = cursor.array()?;
        }
        let mut found = Vec::new();
        cursor.bytes(&mut found, expected.len() - start.len())?;
        if start != expected[..4] || found != expected[4..] {
            let reason = "a zip data descriptor differs from the central record";
            return Err(ArchiveError::damaged(reason));
        }
        Ok(())
    }
}

fn kind(name: &[u8], attributes: u32, host: u8) -> Result<Kind, ArchiveError> {
    let slash = name.ends_with(b"/");
    let forbidden = |kind| Err(ArchiveError::forbidden(name, kind));
    let kind = match (attributes >> 16) & FORMAT_MASK {
        0 if slash => Kind::Directory,
        0 | REGULAR => Kind::File,
        DIRECTORY => Kind::Directory,
        SYMBOLIC_LINK if UNIX_HOSTS.contains(&host) => Kind::SymbolicLink,
        FIFO => return forbidden("a fifo"),
        CHARACTER_DEVICE | BLOCK_DEVICE => return forbidden("a device"),
        _ => return forbidden("of an unknown kind"),
    };
    let dos_directory = attributes & DOS_DIRECTORY != 0;
    if slash != (kind == Kind::Directory) || dos_directory && kind != Kind::Directory {
        let reason = "a zip record is a directory and something else";
        return Err(ArchiveError::damaged(reason));
    }
    Ok(kind)
}

/// The permissions of an entry; readable for all where the record has none.
fn mode(attributes: u32) -> u32 {
    match attributes >> 16 {
        0 => 0o644,
        mode => mode & 0o777,
    }
}
