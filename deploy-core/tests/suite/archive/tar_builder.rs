//! Tars written by hand, block by block, so that they can be wrong in every way.

use std::io::Write as _;
use std::ops::Range;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::jail::Package;

pub(crate) const MODE: Range<usize> = 100..108;
pub(crate) const SIZE: Range<usize> = 124..136;
pub(crate) const LINK: Range<usize> = 157..257;
pub(crate) const MAGIC: Range<usize> = 257..265;
pub(crate) const PREFIX: Range<usize> = 345..500;
pub(crate) const REAL_SIZE: Range<usize> = 483..495;

/// A header block; its checksum is set when it is written.
#[derive(Clone, Debug)]
pub(crate) struct Header([u8; 512]);

impl Header {
    pub(crate) fn new(name: impl AsRef<[u8]>, kind: u8, size: usize) -> Self {
        let mut header = Self([0; 512]);
        header.0[156] = kind;
        header
            .set(0..100, name)
            .set(MODE, "0000644\0")
            .set(108..116, "0000000\0")
            .set(116..124, "0000000\0")
            .set(SIZE, format!("{size:011o}\0"))
            .set(136..148, "00000000000\0")
            .set(MAGIC, "ustar\x0000")
    }

    /// Overwrites a field, and fills what is left of it with zeros.
    pub(crate) fn set(mut self, field: Range<usize>, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        let field = &mut self.0[field];
        field.fill(0);
        field[..value.len()].copy_from_slice(value);
        self
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        self.set(MODE, format!("{mode:07o}\0"))
    }

    fn sealed(mut self) -> [u8; 512] {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

/// A tar as it grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn entry(mut self, header: Header, content: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(&header.sealed());
        self.0.extend_from_slice(content.as_ref());
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let header = Header::new(name, b'0', content.as_ref().len());
        self.entry(header, content)
    }

    pub(crate) fn directory(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(Header::new(name, b'5', 0), "")
    }

    pub(crate) fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(Header::new(name, b'2', 0).set(LINK, target), "")
    }

    pub(crate) fn hardlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(Header::new(name, b'1', 0).set(LINK, target), "")
    }

    pub(crate) fn long_name(self, name: impl AsRef<[u8]>) -> Self {
        let header = Header::new("././@LongLink", b'L', name.as_ref().len());
        self.entry(header.set(MAGIC, "ustar  \0"), name)
    }

    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        self.pax_raw(b'x', records.iter().flat_map(|(k, v)| record(k, v)).collect())
    }

    pub(crate) fn pax_raw(self, kind: u8, content: Vec<u8>) -> Self {
        let header = Header::new("PaxHeaders/x", kind, content.len());
        self.entry(header, content)
    }

    pub(crate) fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub(crate) fn end(self) -> Self {
        self.bytes([0; 1024])
    }

    /// Ends the tar and makes it a package.
    pub(crate) fn package(self) -> Package {
        self.end().unfinished()
    }

    /// Makes it a package as it is.
    pub(crate) fn unfinished(self) -> Package {
        Package::new("app.tar", self.0)
    }
}

/// One PAX record.
pub(crate) fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length = (rest.len()..).find(|n| n.to_string().len() + rest.len() == *n);
    format!("{}{rest}", length.unwrap()).into_bytes()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
