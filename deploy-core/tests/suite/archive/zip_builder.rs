//! Zips written by hand, record by record, so that they can be wrong in every way.

use std::io::Write as _;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use super::jail::Package;

/// A record of one entry, local or central.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) checksum: u32,
    pub(crate) packed: u32,
    pub(crate) size: u32,
    pub(crate) extra: Vec<u8>,
}

/// One entry. Both records say the same until a test changes one.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) local: Record,
    pub(crate) central: Record,
    pub(crate) attributes: u32,
    pub(crate) host: u8,
    pub(crate) content: Vec<u8>,
    pub(crate) descriptor: Vec<u8>,
    /// Where the central record says the entry is, if not where it is.
    pub(crate) offset: Option<u32>,
}

impl Entry {
    pub(crate) fn stored(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        Self::new(name.as_ref(), 0, content, content.to_vec())
    }

    pub(crate) fn deflated(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content.as_ref()).unwrap();
        Self::new(name.as_ref(), 8, content.as_ref(), encoder.finish().unwrap())
    }

    /// An entry of a Unix kind, such as a link.
    pub(crate) fn of_mode(name: &str, mode: u32, content: &str) -> Self {
        let mut entry = Self::stored(name, content);
        entry.attributes = mode << 16;
        entry
    }

    fn new(name: &[u8], method: u16, content: &[u8], packed: Vec<u8>) -> Self {
        let mut checksum = Crc::new();
        checksum.update(content);
        let record = Record {
            name: name.into(),
            flags: 0,
            method,
            checksum: checksum.sum(),
            packed: packed.len() as u32,
            size: content.len() as u32,
            extra: Vec::new(),
        };
        Self {
            local: record.clone(),
            central: record,
            attributes: 0o644 << 16,
            host: 3,
            content: packed,
            descriptor: Vec::new(),
            offset: None,
        }
    }

    /// Changes both records at once.
    pub(crate) fn both(mut self, change: impl Fn(&mut Record)) -> Self {
        change(&mut self.local);
        change(&mut self.central);
        self
    }

    pub(crate) fn local(mut self, change: impl FnOnce(&mut Record)) -> Self {
        change(&mut self.local);
        self
    }

    pub(crate) fn central(mut self, change: impl FnOnce(&mut Record)) -> Self {
        change(&mut self.central);
        self
    }

    /// Moves checksum and sizes behind the content.
    pub(crate) fn described_after(self, change: impl FnOnce(&mut Record)) -> Self {
        let mut after = self.central.clone();
        change(&mut after);
        let mut entry = self
            .both(|record| record.flags |= 1 << 3)
            .local(|local| (local.checksum, local.packed, local.size) = (0, 0, 0));
        for number in [0x0807_4b50, after.checksum, after.packed, after.size] {
            entry.descriptor.extend(number.to_le_bytes());
        }
        entry
    }
}

/// What the end record says; each can be wrong.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) disk: u16,
    pub(crate) here: u16,
    pub(crate) all: u16,
    pub(crate) bytes: u32,
    pub(crate) start: u32,
    pub(crate) comment: Vec<u8>,
    /// Whatever stands between the central directory and the end record.
    pub(crate) before: Vec<u8>,
}

/// A zip as it will be written.
#[derive(Debug)]
pub(crate) struct Zip {
    entries: Vec<Entry>,
    pub(crate) gap: Vec<u8>,
}

impl Zip {
    pub(crate) fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self { entries: entries.into_iter().collect(), gap: Vec::new() }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        self.build_with(|_| {})
    }

    pub(crate) fn build_with(&self, change: impl FnOnce(&mut End)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut central = Vec::new();
        for entry in &self.entries {
            let offset = entry.offset.unwrap_or(bytes.len() as u32);
            let Record { name, extra, .. } = &entry.local;
            bytes.extend(b"PK\x03\x04\x14\0");
            bytes.extend(fields(&entry.local));
            bytes.extend(name);
            bytes.extend(extra);
            bytes.extend(&entry.content);
            bytes.extend(&entry.descriptor);
            let Record { name, extra, .. } = &entry.central;
            central.extend(b"PK\x01\x02\x14");
            central.extend([entry.host, 20, 0]);
            central.extend(fields(&entry.central));
            central.extend([0; 6]);
            central.extend(entry.attributes.to_le_bytes());
            central.extend(offset.to_le_bytes());
            central.extend(name);
            central.extend(extra);
        }
        bytes.extend(&self.gap);
        let mut end = End {
            disk: 0,
            here: self.entries.len() as u16,
            all: self.entries.len() as u16,
            bytes: central.len() as u32,
            start: bytes.len() as u32,
            comment: Vec::new(),
            before: Vec::new(),
        };
        change(&mut end);
        bytes.extend(central);
        bytes.extend(end.before);
        bytes.extend(b"PK\x05\x06");
        for short in [end.disk, 0, end.here, end.all] {
            bytes.extend(short.to_le_bytes());
        }
        bytes.extend(end.bytes.to_le_bytes());
        bytes.extend(end.start.to_le_bytes());
        bytes.extend((end.comment.len() as u16).to_le_bytes());
        bytes.extend(end.comment);
        bytes
    }

    pub(crate) fn package(&self) -> Package {
        self.package_with(|_| {})
    }

    pub(crate) fn package_with(&self, change: impl FnOnce(&mut End)) -> Package {
        Package::new("app.zip", self.build_with(change))
    }
}

/// What both records have in common: from the flags to the length of the extra field.
fn fields(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(record.flags.to_le_bytes());
    bytes.extend(record.method.to_le_bytes());
    bytes.extend([0, 0, 0x21, 0x28]);
    bytes.extend(record.checksum.to_le_bytes());
    bytes.extend(record.packed.to_le_bytes());
    bytes.extend(record.size.to_le_bytes());
    bytes.extend((record.name.len() as u16).to_le_bytes());
    bytes.extend((record.extra.len() as u16).to_le_bytes());
    bytes
}

/// A zip64 extra field.
pub(crate) fn zip64(values: &[u64]) -> Vec<u8> {
    let mut field = vec![1, 0, (8 * values.len()) as u8, 0];
    field.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    field
}

/// A zip64 end record and its locator.
pub(crate) fn end64(at: u64, entries: u64, bytes: u64, start: u64) -> Vec<u8> {
    let mut record = b"PK\x06\x06".to_vec();
    record.extend(44_u64.to_le_bytes());
    record.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for value in [entries, entries, bytes, start] {
        record.extend(value.to_le_bytes());
    }
    record.extend(b"PK\x06\x07\0\0\0\0");
    record.extend(at.to_le_bytes());
    record.extend([1, 0, 0, 0]);
    record
}
